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

enum { ADDRESS_MAX = 80, TOLERATED_BYTES_MAX = 8192, CREATED_SKEW_MS = 2000 };

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

static uint32_t restarts_of(const json_t *status)
{
    json_int_t restarts = json_integer_value(member(agent_status(status), "restartCount"));

    return restarts > 0 ? (uint32_t)restarts : 0;
}

static void read_container(struct kube_pod *pod, const json_t *status, struct kube_words *words)
{
    const json_t *container = agent_status(status);
    const json_t *state = member(container, "state");
    const json_t *waiting = member(state, "waiting");
    const json_t *ended = member(state, "terminated");

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
        enum kube_lack lack = KUBE_LACKS_NOTHING;
        bool blocked = false;

        kube_words_pending(words, status, &blocked, &lack);
        pod->blocked = blocked;
        pod->lack = lack;
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

static struct str append(char **at, struct str text)
{
    char *start = *at;

    if (text.len > 0)
        memcpy(start, text.ptr, text.len);
    *at += text.len;
    return (struct str){start, text.len};
}

/* *out stays NULL if there are none. */
static int make_extras(struct kube_pod_extras **out, struct str account, struct str message,
                       struct str tolerated, struct err *err)
{
    size_t bytes = account.len + message.len + tolerated.len;
    struct kube_pod_extras *extras;
    char *at;

    if (bytes == 0)
        return 0;
    extras = mem_alloc(sizeof(*extras) + bytes);
    if (extras == NULL)
        return err_no_memory(err);
    at = extras->texts;
    extras->account = append(&at, account);
    extras->message = append(&at, message);
    extras->tolerated = append(&at, tolerated);
    *out = extras;
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

/* Anybody who may make pods may write these at any length, while those of ours are short. So what
 * is left of a long one is not that of any model, and the pod is as good as any stranger. */
static struct str bounded(struct str text)
{
    return str_slice(text, 0, POD_RECORD_TEXT_MAX);
}

static int read_record(struct pod_record **out, const json_t *object, const struct kube_meta *meta,
                       struct err *err)
{
    const json_t *metadata = member(object, "metadata");
    const json_t *labels = member(metadata, "labels");
    const json_t *owner = controller_of(metadata);
    char address[ADDRESS_MAX];
    struct pod_facts facts = {
        .name_space = meta->name_space,
        .name = meta->name,
        .uid = meta->uid,
        .owner_name = bounded(text(owner, "name")),
        .owner_uid = bounded(text(owner, "uid")),
        .template_hash = bounded(text(labels, KUBE_LABEL_HASH)),
        .created_ms = created_at(metadata, meta),
        .restarts = restarts_of(member(object, "status")),
    };

    read_address(object, address);
    facts.address = str_of(address);
    str_to_u64(text(labels, KUBE_LABEL_ORDINAL), &facts.ordinal);
    return pod_record_new(out, &facts, err);
}

static int read_extras(struct kube_pod *pod, const json_t *object, const struct kube_words *words,
                       struct err *err)
{
    const json_t *spec = member(object, "spec");
    const json_t *labels = member(member(object, "metadata"), "labels");
    bool is_gateway = str_is(text(labels, KUBE_LABEL_COMPONENT), KUBE_COMPONENT_GATEWAY);
    CLEANUP(buf_fini) struct buf tolerated = {0};

    buf_init(&tolerated, TOLERATED_BYTES_MAX);
    if (pod->lack == KUBE_LACKS_TOLERATION)
        read_tolerated(&tolerated, spec);
    return make_extras(&pod->extras, is_gateway ? text(spec, "serviceAccountName") : STR_NONE,
                       str_of(words->text), buf_str(&tolerated), err);
}

int kube_pod_read(struct kube_pod **out, const json_t *object, const struct kube_meta *meta,
                  struct err *err)
{
    const json_t *metadata = member(object, "metadata");
    struct str node = text(member(object, "spec"), "nodeName");
    struct kube_words words = {0};
    struct kube_pod *pod;
    int r;

    if (node.len > POD_RECORD_TEXT_MAX)
        return err_set(err, ERR_LIMIT, "the node's name of a pod is longer than %d bytes",
                       POD_RECORD_TEXT_MAX);
    pod = mem_alloc(sizeof(*pod) + node.len);
    if (pod == NULL)
        return err_no_memory(err);
    pod->node_len = (uint16_t)node.len;
    memcpy(pod->node, node.len > 0 ? node.ptr : "", node.len);
    pod->gone_by_ms = gone_by(metadata, meta);
    pod->key_mark =
        kube_pod_key_mark(text(member(metadata, "annotations"), KUBE_ANNOTATION_PUBLIC_KEY));
    pod->wants_on_demand = str_is(text(member(metadata, "labels"), KUBE_LABEL_CAPACITY),
                                  kube_capacity_name(PLATFORM_CAPACITY_ON_DEMAND));
    read_phase(pod, member(object, "status"), &words);
    r = read_extras(pod, object, &words, err);
    if (r == 0)
        r = read_record(&pod->record, object, meta, err);
    if (r < 0) {
        kube_pod_free(pod);
        return r;
    }
    *out = pod;
    return 0;
}

void kube_pod_free(struct kube_pod *pod)
{
    if (pod == NULL)
        return;
    pod_record_unref(pod->record);
    mem_free(pod->extras);
    mem_free(pod);
}
