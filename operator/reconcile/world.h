/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the reconciler knows: the last view of every object, pod and gateway, and beside it the
 * little that it remembers of its own doing (commands under way, probes, measured cold starts).
 * Nothing here decides; and nothing here must survive: after a restart all of it comes again from
 * the watches, the probes and the load reports.
 *
 *     models ("namespace/name") --> object, typed spec and status
 *                               --> pods of that owner
 *                               --> load by gateway
 */
#ifndef SPATE_OPERATOR_WORLD_H
#define SPATE_OPERATOR_WORLD_H

#include "autoscale/policy.h"
#include "base/arena.h"
#include "base/map.h"
#include "base/set.h"
#include "crd/model_deployment.h"
#include "crd/model_route.h"
#include "operator/platform.h"
#include "operator/reconcile/ready.h"
#include "operator/reconcile/world_tenant.h"

enum {
    WORLD_MODELS_MAX = ROUTES_MODELS_MAX,
    WORLD_PODS_MAX = ROUTES_PODS_MAX,
    WORLD_CLAIMS_MAX = ROUTES_MODELS_MAX + ROUTES_ROUTES_MAX,
    WORLD_GATEWAYS_MAX = 64,
    WORLD_KEY_MAX = 2 * CRD_NAME_MAX + 2, /* "namespace/name" */
    WORLD_COLD_STARTS = 16,               /* remembered per model */
    WORLD_PARSE_BYTES = 8 << 20,
};

struct world_model;

/* An agent's digest, which those of a model have in common. */
struct world_digest {
    uint32_t users; /* agents that have it */
    char hex[SHA256_HEX_LEN + 1];
};

enum world_agent_state {
    WORLD_AGENT_LOADING,
    WORLD_AGENT_READY,
    WORLD_AGENT_DRAINING,
    WORLD_AGENT_FAILED,
    WORLD_AGENT_OTHER, /* none that is known here */
};

/* What of an agent's last answer is of use. Counts beyond 32 bits are the most that fits. */
struct world_agent {
    struct world_digest *digest; /* NULL: none */
    char *detail;                /* for people; NULL: none */
    int64_t ready_ms;            /* Unix time; 0: not yet */
    uint32_t slots;
    uint32_t context_max;
    uint32_t running, waiting;
    uint32_t unacknowledged;
    enum world_agent_state state;
};

/* A pod as last seen, and what is known of the agent in it. Times are of the monotonic clock. There
 * may be a hundred thousand: its texts are the platform's, see pod_record.h. */
struct world_pod {
    struct pod_record *record;
    struct world_model *model;
    char *message; /* why it does not run, for people; NULL: fine */

    struct world_agent status; /* the last answer */
    int64_t answered_ms;       /* when it came */
    int64_t probe_due_ms;
    int64_t failing_since_ms; /* of the first failure in a row; 0: none */
    int probe_failures;       /* in a row */

    enum platform_pod_phase phase : 8;
    enum platform_capacity capacity : 8;
    bool deleting : 1; /* this and the next: see struct platform_pod */
    bool reclaimed : 1;
    bool reporting : 1;
    bool unplaced : 1;
    bool blocked : 1;

    bool probing : 1;
    bool met : 1;              /* an agent in it answered once, or did not for PASS_MEET_MS */
    bool answered : 1;         /* `status` is of this run of the agent */
    bool ever_ready : 1;       /* seen ready, so it may have been routed to */
    bool cold_start_taken : 1; /* its start was measured already */
    bool stalled : 1;          /* a gateway saw its engine stand still */
    bool suspect : 1;          /* a gateway gave it up, and it has not answered since */
    bool restart_asked : 1;    /* for this run of the agent */
    uint64_t restart_ticket;   /* of the call under way; 0: none */

    uint64_t routed;        /* number of the last snapshot that lists it with its model */
    uint64_t drain_counter; /* of the first routes that show it draining; 0: none yet */
    int64_t drain_published_ms;
    int64_t drain_told_ms;  /* the agent was told; 0: not yet */
    uint64_t drain_ticket;  /* of the call under way; 0: none */
    uint64_t delete_ticket; /* the same */
    int64_t delete_sent_ms; /* 0: not yet */
};

static inline struct str world_pod_name(const struct world_pod *pod)
{
    return pod_record_text(pod->record, POD_NAME);
}

static inline struct str world_pod_uid(const struct world_pod *pod)
{
    return pod_record_text(pod->record, POD_UID);
}

/* Empty until it is known. */
static inline struct str world_pod_address(const struct world_pod *pod)
{
    return pod_record_text(pod->record, POD_ADDRESS);
}

struct world_gateway {
    char *name;
    bool live; /* in the platform's set */
    bool reported;
    bool silent; /* and all models know it */
    struct id128 run;
    uint64_t sequence;
    int64_t report_ms; /* when the last report came */
    int64_t uptime_ms; /* of the gateway, in it */
    bool acked;
    uint64_t acked_epoch, acked_counter;
};

/* The last word of one gateway about one model. */
struct world_load {
    const struct world_gateway *gateway;
    struct id128 run;
    uint64_t in_flight;
    uint64_t queued;
    int64_t idle_ms;
    int64_t report_ms;
};

/* A creation that this run of the operator has asked for. */
struct world_create {
    char *name;
    uint64_t ticket; /* of the call under way; 0: answered */
    bool done;       /* created, or found to exist */
    bool shown;      /* the pod was seen; if it is not there now, it is gone */
    int64_t done_ms;
};

struct world_weights {
    char *uri; /* what the answer is about; NULL: nothing asked yet */
    uint64_t ticket;
    bool known;
    int code;
    char *message;
    int64_t checked_ms;
};

struct world_model {
    char *key;                 /* "namespace/name" */
    struct crd_object *object; /* NULL: not there, but pods of it still are */
    struct arena arena;        /* of spec and status */
    struct crd_model_spec spec;
    struct crd_model_status status;
    bool has_status;  /* the object has one */
    char *spec_fault; /* why the stored object can't be used; NULL: fine */
    char template_hash[PLATFORM_HASH_LEN + 1];
    char *claimed_name; /* the short name that it claims now, or NULL */

    struct world_pod **pods;
    size_t pod_count, pod_cap;
    struct world_load *loads;
    size_t load_count;
    struct world_create *creates;
    size_t create_count, create_cap;

    uint64_t put_ticket; /* a status is being written; 0: none */
    bool put_unseen;     /* written, but the view still shows what was before */
    bool put_unsure; /* a write may or may not have happened: nothing is done until that is known */
    char *put_base;  /* resourceVersion that it was written on */
    int64_t put_ms;

    struct autoscale_state autoscale;
    struct world_weights weights;
    uint32_t cold_starts_ms[WORLD_COLD_STARTS];
    uint64_t cold_start_count;
    /* The template of the newest one; empty: none. */
    char cold_start_hash[PLATFORM_HASH_LEN + 1];
    int64_t drain_hold_until_ms; /* no scale-down before: a gateway was silent */
    int64_t left_ms;             /* one of its pods was on its way out until then */
    uint64_t context_max;        /* as the last ready agent said; 0: none yet */
    char *create_message;        /* why the last creation was refused; NULL: it was not */
    bool quota_full;             /* ... namely for want of room in a quota */
    bool place_made;   /* an old pod went for one that was refused so, and none came yet */
    char *hold_reason; /* for the routes; NULL: fine */
    bool name_accepted;
};

struct world_route {
    char *key; /* "namespace/name" */
    struct crd_object *object;
    struct arena arena; /* of spec and status */
    struct crd_route_spec spec;
    struct crd_route_status status;
    bool has_status;
    char *spec_fault; /* as of a model */
    char *claimed_name;
    bool name_accepted;
    uint64_t put_ticket;
    int64_t put_ms; /* a status was written and not seen yet; 0: none */
};

struct world {
    struct map models;  /* "namespace/name" -> struct world_model */
    struct set pods;    /* struct world_pod by uid */
    struct set digests; /* struct world_digest by hex */
    struct map tenants; /* name -> struct world_tenant */
    struct map payers;  /* name of a book -> struct world_tenant, the first that names it */
    size_t tenants_served, tenants_max;
    struct map books;  /* name -> struct world_book */
    struct map routes; /* "namespace/name" -> struct world_route */
    struct map claims; /* short name -> struct world_claim */
    struct world_gateway gateways[WORLD_GATEWAYS_MAX];
    size_t gateway_count;
};

/* A PriceBook as seen, and how far its present version got. */
struct world_book {
    struct crd_object *object;
    int64_t version; /* as its status says */
    int64_t posted_version;
    char digest[SHA256_HEX_LEN + 1];
    int64_t posting_version;          /* under way to the ledger */
    int64_t accepted_version;         /* the ledger said so in this run */
    uint64_t put_ticket, post_ticket; /* of the calls under way; 0: none */
    int64_t put_ms;                   /* a status was written and not seen yet; 0: none */
    struct ready ready;
    char *refusal;   /* of its version, and why it is not in force; NULL: none is known */
    bool refused;    /* by the ledger, which will not think better of it */
    int64_t lost_ms; /* a write was taken, but nothing of it kept; 0: none */
};
void world_book_free(struct world_book *book);

/* Who claims a short name: one of both. */
struct world_claimant {
    struct world_model *model;
    struct world_route *route;
};

struct world_claim {
    struct world_claimant *claimants;
    size_t count, cap;
};

/* What a route finds where one of its targets should be. */
enum world_target { WORLD_TARGET_OK, WORLD_TARGET_MISSING, WORLD_TARGET_NOT_PERMITTED };

void world_init(struct world *w);
void world_fini(struct world *w);
void world_pods_init(struct world *w); /* these two: for the former */
void world_pods_fini(struct world *w);

/* Replaces a message of ours (cut at PLATFORM_MESSAGE_MAX); an empty one is NULL. */
void world_text_set(char **owned, struct str text);

struct world_model *world_model_find(const struct world *w, struct str key);
/* Takes the view of an object over (NULL: it is gone). Returns its model, or NULL if that is now
 * nothing at all. */
struct world_model *world_model_set(struct world *w, struct str key, struct crd_object *object);
/* NULL: there are too many. */
struct world_model *world_model_get(struct world *w, struct str key);
/* Drops the model if neither object nor pods are left. */
void world_model_settle(struct world *w, struct world_model *m);

struct world_route *world_route_find(const struct world *w, struct str key);
/* Takes the view of an object over (NULL: it is gone); NULL too if there are too many. */
struct world_route *world_route_set(struct world *w, struct str key, struct crd_object *object);
void world_route_free(struct world *w, struct world_route *route);
/* `key` becomes the target's "namespace/name". */
enum world_target world_route_target(const struct world *w, const struct world_route *route,
                                     struct str target, char key[WORLD_KEY_MAX]);
/* Whether the model is one of its targets or fallbacks. */
bool world_route_names(const struct world_route *route, struct str model_key);

/* `claimed_name` belongs to the claimant; NULL: it claims none. */
void world_claim_set(struct world *w, struct world_claimant who, char **claimed_name,
                     struct str name);
void world_claim_drop(struct world *w, struct world_claimant who, char **claimed_name);
/* Whose the name is; NULL: nobody's. */
const struct crd_object *world_claim_owner(const struct world *w, const char *name);

struct world_pod *world_pod_find(const struct world *w, struct str uid);
struct world_pod *world_pod_set(struct world *w, const struct platform_pod *view);
void world_pod_answered(struct world *w, struct world_pod *pod, const struct stream_status *status);
/* Nothing that its agent said, or left unanswered, counts any more. */
void world_pod_forget_agent(struct world_pod *pod);
void world_pod_remove(struct world *w, struct world_pod *pod);
/* Leadership is over: what was asked for will not be answered any more, and what routes showed, how
 * busy the models are, how many replicas they need and how the agents are is another leader's to
 * say. What the views show stays. */
void world_forget_doing(struct world *w);
/* The same of one model: its object is gone. */
void world_model_forget_doing(struct world_model *m);
struct world_pod *world_model_pod(const struct world_model *m, struct str name);
/* The agent answers and takes requests. */
bool world_pod_ready(const struct world_pod *pod);
/* The agent answers and refuses new work: that can't be undone. */
bool world_pod_drains(const struct world_pod *pod);

void world_gateways_set(struct world *w, const struct str *names, int count);
struct world_gateway *world_gateway_find(struct world *w, struct str name);
struct world_load *world_load_get(struct world_model *m, const struct world_gateway *gateway);

struct world_create *world_create_find(const struct world_model *m, struct str name);
struct world_create *world_create_add(struct world_model *m, struct str name);
void world_create_remove(struct world_model *m, struct world_create *create);

void world_cold_start_add(struct world_model *m, int64_t ms);
/* The value below which `percent` of the remembered cold starts lie; 0: none. */
int64_t world_cold_start_percentile(const struct world_model *m, int percent);

/* The hash of all settings that a pod is made with. */
void world_template_hash(const struct crd_model_spec *spec, char out[PLATFORM_HASH_LEN + 1]);

#endif
