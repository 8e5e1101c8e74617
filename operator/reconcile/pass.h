/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One pass: the reconcile of one model, as a row of small steps over a shared record.
 *
 *     seen   the status as the view shows it: what is durable. Actions obey it alone.
 *     next   the status as it should be. Written at the end of the pass if it differs.
 *
 * So nothing is done before it is recorded: a pod is created when its name stands in
 * seen.pendingCreates, and sent away when it stands in seen.pods as Draining. After a write the
 * model rests until the view shows it.
 *
 * Private to reconcile/.
 */
#ifndef SPATE_OPERATOR_PASS_H
#define SPATE_OPERATOR_PASS_H

#include "operator/reconcile/queue.h"
#include "operator/reconcile/reconciler.h"
#include "operator/reconcile/world.h"

enum {
    PASS_PUT_WAIT_MS = 10 * 1000,         /* for a status write to be answered and seen */
    PASS_CREATED_WAIT_MS = 10 * 1000,     /* for a created pod to be seen */
    PASS_TAKEOVER_WAIT_MS = 2 * 1000,     /* for a recorded pod that a new leader does not see */
    PASS_ACK_WAIT_MS = 2 * 1000,          /* for every gateway to acknowledge a draining pod */
    PASS_DRAIN_HOLD_MS = 10 * 1000,       /* after a cancelled scale-down, before the next try */
    PASS_DRAIN_IDLE_MS = 60 * 1000,       /* for a drained pod to finish, with others to serve */
    PASS_DRAIN_LAST_MS = 600 * 1000,      /* the same for a model's last pod */
    PASS_DRAIN_UNREACHABLE_MS = 5 * 1000, /* for an agent that does not answer */
    PASS_DRAIN_SHUT_DOWN_MS = 15 * 1000,  /* when the platform ends for good */
    PASS_DELETE_GRACE_MS = 15 * 1000,     /* SIGTERM to SIGKILL */
    PASS_DELETE_AGAIN_MS = 30 * 1000,     /* a deletion that was not seen is asked for again */
    PASS_GATEWAY_SILENT_MS = 3 * LOAD_HEARTBEAT_MS,
    PASS_UNRESPONSIVE_MS = 6 * 1000,   /* an agent silent for so long is started again */
    PASS_START_MS = 60 * 1000,         /* the same for one that never answered */
    PASS_MEET_MS = 3 * 1000,           /* ... and what the leader before said of it holds as long */
    PASS_CAPACITY_WAIT_MS = 30 * 1000, /* a pod pending for longer lacks capacity */
    PASS_BLOCKED_WAIT_MS = 3 * 1000,   /* the same if it can't start by itself */
    PASS_PLACE_WAIT_MS = 10 * 1000,    /* for a machine, before an old pod makes place */
    PASS_WEIGHTS_AGAIN_MS = 10 * 1000, /* weights that could not be read are tried again */
    PASS_PUBLISH_GAP_MS = 10,          /* between two route snapshots */
    PASS_PUBLISH_MODELS_PER_MS = 100,  /* each so many models add a millisecond to it */
    PASS_PUBLISH_COST_TIMES = 10,      /* ... and so many times what the last one took */
    PASS_PUBLISH_GAP_MAX_MS = 1000,
    PASS_FIRST_ROUTES_WAIT_MS = 3 * 1000, /* for one more agent to answer a new leader */
    PASS_FIRST_ROUTES_MAX_MS = 10 * 1000, /* for all of them ... */
    PASS_FIRST_ROUTES_POD_MS = 1,         /* ... and as much more for each that is there */
    PASS_FIRST_ROUTES_LOOK_MS = 25,
    PASS_FIRST_ROUTES_LOOK_PODS = 1000, /* each so many make a look a millisecond later */
    PASS_TURN_KEYS = 16,                /* worked on before the loop goes on */
    PASS_PUTS_MAX = 64,                 /* status writes under way that only report */
    PASS_PROBES_MAX = 128,              /* agents that are being asked */
    PASS_CRASHES_STALLED = 3,           /* restarts without a ready pod that count as stalled */
};

enum call_kind {
    CALL_CREATE,
    CALL_DELETE,
    CALL_RESTART,
    CALL_PUT,
    CALL_DRAIN,
    CALL_WEIGHTS,
    CALL_PRICES_PUT,
    CALL_PRICES_POST,
    CALL_ROUTE_PUT,
    CALL_TENANT_PUT
};

/* A command whose result is awaited. */
struct call {
    uint64_t ticket;
    enum call_kind kind;
    char *key;     /* of the model, price book, route or tenant */
    char *subject; /* name or uid of the pod, or NULL */
};

/* A new leader's wait for the agents, since its first snapshot shows only those that answered. */
struct routes_wait {
    int64_t since_ms;
    int64_t progress_ms; /* when fewer were missing than before */
    int64_t look_ms;     /* the next look */
    size_t missing;      /* at the last one */
};

/* Statuses of tenants can't be written: none is tried before a time. All zero: they can. */
struct tenants_pause {
    int64_t until_ms;
    int64_t length_ms;
};

struct reconciler {
    struct platform *platform;
    struct world world;
    struct queue queue;
    struct queue held; /* keys whose pass wants to write or to ask when others have been answered */
    int puts, probes;  /* under way */
    struct tenants_pause tenants_pause;
    struct map calls; /* ticket bytes -> struct call */
    uint64_t ticket;  /* of the last call */

    bool leading;
    bool synced;
    bool woken;                 /* the alarm is set for now */
    int64_t synced_ms, lead_ms; /* monotonic: since when it is so */
    char *installation;
    uint64_t epoch, counter; /* of the routes in force */
    bool routes_dirty;
    bool routes_opened; /* the first snapshot of this leadership is out */
    struct routes_wait first_routes;
    int64_t published_ms;
    int64_t publish_cost_ms;                /* of the last one */
    uint64_t snapshot;                      /* number of the last one that was built */
    char routes_digest[SHA256_HEX_LEN + 1]; /* of the last content, version aside */

    bool shutting_down;
    void (*shut_down_done)(void *user);
    void *shut_down_user;
    struct reconciler_watcher watcher;
    bool working; /* on a key */

    struct reconciler_stats stats;
};

struct pass {
    struct reconciler *r;
    struct world_model *m;
    struct arena arena;
    int64_t now_ms;  /* monotonic */
    int64_t wall_ms; /* Unix time */
    const struct crd_model_spec *spec;
    const struct crd_model_status *seen;
    struct crd_model_status next;
    int64_t requeue_ms; /* monotonic; INT64_MAX: only when something happens */
    bool held;          /* it goes on as soon as there is room */
    bool unusable;      /* the stored object is */

    bool weights_ok;
};

static inline int64_t now_of(const struct reconciler *r)
{
    return clock_mono_ms(r->platform->clock);
}

static inline void pass_requeue(struct pass *p, int64_t mono_ms)
{
    if (mono_ms < p->requeue_ms)
        p->requeue_ms = mono_ms;
}

/* Others go first: it comes again when some of what is under way was answered. */
static inline void pass_hold(struct pass *p)
{
    p->held = true;
    queue_add(&p->r->held, str_of(p->m->key));
}

/* The key under which the queue asks whether a gateway fell silent. */
#define GATEWAYS_KEY "gateways:"

/* A ticket for a command about `key`. */
uint64_t reconciler_call(struct reconciler *r, enum call_kind kind, const char *key,
                         struct str subject);
/* Deletes a pod, once at a time. */
void reconciler_delete_pod(struct reconciler *r, struct world_pod *pod, int64_t grace_ms);

/* reconciler.c: there is news. A turn follows by the alarm, never inside this call. */
void reconciler_wake(struct reconciler *r);
void reconciler_add_all(struct reconciler *r);
/* Somebody claims another short name than before: all who claim one of both may have won or lost
 * it. Each may be NULL. */
void reconciler_name_moved(struct reconciler *r, const char *before, const char *now);
struct str reconciler_ticket_key(const uint64_t *ticket);
void reconciler_call_free(struct call *call); /* NULL is allowed */

/* news_gateways.c and news_results.c: entries of the platform's handler. */
void news_gateways(void *user, const struct str *names, int count);
void news_ack(void *user, struct str name, struct id128 run, const struct routes_version *have);
void news_load(void *user, const struct load_report *report);
void news_check_gateways(struct reconciler *r);
void news_result(void *user, const struct platform_result *result);
void news_probe(void *user, const struct platform_probe_result *result);

/* One whole pass over a model, or over what is left of one. */
void pass_model(struct reconciler *r, const char *key);

/* The steps, in their order. */
void pass_probe(struct pass *p);      /* liveness.c: asks the agents how they are */
void pass_name(struct pass *p);       /* checks.c: who owns the short name */
void pass_weights(struct pass *p);    /* checks.c: are the weights there */
void pass_adopt(struct pass *p);      /* pods.c: what is ours, what is a stranger */
void pass_scale(struct pass *p);      /* scale.c: how many, and why; schedules */
void pass_plan(struct pass *p);       /* plan.c: which come, which go */
void pass_going_away(struct pass *p); /* going_away.c: the protocol of those that go */
void pass_create(struct pass *p);     /* pods.c: creates what is recorded */
void pass_counts(struct pass *p);     /* summary.c: how many pods, how many ready */
void pass_summary(struct pass *p);    /* summary.c: counts and conditions */

/* liveness.c: takes the answer to a probe in; the next pass draws the conclusions. */
void liveness_answer(struct reconciler *r, struct world_pod *pod,
                     const struct platform_probe_result *result);
/* summary.c: sets a condition of `next`; its time moves only when its truth does. */
void pass_condition(struct pass *p, const char *type, enum crd_truth truth, const char *reason,
                    const char *format, ...) __attribute__((format(printf, 5, 6)));
/* The time since when it holds: that of the condition seen before, if that said the same. */
void condition_stamp(struct crd_condition *condition, const struct crd_condition *seen,
                     int seen_count, int64_t wall_ms);
/* scale.c: puts a decision in front of those kept. */
void pass_decision(struct pass *p, int64_t from, int64_t to, const char *reason, const char *text);
struct str pass_text(struct pass *p, const char *format, ...) __attribute__((format(printf, 2, 3)));
void pass_event(struct pass *p, bool warning, const char *reason, struct str note);
struct crd_pod *pass_next_pod(struct pass *p, struct str name);

/* prices.c: price books have keys of their own in the queue. */
#define PRICES_KEY_PREFIX "pricebook:"
void prices_set(struct reconciler *r, struct crd_object *object, bool deleted);
struct world_book *prices_book(const struct reconciler *r, struct str name);
/* The version in force of that book; 0: none. */
uint64_t prices_version(const struct reconciler *r, struct str name);
void pass_prices(struct reconciler *r, const char *key);
void prices_result(struct reconciler *r, const struct call *call,
                   const struct platform_result *result);

/* model_route.c: the objects ModelRoute, with keys of their own in the queue. */
#define ROUTE_KEY_PREFIX "modelroute:"
void route_set(struct reconciler *r, struct crd_object *object, bool deleted);
struct world_route *route_of_key(const struct reconciler *r, const char *key);
void route_add(struct reconciler *r, const struct world_route *route);
/* All routes that name this model: it came, went or changed. */
void routes_of_model_add(struct reconciler *r, struct str model_key);
void route_result(struct reconciler *r, const struct call *call,
                  const struct platform_result *result);
void pass_route(struct reconciler *r, const char *key);

/* tenant.c: Tenants, with keys of their own in the queue. */
#define TENANT_KEY_PREFIX "tenant:"
void tenant_set(struct reconciler *r, struct crd_object *object, bool deleted);
void tenant_add(struct reconciler *r, const struct world_tenant *tenant);
/* All tenants that name this price book: it came, went, or its first version is in force. */
void tenants_of_book_add(struct reconciler *r, struct str book);
void tenant_result(struct reconciler *r, const struct call *call,
                   const struct platform_result *result);
void pass_tenant(struct reconciler *r, const char *key);

/* routes.c, routes_first.c */
void routes_mark_dirty(struct reconciler *r);
/* A leadership begins, or its first view is complete: the agents are waited for. */
void routes_begin(struct reconciler *r);
/* False: first_routes.look_ms says when to ask again. */
bool routes_may_open(struct reconciler *r);
/* Publishes if something changed and its time has come; else returns when that will be. */
int64_t routes_turn(struct reconciler *r);
/* Every live gateway has the routes of this counter (or later ones) in force. */
bool routes_acknowledged(const struct reconciler *r, uint64_t counter);

#endif
