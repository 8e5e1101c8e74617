/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the handler is told of pods: the API's word, joined with what is known of their nodes.
 *
 *     its node is NotReady, deleted or unknown     -> LOST
 *     its node is tainted for a reclaim            -> reclaimed
 *     being deleted and LOST, given up, or stuck   -> DELETED: left behind, nobody waits for it
 *
 * The API goes on to list a dead node's pods as Running; this is what sees through that.
 */
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "operator/kube/kube_lack.h"
#include "operator/kube/kube_private.h"

#define EVENT_MEMORY "AgentOutOfMemory"

/* --- the store's types ------------------------------------------------------------------------ */

static int decode_pod(void *user, const json_t *object, const struct kube_meta *meta, void **out,
                      struct err *err)
{
    (void)user;
    return kube_pod_read((struct kube_pod **)out, object, meta, err);
}

static void release_pod(void *user, void *object)
{
    (void)user;
    kube_pod_free(object);
}

static struct str uid_of(const void *object)
{
    return kube_pod_text(object, POD_UID);
}

static struct str node_of(const void *object)
{
    return kube_pod_node(object);
}

static struct str owner_of(const void *object)
{
    return kube_pod_text(object, POD_OWNER_KEY);
}

const struct kube_store_type kube_pod_type = {
    .decode = decode_pod,
    .release = release_pod,
    .index = {[KUBE_BY_UID] = uid_of, [KUBE_BY_NODE] = node_of, [KUBE_BY_OWNER] = owner_of},
};

static int decode_node(void *user, const json_t *object, const struct kube_meta *meta, void **out,
                       struct err *err)
{
    (void)user;
    return kube_node_read((struct kube_node **)out, object, meta, err);
}

static void release_node(void *user, void *object)
{
    (void)user;
    mem_free(object);
}

const struct kube_store_type kube_node_type = {.decode = decode_node, .release = release_node};

/* --- nodes ------------------------------------------------------------------------------------ */

/* NULL: it is on none, or that is not known. */
static const struct kube_node *node_of_pod(const struct kube *kube, const struct kube_pod *pod)
{
    const struct kube_entry *entry =
        kube_store_get(kube_informer_store(kube->nodes->informer), STR_NONE, kube_pod_node(pod));

    return entry == NULL ? NULL : entry->object;
}

/* Also notes since when the node of a pod is missing. */
static bool node_is_lost(const struct kube *kube, const struct kube_pod *pod)
{
    const struct kube_node *node = node_of_pod(kube, pod);

    if (pod->node_len == 0)
        return false;
    if (node != NULL)
        return !node->ready;
    return pod->node_missing_ms > 0 &&
           clock_mono_ms(kube->platform.clock) - pod->node_missing_ms >= KUBE_NODE_MISSING_MS;
}

void kube_pod_note_node(const struct kube *kube, struct kube_pod *pod)
{
    if (pod->node_len == 0 || node_of_pod(kube, pod) != NULL)
        pod->node_missing_ms = 0;
    else if (pod->node_missing_ms == 0)
        pod->node_missing_ms = clock_mono_ms(kube->platform.clock);
}

bool kube_pod_is_lost(const struct kube *kube, const struct kube_pod *pod)
{
    return pod->phase == PLATFORM_POD_LOST || pod->given_up || node_is_lost(kube, pod);
}

bool kube_pod_is_reclaimed(const struct kube *kube, const struct kube_pod *pod)
{
    const struct kube_node *node = node_of_pod(kube, pod);

    return pod->evicted || (node != NULL && node->reclaimed);
}

bool kube_pod_is_on_demand(const struct kube *kube, const struct kube_pod *pod)
{
    const struct kube_node *node = node_of_pod(kube, pod);

    return node != NULL ? node->capacity != PLATFORM_CAPACITY_SPOT : pod->wants_on_demand;
}

static bool is_left_behind(const struct kube *kube, const struct kube_pod *pod)
{
    if (pod->gone_by_ms == 0)
        return false;
    return kube_pod_is_lost(kube, pod) ||
           clock_wall_ms(kube->platform.clock) > pod->gone_by_ms + KUBE_STUCK_MS;
}

/* --- telling ---------------------------------------------------------------------------------- */

/* The end of a message that only the nodes know. */
static struct str explain_lack(const struct kube *kube, const struct kube_pod *pod,
                               struct kube_words *words)
{
    struct kube_lack_search search = {.lack = pod->lack, .tolerated = kube_pod_tolerated(pod)};
    const struct kube_entry *entry;

    for (size_t at = 0;
         (entry = kube_store_next(kube_informer_store(kube->nodes->informer), &at)) != NULL;)
        kube_lack_see(&search, kube_entry_name(entry), entry->object);
    kube_words_add_foreign(words, kube_pod_message(pod));
    kube_lack_end(&search, words);
    return str_of(words->text);
}

static struct str message_of(const struct kube *kube, const struct kube_pod *pod,
                             struct kube_words *words)
{
    if (pod->given_up)
        return STR("its agent was out of order");
    if (pod->phase != PLATFORM_POD_LOST && node_is_lost(kube, pod))
        return STR("its node does not answer, or is gone");
    return pod->lack == KUBE_LACKS_NOTHING ? kube_pod_message(pod) : explain_lack(kube, pod, words);
}

static void tell(const struct kube *kube, enum platform_change change,
                 const struct kube_entry *entry)
{
    const struct kube_pod *pod = entry->object;
    const struct kube_node *node = node_of_pod(kube, pod);
    struct kube_words words = {0};

    kube->platform.handler->on_pod(
        kube->platform.user, change,
        &(struct platform_pod){
            .record = pod->record,
            .deleting = pod->gone_by_ms > 0,
            .reclaimed = kube_pod_is_reclaimed(kube, pod),
            .unplaced = pod->unplaced,
            .blocked = pod->blocked,
            .phase = kube_pod_is_lost(kube, pod) ? PLATFORM_POD_LOST : pod->phase,
            .capacity = node != NULL ? node->capacity : PLATFORM_CAPACITY_UNKNOWN,
            .message = message_of(kube, pod, &words),
        });
}

/* Of a model whose object can't be read nothing is told, so that nothing is done about it. Nor of
 * one whose namespace can't be. */
static bool is_held(const struct kube *kube, const struct kube_entry *entry)
{
    const struct kube_pod *pod = entry->object;

    if (kube_namespace_is_absent(kube, kube_entry_space(entry)))
        return true;
    for (const struct kube_view *view = kube->views; view != NULL; view = view->next) {
        const struct kube_entry *model;
        const struct kube_custom *custom;

        if (view->kind == NULL || view->kind->id != CRD_MODEL_DEPLOYMENT)
            continue;
        model = kube_store_get(kube_informer_store(view->informer), kube_entry_space(entry),
                               pod_record_owner_name(pod->record));
        custom = model == NULL ? NULL : model->object;
        if (custom != NULL && custom->object == NULL)
            return true;
    }
    return false;
}

void kube_pods_tell(struct kube *kube, const struct kube_entry *entry)
{
    struct kube_pod *pod = entry->object;

    if (!kube->synced || kube->closing || !kube_pod_is_owned(pod))
        return;
    kube_pod_note_node(kube, pod);
    if (is_left_behind(kube, pod)) {
        if (pod->told && pod->phase != PLATFORM_POD_LOST) /* else its containers have ended */
            log_info("a pod is left behind", LOG_VIEW("pod", kube_entry_name(entry)),
                     LOG_VIEW("node", kube_pod_node(pod)));
        if (pod->told)
            tell(kube, PLATFORM_DELETED, entry);
        pod->told = false;
    } else if (!is_held(kube, entry)) {
        bool was_told = pod->told;

        pod->told = true;
        tell(kube, was_told ? PLATFORM_MODIFIED : PLATFORM_ADDED, entry);
    }
}

/* The limit ends an agent while it works, so it is silent and replaced before its node says why. So
 * that is told by an event about its model, whatever has become of the pod. */
static void tell_out_of_memory(struct kube *kube, const struct kube_entry *entry)
{
    const struct kube_pod *pod = entry->object;
    const struct kube_event_about model = {
        .api_version = CRD_API_VERSION,
        .kind = crd_kinds[CRD_MODEL_DEPLOYMENT]->kind,
        .name_space = kube_entry_space(entry),
        .name = pod_record_owner_name(pod->record),
        .uid = kube_pod_text(pod, POD_OWNER_UID),
    };
    struct kube_words words = {0};

    if (kube->epoch == 0 || !kube_pod_is_owned(pod))
        return;
    kube_words_add_foreign(&words, kube_entry_name(entry));
    kube_words_add(&words, ": ");
    kube_words_out_of_memory(&words);
    kube_events_record(kube_recorder_events(kube->recorder), &model, true, EVENT_MEMORY, "Watch",
                       str_of(words.text));
}

void kube_pod_changed(struct kube *kube, enum kube_change change, const struct kube_entry *entry,
                      const void *before)
{
    const struct kube_pod *old = before;
    struct kube_pod *pod = entry->object;

    if (old != NULL) {
        pod->told = old->told;
        pod->given_up = old->given_up;
        pod->node_missing_ms = old->node_missing_ms;
        pod->key_shown_ms = old->key_shown_ms;
    }
    if (old != NULL && pod->out_of_memory && !old->out_of_memory)
        tell_out_of_memory(kube, entry);
    if (change != KUBE_DELETED) {
        kube_pods_tell(kube, entry);
    } else if (pod->told && !kube->closing) {
        pod->told = false;
        tell(kube, PLATFORM_DELETED, entry);
    }
}

/* --- news of a node --------------------------------------------------------------------------- */

void kube_node_changed(struct kube *kube, enum kube_change change, const struct kube_entry *entry,
                       const void *before)
{
    const struct kube_node *node = entry->object;
    const struct kube_node *old = before;
    int64_t long_ago = clock_mono_ms(kube->platform.clock) - KUBE_NODE_MISSING_MS;

    if (!kube->synced || kube->closing)
        return;
    if (change == KUBE_MODIFIED && old->ready == node->ready && old->reclaimed == node->reclaimed &&
        old->capacity == node->capacity)
        return;
    for (const struct kube_view *view = kube->views; view != NULL; view = view->next) {
        const struct kube_entry *next;

        if (!kube_view_has_agents(view))
            continue;
        for (const struct kube_entry *at = kube_store_index_first(
                 kube_informer_store(view->informer), KUBE_BY_NODE, kube_entry_name(entry));
             at != NULL; at = next) {
            struct kube_pod *pod = at->object;

            next = kube_store_index_next(at, KUBE_BY_NODE);
            if (change == KUBE_DELETED)
                pod->node_missing_ms = long_ago > 0 ? long_ago : 1; /* known to be gone */
            kube_pods_tell(kube, at);
        }
    }
    kube_gateways_tell(kube);
}

void kube_pods_sweep(struct kube *kube, const struct kube_store *pods)
{
    const struct kube_entry *entry;

    for (size_t at = 0; (entry = kube_store_next(pods, &at)) != NULL;) {
        const struct kube_pod *pod = entry->object;

        if (pod->told && (pod->node_missing_ms > 0 || pod->gone_by_ms > 0 || pod->given_up))
            kube_pods_tell(kube, entry);
    }
}

void kube_pod_give_up(struct kube *kube, struct str uid)
{
    const struct kube_entry *entry = kube_pod_by_uid(kube, uid);
    struct kube_pod *pod = entry == NULL ? NULL : entry->object;

    if (pod == NULL || pod->given_up)
        return;
    pod->given_up = true;
    if (kube->synced)
        loop_timer_start(kube->loop, &kube->sweep, 0); /* not inside the command */
}
