/* SPDX-License-Identifier: Apache-2.0 */
/* The inside of the simulator, shared by its files. */
#ifndef SPATE_OPERATOR_SIM_PRIVATE_H
#define SPATE_OPERATOR_SIM_PRIVATE_H

#include "base/map.h"
#include "operator/common/must.h"
#include "operator/sim/sim.h"

enum {
    SIM_TEXT_MAX = 256,
    SIM_TICK_MS = 100,    /* of gateways and faults */
    SIM_STREAM_MS = 3000, /* where the options say nothing */
    SIM_GATEWAYS_MAX = 8,
    SIM_MODELS_MAX = 4096,
};

enum sim_agent { SIM_AGENT_NONE, SIM_AGENT_LOADING, SIM_AGENT_READY, SIM_AGENT_DRAINING };

/* Something that will happen. `run` gets the simulator and `object`, which it frees. */
struct sim_event {
    int64_t at_ms;
    uint64_t order;
    bool to_operator; /* dropped if the operator has died since */
    uint64_t life;    /* of the operator that it is meant for */
    void (*run)(struct sim *sim, void *object);
    void (*drop)(void *object);
    void *object;
};

struct sim_pod {
    char name[PLATFORM_NAME_MAX + 1], name_space[64], uid[64], owner[64], owner_uid[64];
    char hash[PLATFORM_HASH_LEN + 1], address[32], message[64];
    uint64_t ordinal, restarts;
    int64_t created_ms, gone_ms; /* gone_ms: when a deletion takes effect; 0: none */
    bool reclaimed, exists, frozen, reporting;
    bool placed; /* it has a machine */
    enum platform_pod_phase phase;
    enum sim_agent agent;
    int64_t agent_at_ms; /* of the next step of the agent's life */
    int64_t ready_wall_ms;
    uint64_t running;     /* work in it */
    int64_t work_ends_ms; /* of a draining one */
    bool told;            /* the handler knows it */
    bool dirty;           /* a view event is on its way */
    uint64_t slots;
};

struct sim_object {
    struct crd_object *truth; /* NULL: deleted */
    struct crd_object *told;  /* NULL: the handler does not know it */
    bool dirty;
    char key[160];
    uint64_t demand;
    int64_t quiet_since_ms;
    int64_t highest_max; /* of maxReplicas so far */
    bool manual;
};

struct sim_gateway {
    char name[32];
    struct id128 run;
    struct routes *routes; /* in force */
    uint64_t sequence;
    int64_t started_ms;
    int64_t mute_until_ms;
};

struct sim {
    struct platform platform;
    struct clock clock;
    struct rng_seeded chance;
    struct sim_options options;
    struct sim_faults faults;
    int64_t now_ms;
    uint64_t life; /* of the operator; odd: alive */
    bool mute;
    bool hide_pods;
    bool hold_reports;
    int machines; /* each for one pod; 0: as many as are asked for */
    int quota;    /* of pods that exist; 0: none */

    struct sim_event *events; /* heap */
    size_t event_count, event_cap;
    uint64_t order;
    uint64_t alarm; /* number of the alarm that counts */
    uint64_t version, uid, epoch, port;

    struct sim_pod **pods;
    size_t pod_count, pod_cap;
    struct sim_object **objects;
    size_t object_count, object_cap;
    struct sim_gateway gateways[SIM_GATEWAYS_MAX];
    char refusal[SIM_TEXT_MAX];
    uint64_t prices_posted;

    char violation[2 * SIM_TEXT_MAX];
    uint32_t digest;
};

/* sim.c */
int64_t sim_chance_ms(struct sim *sim, int64_t max_ms); /* 1 to max */
bool sim_chance(struct sim *sim, int in_thousand);
void sim_at(struct sim *sim, int64_t delay_ms, void (*run)(struct sim *, void *),
            void (*drop)(void *), void *object, bool to_operator);
void sim_broken(struct sim *sim, const char *format, ...) __attribute__((format(printf, 2, 3)));
void sim_note(struct sim *sim, const char *format, ...) __attribute__((format(printf, 2, 3)));
bool sim_operator_lives(const struct sim *sim);

/* sim_commands.c */
extern const struct platform_ops sim_ops;

/* sim_cluster.c: truth and views */
void sim_new_version(struct sim *sim, struct crd_object *object);
void sim_object_key(const struct crd_object *object, char out[160]);
struct sim_pod *sim_pod_by_uid(struct sim *sim, struct str uid);
struct sim_object *sim_object_find(const struct sim *sim, const char *key);
void sim_pod_changed(struct sim *sim, struct sim_pod *pod);
void sim_object_changed(struct sim *sim, struct sim_object *object);
void sim_tell_everything(struct sim *sim);
void sim_tell_pods(struct sim *sim);
void sim_pods_tick(struct sim *sim);
void sim_pod_crash(struct sim *sim, struct sim_pod *pod);
struct str sim_pod_owner_key(const struct sim_pod *pod, char out[160]);

/* sim_gateway.c */
void sim_gateways_init(struct sim *sim);
void sim_gateways_tell(struct sim *sim);
void sim_gateways_tick(struct sim *sim);
void sim_routes_take(struct sim *sim, struct routes *routes);
/* A gateway still sends new work there. */
bool sim_is_routed(const struct sim *sim, const struct sim_pod *pod);

#endif
