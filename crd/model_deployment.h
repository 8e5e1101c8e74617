/* SPDX-License-Identifier: Apache-2.0 */
/* ModelDeployment as C structs. Zero stands for "not given" where a comment says so. */
#ifndef SPATE_CRD_MODEL_DEPLOYMENT_H
#define SPATE_CRD_MODEL_DEPLOYMENT_H

#include "crd/condition.h"
#include "crd/object.h"

enum {
    CRD_REPLICAS_DEFAULT = 1, /* also in mode Auto, where it is not obeyed */
    CRD_REPLICAS_MAX = 1000,
    CRD_WARMUPS_MAX = 16,
    CRD_FROM_NAMESPACES_MAX = 64,
    CRD_DECISIONS_MAX = 16,
    CRD_NODE_LABELS_MAX = 16,
    CRD_LABEL_KEY_MAX = 253,
    CRD_TOLERATIONS_MAX = 16,
    CRD_PODS_MAX = 2 * CRD_REPLICAS_MAX, /* those that come and those that still drain */
};

/* The label of a pod that names its ModelDeployment. */
#define CRD_POD_MODEL_LABEL "spate.dev/model"

enum crd_scaling_mode { CRD_SCALING_AUTO, CRD_SCALING_MANUAL };

struct crd_warmup {
    struct str name;      /* may be empty */
    struct str schedule;  /* five cron fields */
    struct str time_zone; /* IANA name; default "Etc/UTC" */
    int64_t replicas;
    int64_t duration_s;
};

/* A label that a node must have. */
struct crd_node_label {
    struct str key;
    struct str value; /* may be empty */
};

enum crd_taint_effect { CRD_NO_SCHEDULE, CRD_PREFER_NO_SCHEDULE, CRD_NO_EXECUTE };

/* A taint that the pods put up with. */
struct crd_toleration {
    struct str key;
    struct str value; /* empty: any */
    int effect;       /* enum crd_taint_effect */
};

struct crd_model_spec {
    struct str uri;  /* "file:///models/brook" */
    struct str name; /* what clients call it; metadata.name if not given */

    int64_t slots;          /* requests that one replica works on at once */
    int64_t context_tokens; /* 0: the model's own */
    int64_t kv_cache_mib;   /* 0: the agent's choice */
    int64_t threads;        /* 0: the agent's choice */
    int64_t chunk_tokens;   /* 0: the agent's choice */

    struct crd_name *from_namespaces; /* whose routes may name it; "*" is all */
    int from_namespace_count;

    int mode;         /* enum crd_scaling_mode */
    int64_t replicas; /* obeyed in mode Manual only */
    int64_t min_replicas;
    int64_t max_replicas;
    int64_t target_percent;
    int64_t idle_after_s; /* 0: never */
    int64_t scale_down_delay_s;
    struct crd_warmup *warmups;
    int warmup_count;
    int64_t spot_percent;       /* 0: placement does not look at it */
    int64_t spot_min_on_demand; /* of pods; counts with spot_percent only */

    int64_t gpus;                  /* of one replica */
    int64_t cpu_millis;            /* 0: as many as threads */
    int64_t memory_mib;            /* 0: not limited */
    struct crd_node_label *labels; /* of nodes */
    int label_count;
    struct crd_toleration *tolerations;
    int toleration_count;
    struct str priority_class; /* may be empty, as the next */
    struct str runtime_class;
};

struct crd_decision {
    int64_t time_ms;
    int64_t from;
    int64_t to;
    struct str reason; /* one CamelCase word */
    struct str message;
};

enum crd_pod_phase {
    CRD_POD_PENDING,
    CRD_POD_LOADING,
    CRD_POD_READY,
    CRD_POD_DRAINING,
    CRD_POD_FAILED,
    CRD_POD_PHASE_COUNT
};

struct crd_pod {
    struct str name;
    struct str uid;
    int phase; /* enum crd_pod_phase */
    struct str address;
    struct str message;
    int64_t ordinal;
    struct str template_hash;
    int64_t draining_since_ms; /* 0: not draining */
};

/* A pod that is about to be created, or was and has not been seen yet. Recorded before the
 * creation, so that a restarted operator completes it rather than making a second one. */
struct crd_pending_create {
    struct str name;
    int64_t ordinal;
    struct str template_hash;
};

enum crd_capacity_type {
    CRD_CAPACITY_SPOT,
    CRD_CAPACITY_ON_DEMAND,
    CRD_CAPACITY_RESERVED,
    CRD_CAPACITY_COUNT
};

/* Pods on one kind of capacity. */
struct crd_capacity {
    int type; /* enum crd_capacity_type */
    int64_t replicas;
    int64_t ready_replicas;
};

struct crd_model_status {
    int64_t observed_generation;
    int64_t replicas; /* pods that exist, draining ones included */
    int64_t ready_replicas;
    int64_t desired_replicas;
    struct str selector;                       /* of its pods: CRD_POD_MODEL_LABEL=<model> */
    int64_t phase_counts[CRD_POD_PHASE_COUNT]; /* of pods, by enum crd_pod_phase */
    struct crd_capacity *capacities;           /* those that pods are known to be on */
    int capacity_count;
    struct crd_condition *conditions;
    int condition_count;
    struct crd_decision *decisions; /* newest first */
    int decision_count;
    int64_t cold_start_last_ms; /* 0: none measured yet */
    int64_t cold_start_median_ms;
    int64_t cold_start_p90_ms;
    struct crd_pod *pods;
    int pod_count;
    struct crd_pending_create *pending_creates;
    int pending_create_count;
    int64_t next_ordinal; /* ordinals are never used twice */
};

/* "Pending" ...; NULL out of range. */
const char *crd_pod_phase_name(int phase);

/* The path of a field that only a cluster can obey and that is given, or NULL. */
const char *crd_model_cluster_field(const struct crd_model_spec *spec);
/* Strings and lists live in the arena: the object may go. */
int crd_model_spec_read(struct crd_model_spec *out, const struct crd_object *object,
                        struct arena *arena, struct err *err);
/* Of an object without status: all zero. */
int crd_model_status_read(struct crd_model_status *out, const struct crd_object *object,
                          struct arena *arena, struct err *err);
/* A new tree for the object's status. */
int crd_model_status_write(const struct crd_model_status *status, json_t **out, struct err *err);

#endif
