/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Definitions of an older release: the API server drops the fields that they lack, of specs and of
 * what we write in statuses, and says nothing. So it is asked for its schemas, which every account
 * may read, and they are compared with our tables.
 *
 *     /openapi/v3                          a hash of each group: has it changed?
 *     /openapi/v3/apis/spate.dev/v1alpha1  the schemas, if it has
 *
 * The document follows a change of a definition by a second or so. So what lacks is believed when
 * it lacks at two looks. Missing definitions are found by their watches.
 */
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "crd/schema.h"
#include "operator/common/must.h"
#include "operator/kube/kube_private.h"

#define INDEX_PATH     "/openapi/v3"
#define GROUP_PATH     "apis/" CRD_API_VERSION
#define GVK_KEY        "x-kubernetes-group-version-kind"
#define EVENT_OUTDATED "DefinitionOutdated"

enum {
    LOOK_MS = 10 * 1000,      /* between looks while all is well */
    LOOK_AGAIN_MS = 5 * 1000, /* while it is not, or while it can't be seen */
    LACK_MAX = 1024,          /* bytes of names of fields */
    NOTE_MAX = LACK_MAX + KUBE_CURE_MAX + 256,
    TELL_MAX = 100, /* objects of a kind that get an event at once; the log has the kind */
};

/* Of one kind. Empty: nothing lacks. */
struct lack {
    char seen[LACK_MAX]; /* at the last look */
    char told[LACK_MAX];
};

struct kube_definitions {
    struct kube *kube;
    struct loop_timer timer;
    struct kube_call *call;
    char hash[256]; /* the address of the document that was read last, which has its hash */
    char next_hash[256];
    bool blind; /* said that the schemas can't be read */
    struct lack lacks[CRD_KIND_COUNT];
};

void kube_definitions_cure(const struct kube *kube, char out[KUBE_CURE_MAX])
{
    char inside[KUBE_CURE_MAX / 2] = "";

    if (kube->options.kubeconfig == NULL)
        snprintf(inside, sizeof(inside), "kubectl --namespace %s exec deployment/%s-operator -- ",
                 kube->name_space, kube->options.release);
    snprintf(out, KUBE_CURE_MAX,
             "%sspate definitions | kubectl apply --server-side --force-conflicts --filename -",
             inside);
}

/* --- telling ---------------------------------------------------------------------------------- */

static void write_note(const struct kube *kube, const struct crd_kind *kind, char out[NOTE_MAX])
{
    char cure[KUBE_CURE_MAX];

    kube_definitions_cure(kube, cure);
    snprintf(
        out, NOTE_MAX,
        "the definition of %s in the cluster is older than this operator (%s), so what objects "
        "say in these fields is lost: %s. Bring it up to date, and then apply the objects that "
        "use them again: %s",
        kind->kind, SPATE_VERSION, kube->definitions->lacks[kind->id].told, cure);
}

static void record(const struct kube *kube, const struct crd_object *object, const char *note)
{
    const struct kube_event_about about = {
        .api_version = CRD_API_VERSION,
        .kind = object->kind->kind,
        .name_space = str_of(object->name_space),
        .name = str_of(object->name),
        .uid = str_of(object->uid),
    };

    kube_events_record(kube_recorder_events(kube->recorder), &about, true, EVENT_OUTDATED,
                       "Compare", str_of(note));
}

/* Events of cluster-scoped objects live in a namespace where we may have no right to write. */
static bool is_to_be_told(const struct kube *kube, const struct crd_kind *kind)
{
    return kube->definitions != NULL && kube->epoch > 0 && kind->namespaced &&
           kube->definitions->lacks[kind->id].told[0] != '\0';
}

void kube_definitions_tell(const struct kube *kube, const struct crd_object *object)
{
    char note[NOTE_MAX];

    if (!is_to_be_told(kube, object->kind))
        return;
    write_note(kube, object->kind, note);
    record(kube, object, note);
}

static void tell_kind(const struct kube *kube, const struct crd_kind *kind)
{
    char note[NOTE_MAX];
    int told = 0;

    if (!is_to_be_told(kube, kind))
        return;
    write_note(kube, kind, note);
    for (const struct kube_view *view = kube->views; view != NULL; view = view->next) {
        const struct kube_entry *entry;

        for (size_t at = 0; view->kind == kind && told < TELL_MAX &&
                            (entry = kube_store_next(kube_informer_store(view->informer), &at));) {
            const struct crd_object *known = kube_crd_known(entry->object);

            if (known != NULL) {
                record(kube, known, note);
                told++;
            }
        }
    }
}

void kube_definitions_tell_all(const struct kube *kube)
{
    for (int i = 0; i < CRD_KIND_COUNT; i++)
        tell_kind(kube, crd_kinds[i]);
}

/* What lacks at two looks is believed, and so is at once that nothing does. */
static void believe(struct kube_definitions *d, const struct crd_kind *kind, const char *found)
{
    struct lack *lack = &d->lacks[kind->id];
    bool again = strcmp(found, lack->seen) == 0;
    char note[NOTE_MAX];

    snprintf(lack->seen, sizeof(lack->seen), "%s", found);
    if (strcmp(found, lack->told) == 0 || (found[0] != '\0' && !again))
        return;
    snprintf(lack->told, sizeof(lack->told), "%s", found);
    if (found[0] == '\0') {
        log_info("a definition is up to date again: apply the objects that use its new fields "
                 "once more",
                 LOG_STR("kind", kind->kind));
        return;
    }
    write_note(d->kube, kind, note);
    log_error("a CustomResourceDefinition is of an older release", LOG_STR("kind", kind->kind),
              LOG_STR("fault", note));
    tell_kind(d->kube, kind);
}

/* --- looking ---------------------------------------------------------------------------------- */

static bool is_of_kind(const json_t *schema, const struct crd_kind *kind)
{
    const json_t *names = json_object_get(schema, GVK_KEY);
    const json_t *name = json_array_get(names, 0);

    return json_array_size(names) == 1 &&
           str_is(json_str(json_object_get(name, "group")), CRD_GROUP) &&
           str_is(json_str(json_object_get(name, "version")), CRD_VERSION) &&
           str_is(json_str(json_object_get(name, "kind")), kind->kind);
}

static const json_t *find_schema(const json_t *document, const struct crd_kind *kind)
{
    json_t *schemas = json_object_get(json_object_get(document, "components"), "schemas");
    const char *name;
    json_t *schema;

    json_object_foreach (schemas, name, schema) {
        if (is_of_kind(schema, kind))
            return schema;
    }
    return NULL;
}

static void compare(struct kube_definitions *d, const json_t *document)
{
    for (int i = 0; i < CRD_KIND_COUNT; i++) {
        const json_t *schema = find_schema(document, crd_kinds[i]);
        CLEANUP(buf_fini) struct buf lack = {0};

        buf_init(&lack, LACK_MAX);
        if (schema == NULL)
            continue;
        (void)crd_lack(crd_kinds[i], schema, &lack);
        buf_append_char(&lack, '\0');
        believe(d, crd_kinds[i], lack.failed ? "" : lack.ptr);
    }
}

static bool is_well(const struct kube_definitions *d)
{
    for (int i = 0; i < CRD_KIND_COUNT; i++) {
        if (d->lacks[i].seen[0] != '\0')
            return false;
    }
    return !d->blind;
}

static void look_later(struct kube_definitions *d)
{
    loop_timer_start(d->kube->loop, &d->timer, is_well(d) ? LOOK_MS : LOOK_AGAIN_MS);
}

/* Said once: without this nothing else is worse. */
static void trouble(struct kube_definitions *d, const struct err *err)
{
    if (!d->blind)
        log_warn("the API server's schemas can't be read, so definitions of an older release would "
                 "not be seen; it is tried again",
                 LOG_ERR(err));
    d->blind = true;
    look_later(d);
}

static int ask(struct kube_definitions *d, const char *target, kube_done_fn on_done,
               struct err *err)
{
    const struct kube_request request = {
        .method = "GET",
        .target = target,
        .ahead = true,
        .patient = true,
        .on_done = on_done,
        .user = d,
    };

    return kube_api_send(&d->call, d->kube->api, &request, err);
}

/* Reads an answer; the caller owns *out. */
static int answer_tree(json_t **out, const struct kube_answer *answer, struct err *err)
{
    if (answer->code == 0)
        return json_read(out, answer->body, &json_limits_default, "the API server's schemas", err);
    *err = *answer->err;
    return answer->code;
}

static void on_document(void *user, const struct kube_answer *answer)
{
    struct kube_definitions *d = user;
    json_auto_t *document = NULL;
    struct err err = {0};

    d->call = NULL;
    if (answer_tree(&document, answer, &err) < 0) {
        trouble(d, &err);
        return;
    }
    d->blind = false;
    compare(d, document);
    snprintf(d->hash, sizeof(d->hash), "%s", d->next_hash);
    look_later(d);
}

/* The group is not in it before its first definition is there. */
static void on_index(void *user, const struct kube_answer *answer)
{
    struct kube_definitions *d = user;
    json_auto_t *index = NULL;
    struct err err = {0};
    struct str hash;
    int r;

    d->call = NULL;
    r = answer_tree(&index, answer, &err);
    if (r == 0) {
        hash = json_str(json_object_get(
            json_object_get(json_object_get(index, "paths"), GROUP_PATH), "serverRelativeURL"));
        snprintf(d->next_hash, sizeof(d->next_hash), "%.*s", STR_ARG(hash));
        /* What is believed only when it is seen twice is read twice. */
        if (hash.len > 0 && (!is_well(d) || strcmp(d->hash, d->next_hash) != 0))
            r = ask(d, INDEX_PATH "/" GROUP_PATH, on_document, &err);
    }
    if (r < 0)
        trouble(d, &err);
    else if (d->call == NULL)
        look_later(d);
}

static void look(void *object)
{
    struct kube_definitions *d = object;
    struct err err = {0};

    if (ask(d, INDEX_PATH, on_index, &err) < 0)
        trouble(d, &err);
}

void kube_definitions_open(struct kube *kube)
{
    struct kube_definitions *d = must(mem_alloc(sizeof(*d)));

    d->kube = kube;
    kube->definitions = d;
    loop_timer_init(&d->timer, look, d);
    look(d);
}

void kube_definitions_close(struct kube *kube)
{
    if (kube->definitions == NULL)
        return;
    loop_timer_stop(&kube->definitions->timer);
    kube_call_cancel(kube->definitions->call);
    mem_free(kube->definitions);
    kube->definitions = NULL;
}
