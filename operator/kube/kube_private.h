/* SPDX-License-Identifier: Apache-2.0 */
/* The inside of platform kube, shared by its files. */
#ifndef SPATE_OPERATOR_KUBE_PRIVATE_H
#define SPATE_OPERATOR_KUBE_PRIVATE_H

#include "base/fetch.h"
#include "base/http_client.h"
#include "operator/common/agents.h"
#include "operator/common/results.h"
#include "operator/common/signer.h"
#include "operator/common/zones.h"
#include "operator/kube/client/kube_api.h"
#include "operator/kube/client/kube_elector.h"
#include "operator/kube/client/kube_informer.h"
#include "operator/kube/client/kube_recorder.h"
#include "operator/kube/kube.h"
#include "operator/kube/kube_crd.h"
#include "operator/kube/kube_names.h"
#include "operator/kube/kube_node.h"
#include "operator/kube/kube_pod.h"

enum {
    KUBE_NAMESPACES_MAX = 256,
    KUBE_GATEWAYS_MAX = 64,
    KUBE_SWEEP_MS = 1000,               /* between looks at what no event tells */
    KUBE_TRIM_MS = 10 * 1000,           /* between looks at memory that a peak left */
    KUBE_NODE_MISSING_MS = 5 * 1000,    /* a pod's node may be seen so much later than the pod */
    KUBE_STUCK_MS = 10 * 1000,          /* past a deletion's grace: the pod is left behind */
    KUBE_WRITE_MS = 500,                /* what is left of the lease when a write is sent */
    KUBE_STATUS_INTERVAL_MS = 5 * 1000, /* between status writes that nobody waits for */
    KUBE_NAME_TEXT_MAX = 253,
    KUBE_SECRET_HEX = 64,
    KUBE_CURE_MAX = 512,
};

/* Indexes of the pods. */
enum { KUBE_BY_UID, KUBE_BY_NODE, KUBE_BY_OWNER };

/* One kind in one namespace (or in all) as it is watched. */
struct kube_view {
    struct kube *kube;
    const struct kube_resource *resource;
    const struct crd_kind *kind; /* of our own objects; else NULL */
    struct kube_resource own;    /* of the kind; private */
    struct str name_space;       /* empty: all */
    struct kube_informer *informer;
    bool synced;
    bool stale;        /* to be listed anew before we lead */
    bool absent;       /* it may not be read, and nobody waits for it: kube_absence.c */
    int64_t denied_ms; /* monotonic: of the first denial in a row; 0: none */
    int64_t denial_ms; /* of the last one */
    size_t tell_at;    /* kube_tell.c: where it stands, and whether this round found something */
    bool tell_found;
    struct kube_view *next;
};

struct kube {
    struct platform platform;
    struct kube_options options;
    struct loop *loop;
    struct kube_api *api;
    struct kube_elector *elector;
    struct kube_recorder *recorder;
    struct fetcher *fetcher;
    struct http_client *relays_client;
    struct results results;
    struct signer signer;
    struct agents agents;
    struct zones zones;
    struct loop_timer alarm, sweep, telling;
    struct loop_deferred absence;
    const char *name_space;
    char public_key[2 * TOKEN_KEY_BYTES + 1];
    char identity[KUBE_LEASE_IDENTITY_MAX];
    char installation[64];
    char admin_token[KUBE_SECRET_HEX + 1]; /* of --state; empty: nobody has it */

    struct kube_view *views;
    struct kube_view *nodes, *gateways; /* two of them */
    bool synced;                        /* all views are complete, and news are told as they come */
    bool told;                          /* and the handler knows all that was there before */
    bool closing;
    int64_t trimmed_ms; /* monotonic */
    uint64_t term;      /* of the lease while we hold it; else 0 */
    uint64_t epoch;     /* the term once our views are fresh: we lead. Else 0 */
    int64_t elected_ms;

    char *gateway_names[KUBE_GATEWAYS_MAX]; /* as told */
    int gateway_count;
    bool gateways_told;

    struct kube_definitions *definitions;
    struct map budgets;                  /* "namespace/model" -> its disruption budget */
    int64_t budgets_ms;                  /* monotonic: of the last look for those that lack */
    const struct kube_view *budget_view; /* where the next look begins; NULL: at the first */
    size_t budget_at;
    struct kube_write *writes;    /* commands under way */
    struct kube_review *reviews;  /* of gateways' credentials */
    struct kube_relayed *relayed; /* requests passed on to the leader */
};

static inline struct kube *kube_of_platform(struct platform *p)
{
    return (struct kube *)p; /* the first member */
}

extern const struct kube_resource kube_pods_resource;

/* kube_views.c */
int kube_views_open(struct kube *kube, struct err *err);
void kube_views_start(struct kube *kube);
void kube_views_close(struct kube *kube);
/* Of agents, in some of the namespaces. */
bool kube_view_has_agents(const struct kube_view *view);
/* NULL: not known (any more). */
const struct kube_entry *kube_pod_by_uid(const struct kube *kube, struct str uid);

/* All views are complete, but of what is absent: they are told of. */
void kube_views_go_on(struct kube *kube);

/* kube_absence.c: namespaces that may not be read any more */
void kube_absence_init(struct kube *kube);
void kube_absence_stop(struct kube *kube);
/* A list or watch failed. */
void kube_absence_note(struct kube_view *view, const struct err *err);
/* The view was listed. */
void kube_absence_end(struct kube_view *view);
/* Nothing but ends is told of it. */
bool kube_namespace_is_absent(const struct kube *kube, struct str name_space);

/* kube_tell.c: all views are complete. Ends with on_synced. */
void kube_tell_begin(struct kube *kube);
void kube_tell_stop(struct kube *kube);
/* The handler reads the status now or never. */
void kube_tell_custom(const struct kube *kube, enum platform_change change,
                      const struct kube_entry *entry);

/* kube_pods.c: what becomes of a pod and its node */
extern const struct kube_store_type kube_pod_type, kube_node_type;
void kube_pod_changed(struct kube *kube, enum kube_change change, const struct kube_entry *entry,
                      const void *before);
void kube_node_changed(struct kube *kube, enum kube_change change, const struct kube_entry *entry,
                       const void *before);
void kube_pods_tell(struct kube *kube, const struct kube_entry *entry);
/* Notes since when its node is missing. */
void kube_pod_note_node(const struct kube *kube, struct kube_pod *pod);
bool kube_pod_is_lost(const struct kube *kube, const struct kube_pod *pod);
/* It is evicted, or its node gave notice: it serves for seconds more. */
bool kube_pod_is_reclaimed(const struct kube *kube, const struct kube_pod *pod);
/* It is not on a spot node; before it is on any: it asked for none. */
bool kube_pod_is_on_demand(const struct kube *kube, const struct kube_pod *pod);
/* Looks at what no event tells: nodes that stay missing, deletions that do not end. */
void kube_pods_sweep(struct kube *kube, const struct kube_store *pods);
/* The pod is not to be trusted any more: told as lost, and gone once its deletion is asked for. */
void kube_pod_give_up(struct kube *kube, struct str uid);

/* kube_gateways.c */
void kube_gateways_tell(struct kube *kube);
void kube_gateway_admit(void *user, struct str credential, struct str name, endpoints_admitted done,
                        void *done_user);
void kube_reviews_cancel(struct kube *kube);

/* kube_writes.c */
struct kube_write {
    struct kube *kube;
    struct kube_call *call;
    uint64_t ticket; /* 0: nobody waits for the answer */
    char *owner_key; /* of a pod that is being created: "namespace/model"; else NULL */
    bool on_demand;  /* that pod asks for it */
    struct kube_write *next, **back;
};
/* `ticket` 0: nobody waits for its answer. */
struct kube_write *kube_write_new(struct kube *kube, uint64_t ticket);
struct kube_reply kube_write_reply(struct kube_write *write);
/* A failure to send it is its answer, and it is freed. */
void kube_write_settle(struct kube_write *write, int code, const struct err *err);
void kube_writes_cancel(struct kube *kube);
/* Refused where another may lead already. */
int kube_check_lead(const struct kube *kube, struct err *err);

/* kube_commands.c */
extern const struct platform_ops kube_ops;

/* kube_pod_commands.c, kube_agent_commands.c: see platform.h. */
void kube_pod_create(struct platform *p, uint64_t ticket, const struct platform_pod_spec *spec);
void kube_pod_delete(struct platform *p, uint64_t ticket, struct str name_space, struct str name,
                     struct str uid, int64_t grace_ms);
void kube_pod_restart(struct platform *p, uint64_t ticket, struct str name_space, struct str name,
                      struct str uid);
void kube_agent_probe(struct platform *p, struct str pod_uid);
void kube_agent_drain(struct platform *p, uint64_t ticket, struct str pod_uid);

/* kube_budget.c */
void kube_budgets_init(struct kube *kube);
/* Forgets all, cancels what is under way. */
void kube_budgets_clear(struct kube *kube);
/* The model's budget is to be for as many replicas as its status wants. */
void kube_budget_follow(struct kube *kube, const struct kube_custom *model);
/* Looks for budgets that lack: their write failed, or a leader before us left it undone. */
void kube_budgets_sweep(struct kube *kube);
void kube_budget_forget(struct kube *kube, const struct crd_object *model);

/* kube_definitions.c: whether the API server knows every field that we do */
void kube_definitions_open(struct kube *kube);
void kube_definitions_close(struct kube *kube);
/* The command that brings the definitions up to date. */
void kube_definitions_cure(const struct kube *kube, char out[KUBE_CURE_MAX]);
/* An event about an object of a kind whose definition lacks something, if we lead. */
void kube_definitions_tell(const struct kube *kube, const struct crd_object *object);
/* The same for all that there are. */
void kube_definitions_tell_all(const struct kube *kube);

/* kube_lead.c */
/* Of a struct kube_view: its list is as fresh as our term. */
void kube_view_is_fresh(void *view);
/* We lead if we hold the lease and all views are fresh, but of what is absent. */
void kube_lead_go_on(struct kube *kube);
int kube_lead_open(struct kube *kube, const char *address, struct err *err);
void kube_lead_close(struct kube *kube);
/* "10.77.1.5:7001" of who leads; empty: nobody, or it is us. */
struct str kube_leader_address(const struct kube *kube);
bool kube_leads_for_sure(const struct kube *kube);

/* kube_key.c */
int kube_key_fetch(struct kube *kube, struct err *err);

/* kube_report.c */
/* `address` is where we listen. */
int kube_report_open(struct kube *kube, const char *address, struct err *err);
bool kube_handle(void *user, struct http_exchange *x);

/* kube_relay.c */
bool kube_relay(void *user, struct http_exchange *x);
/* Those that wait for a leader that is not `address` any more are answered. */
void kube_relay_leader_is(struct kube *kube, struct str address);
void kube_relay_close(struct kube *kube);

#endif
