/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A simulated cluster with a simulated clock: the platform on which the reconciler is tested.
 * Everything is a function of the seed. There are
 *
 *     truth      objects and pods, changed by commands after a delay, by users and by faults
 *     views      each change is told to the handler later; what happened in between is skipped
 *     agents     one in each pod: starts, loads, is ready, drains, crashes
 *     gateways   take the routes over after a delay, acknowledge, report load, send work
 *
 * Broken promises (a routed pod that no status lists, a pod deleted under a gateway that still
 * sends there, two pods of one ordinal, more pods than allowed beside those that are reclaimed) are
 * found here, at the instant.
 */
#ifndef SPATE_OPERATOR_SIM_H
#define SPATE_OPERATOR_SIM_H

#include "operator/platform.h"

struct sim;

struct sim_options {
    uint64_t seed;
    int64_t start_ms;  /* of a pod's process, at most */
    int64_t load_ms;   /* of the model, at most */
    int64_t api_ms;    /* of a command, at most */
    int64_t watch_ms;  /* lag of a view, at most */
    int64_t wall_ms;   /* Unix time at the start */
    int64_t stream_ms; /* of work that goes on in a draining pod, at most; 0: some seconds */
    int gateways;
    bool spot; /* pods of odd ordinals are on spot machines, the others on demand */
};

/* Chances in a thousand, while faults are on. */
struct sim_faults {
    int refuse;     /* a command fails without effect */
    int lose;       /* a command works, but its answer is a failure */
    int stall_view; /* a view lags by up to stall_ms */
    int64_t stall_ms;
    int crash;  /* each second, of an agent */
    int vanish; /* each second, of a pod that is deleted by somebody else */
    int freeze; /* each second, of an agent that stops answering */
    int mute;   /* each second, of a gateway that is silent for some seconds */
};

int sim_new(struct sim **out, const struct sim_options *options, struct err *err);
void sim_free(struct sim *sim);
struct platform *sim_platform(struct sim *sim);

/* Begins a leadership of whoever is bound: the epoch rises, all views are told, then on_synced.
 * Answers to commands of before are lost, as after a crash of the operator. */
void sim_start(struct sim *sim);
/* The same in two steps: a standby is told all views; later it is its turn to lead. */
void sim_follow(struct sim *sim);
void sim_lead(struct sim *sim);
/* Nothing is told any more until sim_start: the operator is dead. What it sent is still done. */
void sim_stop(struct sim *sim);
void sim_set_faults(struct sim *sim, const struct sim_faults *faults); /* NULL: none */
/* Lets simulated time pass. */
void sim_run(struct sim *sim, int64_t ms);
int64_t sim_now_ms(const struct sim *sim);

/* A user's doing. The manifest is JSON. */
int sim_apply(struct sim *sim, const char *manifest, struct err *err);
void sim_delete(struct sim *sim, const char *key); /* of a model */
/* How many requests clients have open for the model. */
void sim_demand(struct sim *sim, const char *key, uint64_t requests);
void sim_mute_gateways(struct sim *sim, bool mute);
/* The next commands of creation are refused with this message (NULL: no more). */
void sim_refuse_creation(struct sim *sim, const char *message);
/* There are so many machines, each for one pod (0: no end of them): others wait. From the start. */
void sim_limit_machines(struct sim *sim, int machines);
/* So many pods may exist at once (0: no end of them): further creations are refused. */
void sim_limit_quota(struct sim *sim, int pods);
/* The watch of the pods lags: none is told of while this is on, and then what there is. */
void sim_hide_pods(struct sim *sim, bool hide);
void sim_reclaim(struct sim *sim, const char *key); /* notice for the machine of its first pod */
/* What the platform has to say of its first pod; nothing else changes by it. */
void sim_say(struct sim *sim, const char *key, const char *message);
/* Deleted pods stay, as ones that report, for as long as this is on. */
void sim_hold_reports(struct sim *sim, bool hold);
/* All its agents crash, and come back after so long. */
void sim_crash(struct sim *sim, const char *key, int64_t back_ms);

/* What is. */
int sim_pod_count(const struct sim *sim, const char *key);
int sim_ready_count(const struct sim *sim, const char *key); /* as the gateways see it */
const struct crd_object *sim_object(const struct sim *sim, const char *key);
uint64_t sim_queued(const struct sim *sim, const char *key);
uint64_t sim_prices_posted(const struct sim *sim);
const struct routes *sim_routes(const struct sim *sim); /* of the first gateway; may be NULL */
/* The first broken promise, or NULL. */
const char *sim_violation(const struct sim *sim);
/* Of all that happened: equal for equal seeds. */
uint32_t sim_digest(const struct sim *sim);

#endif
