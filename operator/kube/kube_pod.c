/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pods as the operator sees them. What the API says in many places becomes one phase:
 *
 *     status.phase Failed, Succeeded                 -> LOST      (evicted, the node gave up ...)
 *     the agent's container waits after a crash      -> CRASHED
 *     it runs                                        -> RUNNING
 *     anything else                                  -> PENDING, with the reason in plain words
 *
 * Whether its node still lives is the platform's to add.
 */
#include "operator/kube/kube_pod.h"

#include <stdio.h>
#include <string.h>

#include "base/hash.h"
#include "base/mem.h"
#include "operator/kube/kube_names.h"
#include "operator/kube/kube_node.h"

enum {
    PARTS_MAX = 11,
    ADDRESS_MAX = 80,
    OWNER_KEY_MAX = 600,
    TOLERATED_BYTES_MAX = 8192,
    CREATED_SKEW_MS = 2000
};

static const json_t *member(const json_t *object, const char *key)
{
    return json_object_get(object, key);
}

static struct str text(const json_t *object, const char *key)
{
    return json_str(json_object_get(object, key));
}

/* --- phase ------------------------------------------------------------------------------------ */

static bool is_taken_away(const json_t *status)
{
    return str_is(text(kube_condition(status, "DisruptionTarget"), "status"), "True");
}

/* A gate that the user put there is not lack of room. */
static bool is_unplaced(const json_t *status)
{
    const json_t *scheduled = kube_condition(status, "PodScheduled");

    return str_is(text(scheduled, "status"), "False") &&
           !str_is(text(scheduled, "reason"), "SchedulingGated");
}

static const json_t *agent_status(const json_t *status)
{
    const json_t *list = member(status, "containerStatuses");
    const json_t *entry;
    size_t i;

    json_array_foreach (list, i, entry) {
        if (str_is(text(entry, "name"), KUBE_CONTAINER_AGENT))
            return entry;
    }
    return json_array_get(list, 0); /* a gateway's container has another name */
}

static bool met_its_limit(const json_t *state)
{
    return str_is(text(member(state, "terminated"), "reason"), "OOMKilled");
}

static void read_container(struct kube_pod *pod, const json_t *status, struct kube_words *words)
{
    const json_t *container = agent_status(status);
    const json_t *state = member(container, "state");
    const json_t *waiting = member(state, "waiting");
    const json_t *ended = member(state, "terminated");
    json_int_t restarts = json_integer_value(member(container, "restartCount"));

    pod->restarts = restarts > 0 ? (uint64_t)restarts : 0;
    pod->out_of_memory = met_its_limit(state) || met_its_limit(member(container, "lastState"));
    pod->phase = PLATFORM_POD_PENDING;
    if (json_is_object(member(state, "running"))) {
        pod->phase = PLATFORM_POD_RUNNING;
    } else if (ended != NULL || str_is(text(waiting, "reason"), "CrashLoopBackOff")) {
        if (ended == NULL)
            ended = member(member(container, "lastState"), "terminated");
        pod->phase = PLATFORM_POD_CRASHED;
        kube_words_ended(words, ended);
    } else if (kube_words_waiting(words, waiting)) {
        pod->blocked = true;
    } else {
        kube_words_pending(words, status, &pod->blocked, &pod->lack);
    }
}

static void read_phase(struct kube_pod *pod, const json_t *status, struct kube_words *words)
{
    struct str phase = text(status, "phase");

    read_container(pod, status, words);
    pod->evicted = is_taken_away(status);
    pod->unplaced = is_unplaced(status);
    if (!str_is(phase, "Failed") && !str_is(phase, "Succeeded"))
        return;
    pod->phase = PLATFORM_POD_LOST;
    *words = (struct kube_words){0};
    kube_words_add(words, "its node ended it");
    if (text(status, "reason").len > 0) {
        kube_words_add(words, ": ");
        kube_words_add_foreign(words, text(status, "reason"));
        kube_words_add(words, ": ");
        kube_words_add_foreign(words, text(status, "message"));
    }
}

/* Keys of the taints that it puts up with; one without a key puts up with all. */
static void read_tolerated(struct buf *out, const json_t *spec)
{
    const json_t *toleration;
    size_t i;

    json_array_foreach (member(spec, "tolerations"), i, toleration) {
        struct str key = text(toleration, "key");

        buf_append_str(out, key.len > 0 ? key : STR("*"));
        buf_append_char(out, ' ');
    }
}

/* --- address ---------------------------------------------------------------------------------- */

static json_int_t port_of(const json_t *spec)
{
    const json_t *containers = member(spec, "containers");
    const json_t *container, *port;
    size_t i, j;

    json_array_foreach (containers, i, container) {
        json_array_foreach (member(container, "ports"), j, port) {
            if (str_is(text(port, "name"), KUBE_PORT_NAME))
                return json_integer_value(member(port, "containerPort"));
        }
    }
    return KUBE_AGENT_PORT;
}

/* Digits, dots, colons and hex only: it goes into URLs. */
static bool is_ip(struct str ip)
{
    for (size_t i = 0; i < ip.len; i++) {
        char c = ip.ptr[i];

        if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F') ||
              c == '.' || c == ':'))
            return false;
    }
    return ip.len > 0 && ip.len < 46;
}

static void read_address(const json_t *object, char address[ADDRESS_MAX])
{
    struct str ip = text(member(object, "status"), "podIP");
    json_int_t port = port_of(member(object, "spec"));

    address[0] = '\0';
    if (!is_ip(ip) || port < 1 || port > 65535)
        return;
    if (str_find_char(ip, ':') >= 0)
        snprintf(address, ADDRESS_MAX, "[%.*s]:%d", STR_ARG(ip), (int)port);
    else
        snprintf(address, ADDRESS_MAX, "%.*s:%d", STR_ARG(ip), (int)port);
}

/* --- the whole -------------------------------------------------------------------------------- */

/* The owner reference that controls it, if that is a ModelDeployment. */
static const json_t *controller_of(const json_t *metadata)
{
    const json_t *owners = member(metadata, "ownerReferences");
    const json_t *owner;
    size_t i;

    json_array_foreach (owners, i, owner) {
        if (json_is_true(member(owner, "controller")) &&
            str_is(text(owner, "kind"), "ModelDeployment") &&
            str_starts(text(owner, "apiVersion"), STR("spate.dev/")))
            return owner;
    }
    return NULL;
}

struct part {
    struct str from;
    struct str *place;
};

/* Copies all texts behind the struct. */
static int pack(struct kube_pod **out, const struct kube_pod *shape, struct part *parts,
                size_t count, struct err *err)
{
    struct kube_pod *pod;
    size_t size = sizeof(*pod);
    char *at;

    for (size_t i = 0; i < count; i++)
        size += parts[i].from.len;
    pod = mem_alloc(size);
    if (pod == NULL)
        return err_no_memory(err);
    *pod = *shape;
    at = (char *)(pod + 1);
    for (size_t i = 0; i < count; i++) {
        struct str *place =
            (struct str *)((char *)pod + ((char *)parts[i].place - (const char *)shape));

        *place = (struct str){at, parts[i].from.len};
        if (parts[i].from.len > 0)
            memcpy(at, parts[i].from.ptr, parts[i].from.len);
        at += parts[i].from.len;
    }
    *out = pod;
    return 0;
}

/* The time at which the grace of a deletion ends, as the API writes it. */
static int64_t gone_by(const json_t *metadata, const struct kube_meta *meta)
{
    struct str when = text(metadata, "deletionTimestamp");
    int64_t ms = 0;

    if (!meta->deleting)
        return 0;
    if (clock_parse_utc(when.ptr, when.len, &ms) < 0 || ms <= 0)
        return 1; /* long ago: an unreadable time is no reason to wait */
    return ms;
}

/* The API counts in whole seconds, cut off; ours is finer, and believed if it fits. */
static int64_t created_at(const json_t *metadata, const struct kube_meta *meta)
{
    struct str text_ms = text(member(metadata, "annotations"), KUBE_ANNOTATION_CREATED_MS);
    int64_t ms = 0;

    if (!str_to_i64(text_ms, &ms) || ms < meta->created_ms - CREATED_SKEW_MS ||
        ms > meta->created_ms + CREATED_SKEW_MS)
        return meta->created_ms;
    return ms;
}

uint64_t kube_pod_key_mark(struct str public_key)
{
    uint8_t bytes[sizeof(uint64_t)];
    uint64_t mark = 0;

    if (!hex_parse(str_slice(public_key, 0, 2 * sizeof(bytes)), bytes, sizeof(bytes)))
        return 0;
    memcpy(&mark, bytes, sizeof(mark));
    return mark;
}

int kube_pod_read(struct kube_pod **out, const json_t *object, const struct kube_meta *meta,
                  struct err *err)
{
    const json_t *metadata = member(object, "metadata");
    const json_t *labels = member(metadata, "labels");
    const json_t *owner = controller_of(metadata);
    struct kube_pod pod = {.created_ms = created_at(metadata, meta),
                           .gone_by_ms = gone_by(metadata, meta)};
    char address[ADDRESS_MAX], key[OWNER_KEY_MAX] = "";
    CLEANUP(buf_fini) struct buf tolerated = {0};
    struct kube_words words = {0};
    struct part parts[PARTS_MAX];

    buf_init(&tolerated, TOLERATED_BYTES_MAX);
    read_phase(&pod, member(object, "status"), &words);
    if (pod.lack == KUBE_LACKS_TOLERATION)
        read_tolerated(&tolerated, member(object, "spec"));
    read_address(object, address);
    str_to_u64(text(labels, KUBE_LABEL_ORDINAL), &pod.ordinal);
    pod.key_mark =
        kube_pod_key_mark(text(member(metadata, "annotations"), KUBE_ANNOTATION_PUBLIC_KEY));
    pod.wants_on_demand =
        str_is(text(labels, KUBE_LABEL_CAPACITY), kube_capacity_name(PLATFORM_CAPACITY_ON_DEMAND));
    if (owner != NULL)
        snprintf(key, sizeof(key), "%.*s/%.*s", STR_ARG(meta->name_space),
                 STR_ARG(text(owner, "name")));
    parts[0] = (struct part){meta->uid, &pod.uid};
    parts[1] = (struct part){text(owner, "name"), &pod.owner_name};
    parts[2] = (struct part){text(owner, "uid"), &pod.owner_uid};
    parts[3] = (struct part){str_of(key), &pod.owner_key};
    parts[4] = (struct part){text(labels, KUBE_LABEL_HASH), &pod.template_hash};
    parts[5] = (struct part){text(labels, KUBE_LABEL_COMPONENT), &pod.component};
    parts[6] = (struct part){text(member(object, "spec"), "serviceAccountName"), &pod.account};
    parts[7] = (struct part){text(member(object, "spec"), "nodeName"), &pod.node};
    parts[8] = (struct part){str_of(address), &pod.address};
    parts[9] = (struct part){str_of(words.text), &pod.message};
    parts[10] = (struct part){buf_str(&tolerated), &pod.tolerated};
    return pack(out, &pod, parts, PARTS_MAX, err);
}

void kube_pod_free(struct kube_pod *pod)
{
    mem_free(pod);
}
