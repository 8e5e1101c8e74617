/* SPDX-License-Identifier: Apache-2.0 */
/* The views of pods, and the answers of their agents. */
#include <string.h>

#include "operator/common/must.h"
#include "operator/reconcile/world.h"

static struct str uid_of(const void *user, const void *item)
{
    (void)user;
    return world_pod_uid(item);
}

static struct str hex_of(const void *user, const void *item)
{
    (void)user;
    return str_of(((const struct world_digest *)item)->hex);
}

void world_pods_init(struct world *w)
{
    set_init(&w->pods, WORLD_PODS_MAX, uid_of, NULL);
    set_init(&w->digests, WORLD_PODS_MAX, hex_of, NULL);
}

struct world_pod *world_pod_find(const struct world *w, struct str uid)
{
    return set_get(&w->pods, uid);
}

struct world_pod *world_model_pod(const struct world_model *m, struct str name)
{
    for (size_t i = 0; i < m->pod_count; i++) {
        if (str_eq(world_pod_name(m->pods[i]), name))
            return m->pods[i];
    }
    return NULL;
}

/* --- agents ----------------------------------------------------------------------------------- */

bool world_pod_ready(const struct world_pod *pod)
{
    return pod->phase == PLATFORM_POD_RUNNING && pod->answered && pod->probe_failures == 0 &&
           !pod->stalled && pod->status.state == WORLD_AGENT_READY;
}

bool world_pod_drains(const struct world_pod *pod)
{
    return pod->answered && pod->status.state == WORLD_AGENT_DRAINING;
}

static void digest_drop(struct world *w, struct world_digest *digest)
{
    if (digest == NULL || --digest->users > 0)
        return;
    (void)set_remove(&w->digests, str_of(digest->hex));
    mem_free(digest);
}

static struct world_digest *digest_get(struct world *w, const char *hex)
{
    struct world_digest *digest = set_get(&w->digests, str_of(hex));

    if (hex[0] == '\0')
        return NULL;
    if (digest == NULL) {
        digest = must(mem_alloc(sizeof(*digest)));
        memcpy(digest->hex, hex, sizeof(digest->hex));
        (void)must(set_put(&w->digests, digest, NULL) == 0 ? digest : NULL);
    }
    digest->users++;
    return digest;
}

static enum world_agent_state state_of(const char *text)
{
    static const char *const names[] = {[WORLD_AGENT_LOADING] = "loading",
                                        [WORLD_AGENT_READY] = "ready",
                                        [WORLD_AGENT_DRAINING] = "draining",
                                        [WORLD_AGENT_FAILED] = "failed"};

    for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
        if (strcmp(text, names[i]) == 0)
            return (enum world_agent_state)i;
    }
    return WORLD_AGENT_OTHER;
}

static uint32_t fitting(uint64_t count)
{
    return count < UINT32_MAX ? (uint32_t)count : UINT32_MAX;
}

void world_pod_answered(struct world *w, struct world_pod *pod, const struct stream_status *status)
{
    struct world_agent *agent = &pod->status;
    struct world_digest *before = agent->digest;

    agent->digest = digest_get(w, status->digest);
    digest_drop(w, before);
    agent->state = state_of(status->state);
    world_text_set(&agent->detail, str_of(status->detail));
    agent->slots = fitting(status->slots);
    agent->context_max = fitting(status->context_max);
    agent->running = fitting(status->running);
    agent->waiting = fitting(status->waiting);
    agent->unacknowledged = fitting(status->unacknowledged);
    agent->ready_ms = status->ready_ms;
}

void world_pod_forget_agent(struct world_pod *pod)
{
    pod->answered = false;
    pod->probe_failures = 0;
    pod->failing_since_ms = 0;
    pod->probe_due_ms = 0;
    pod->probing = false;
    pod->stalled = false;
    pod->suspect = false;
    pod->restart_asked = false;
    pod->drain_told_ms = 0;
    pod->drain_ticket = 0;
}

/* --- views ------------------------------------------------------------------------------------ */

static void pod_free(struct world *w, struct world_pod *pod)
{
    digest_drop(w, pod->status.digest);
    mem_free(pod->status.detail);
    mem_free(pod->message);
    pod_record_unref(pod->record);
    mem_free(pod);
}

/* Without its view, but for the record, by which it is found. */
static struct world_pod *pod_new(struct world *w, const struct platform_pod *view)
{
    struct world_model *m = world_model_get(w, pod_record_text(view->record, POD_OWNER_KEY));
    struct world_pod *pod;

    if (m == NULL)
        return NULL;
    pod = must(mem_alloc(sizeof(*pod)));
    pod->record = pod_record_ref(view->record);
    if (set_put(&w->pods, pod, NULL) < 0) {
        pod_free(w, pod);
        world_model_settle(w, m);
        return NULL;
    }
    pod->model = m;
    if (m->pod_count == m->pod_cap) {
        m->pod_cap = m->pod_cap == 0 ? 4 : 2 * m->pod_cap;
        m->pods = must(mem_resize(m->pods, m->pod_cap, sizeof(*m->pods)));
    }
    m->pods[m->pod_count++] = pod;
    return pod;
}

static void take_view(struct world_pod *pod, const struct platform_pod *view)
{
    struct pod_record *before = pod->record;

    pod->record = pod_record_ref(view->record);
    pod_record_unref(before);
    world_text_set(&pod->message, view->message);
    pod->phase = view->phase;
    pod->capacity = view->capacity;
    pod->deleting = view->deleting;
    pod->reclaimed = view->reclaimed;
    pod->reporting = view->reporting;
    pod->unplaced = view->unplaced;
    pod->blocked = view->blocked;
}

/* The agent in it is another run than the one that was asked. */
static bool is_another_run(const struct world_pod *pod, const struct platform_pod *view)
{
    return pod->record->restarts != view->record->restarts ||
           !str_eq(world_pod_address(pod), pod_record_text(view->record, POD_ADDRESS));
}

struct world_pod *world_pod_set(struct world *w, const struct platform_pod *view)
{
    struct world_pod *pod = world_pod_find(w, pod_record_text(view->record, POD_UID));
    struct world_create *create;

    if (pod == NULL)
        pod = pod_new(w, view);
    else if (is_another_run(pod, view))
        world_pod_forget_agent(pod);
    if (pod == NULL)
        return NULL;
    take_view(pod, view);
    create = world_create_find(pod->model, world_pod_name(pod));
    if (create != NULL)
        create->shown = true;
    return pod;
}

void world_pod_remove(struct world *w, struct world_pod *pod)
{
    struct world_model *m = pod->model;

    for (size_t i = 0; i < m->pod_count; i++) {
        if (m->pods[i] == pod) {
            m->pods[i] = m->pods[--m->pod_count];
            break;
        }
    }
    (void)set_remove(&w->pods, world_pod_uid(pod));
    pod_free(w, pod);
}

void world_pods_fini(struct world *w)
{
    struct world_pod *pod;

    for (size_t at = 0; (pod = set_next(&w->pods, &at)) != NULL;)
        pod_free(w, pod);
    set_fini(&w->pods);
    set_fini(&w->digests);
}
