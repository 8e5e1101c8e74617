/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the reconciler sees of the world. Three platforms implement it: kube (a Kubernetes API
 * server), local (this machine: state folder and child processes), sim (a simulated cluster).
 *
 * It has the shape of Kubernetes:
 *
 *     reconcile --- commands: only enqueued, each with a ticket ---> platform
 *     reconcile <-- on_result(ticket): done, conflict, exists ... --- platform
 *     reconcile <-- on_object, on_pod: the truth, by watch ---------- platform
 *
 * - A command never acts, fails or calls back inside the call. Its result arrives once, later;
 *   after a restart of the operator, or a loss of leadership, never.
 * - A result says what the API answered. Only a watch event says what is. Events come late and may
 *   skip states in between, but never lie: a view is some past truth, and per object it never goes
 *   back. An object's DELETED always comes, also after a lost watch (the platform relists).
 * - Writes carry preconditions (uid, resourceVersion), so acting on a stale view does no harm.
 *
 * Everything happens on one thread: callbacks run one at a time, between two turns of the platform.
 * The reconciler reads no clock, file, socket or random number but through here.
 */
#ifndef SPATE_OPERATOR_PLATFORM_H
#define SPATE_OPERATOR_PLATFORM_H

#include <stdbool.h>
#include <stdint.h>

#include "autoscale/tz.h"
#include "base/clock.h"
#include "base/err.h"
#include "crd/object.h"
#include "operator/pod_record.h"
#include "wire/load.h"
#include "wire/routes.h"
#include "wire/stream.h"

enum {
    PLATFORM_NAME_MAX = 127, /* of a pod: <model>-<hash>-<ordinal> */
    PLATFORM_HASH_LEN = 10,  /* of a template hash, hex */
    PLATFORM_MESSAGE_MAX = 256,
    PLATFORM_PRICES_MAX = 1 << 20, /* bytes of one posted price version */
};

enum platform_change { PLATFORM_ADDED, PLATFORM_MODIFIED, PLATFORM_DELETED };

enum platform_pod_phase {
    PLATFORM_POD_PENDING, /* no process yet: no machine, no image ... */
    PLATFORM_POD_RUNNING, /* a process runs; whether its agent is ready is another question */
    PLATFORM_POD_CRASHED, /* the process died; the platform starts it again, with back-off */
    PLATFORM_POD_LOST,    /* will never run again (node gone, evicted): delete it */
};

/* How its machine is paid for. */
enum platform_capacity {
    PLATFORM_CAPACITY_UNKNOWN, /* nobody says: this machine; a node without such a label */
    PLATFORM_CAPACITY_SPOT,    /* cheap, and may be reclaimed */
    PLATFORM_CAPACITY_ON_DEMAND,
    PLATFORM_CAPACITY_RESERVED,
};

/* A pod as watched. Borrowed for the callback: copy what must last, but the record, which may be
 * kept by pod_record_ref. What the platform adds of its own to that lies beside it. */
struct platform_pod {
    struct pod_record *record; /* never NULL */
    bool deleting;             /* deletion was asked for; it has its grace time */
    bool reclaimed;            /* its machine gave notice: it will be gone within seconds */
    bool reporting; /* deleted, but it stays until its usage was taken; it serves nobody */
    bool unplaced;  /* it waits for a machine: none has room for it */
    bool blocked;   /* pending until somebody does something: adds a node, corrects a name */
    enum platform_pod_phase phase;
    enum platform_capacity capacity; /* of the machine that it is on */
    struct str message;              /* why it does not run, for people; empty: fine */
};

/* A pod to create. The name is <model>-<hash>-<ordinal>; the platform sets the owner reference. */
struct platform_pod_spec {
    struct str name;
    uint64_t ordinal;
    struct str template_hash;
    int64_t cold_start_p90_ms; /* how long a start takes, as measured; 0: none was */
    bool template_measured;    /* ... also one of this very template, so it will be much the same */
    /* Borrowed for the call: the template is its spec. Its status is gone by now: see on_object. */
    const struct crd_object *model;
};

/* How a command ended. */
struct platform_result {
    uint64_t ticket;
    int code;           /* 0, or negative: -ERR_CONFLICT, -ERR_EXISTS, -ERR_NOT_FOUND, -ERR_DENIED,
                           -ERR_INVALID (refused), -ERR_LIMIT (no room until something goes),
                           -ERR_NETWORK, -ERR_TIMEOUT ... */
    struct str message; /* of a failure */
    struct str resource_version; /* after a write: of the object as written */
};

struct platform_probe_result {
    struct str pod_uid;
    uint64_t restarts;                  /* of the pod when the probe left */
    int code;                           /* 0: status is valid; -ERR_NETWORK, -ERR_TIMEOUT ... */
    const struct stream_status *status; /* borrowed; NULL on failure */
};

/*
 * What the platform calls. Views are borrowed for the callback, except crd_object and pod_record,
 * which may be kept by crd_object_ref and pod_record_ref. The status of an object is to be read in
 * on_object: later it may be gone.
 */
struct platform_handler {
    /* This process leads from now on (epoch > 0, kept durably and raised at each leadership), or
     * has stopped leading (0). The local platform leads from the start. */
    void (*on_lead)(void *user, struct str installation, uint64_t epoch);
    /* The first complete view of all kinds was delivered; before it nothing is decided. */
    void (*on_synced)(void *user);
    void (*on_object)(void *user, enum platform_change change, struct crd_object *object);
    void (*on_pod)(void *user, enum platform_change change, const struct platform_pod *pod);
    /* The whole set of gateways that should be alive, at each change and before on_synced. It comes
     * from the platform (pods, state folder), never from who happens to report. */
    void (*on_gateways)(void *user, const struct str *names, int count);
    /* A gateway's word: what it carries, and which routes are in force there. */
    void (*on_load)(void *user, const struct load_report *report);
    void (*on_ack)(void *user, struct str gateway, struct id128 run,
                   const struct routes_version *have);
    void (*on_result)(void *user, const struct platform_result *result);
    void (*on_probe)(void *user, const struct platform_probe_result *result);
    void (*on_alarm)(void *user);
};

struct platform;

/* Every entry only enqueues. Strings and trees are copied or referenced inside the call. */
struct platform_ops {
    /* -ERR_EXISTS if a pod of that name is there: success for who wanted it, if its owner is
     * right. */
    void (*pod_create)(struct platform *p, uint64_t ticket, const struct platform_pod_spec *spec);
    /* Precondition uid (-ERR_CONFLICT if another pod has the name now). SIGTERM, grace, SIGKILL.
     * A second call may shorten the grace. */
    void (*pod_delete)(struct platform *p, uint64_t ticket, struct str name_space, struct str name,
                       struct str uid, int64_t grace_ms);
    /* The agent in it is out of order (frozen, engine stands still): ends the process at once, to
     * be started again on the same disk; where that is not possible the pod becomes LOST. */
    void (*pod_restart)(struct platform *p, uint64_t ticket, struct str name_space, struct str name,
                        struct str uid);
    /* Replaces the status of the object if its uid and resourceVersion are still these. */
    void (*status_put)(struct platform *p, uint64_t ticket, const struct crd_object *object,
                       json_t *status);
    /* An Event about the object, for people; repeats are merged. No result. */
    void (*event_record)(struct platform *p, const struct crd_object *about, bool warning,
                         const char *reason, struct str note);
    /* Asks an agent for its status (STREAM_PATH_STATUS, 2 s at most): on_probe. */
    void (*agent_probe)(struct platform *p, struct str pod_uid);
    /* Tells an agent to refuse new work. Can not be undone. */
    void (*agent_drain)(struct platform *p, uint64_t ticket, struct str pod_uid);
    /* The routes for all gateways; takes the snapshot over. Versions only rise. No result. */
    void (*routes_publish)(struct platform *p, struct routes *routes);
    /* Posts an immutable price version to the ledger; posting the same one again is fine. */
    void (*prices_post)(struct platform *p, uint64_t ticket, struct str json);
    /* Whether the weights can be read from here, where that can be known without a pod: 0, or
     * -ERR_NOT_FOUND, -ERR_DENIED, -ERR_INVALID ... with a message that names the cure. */
    void (*weights_check)(struct platform *p, uint64_t ticket, struct str uri);
    /* on_alarm at this time of the monotonic clock; replaces the alarm that was set. 0: none. */
    void (*alarm_set)(struct platform *p, int64_t mono_ms);
    /* A time zone by its IANA name, or NULL if it is not known; lives as long as the platform. */
    const struct tz *(*time_zone)(struct platform *p, struct str name);
};

/* Embedded as the first member of an implementation. */
struct platform {
    const struct platform_ops *ops;
    const struct clock *clock;
    const struct rng *rng;
    const struct platform_handler *handler; /* set by platform_bind before the start */
    void *user;
    /* How often a ready pod's agent is asked for its status; 0: the platform's own readiness
     * (kubelet) and the gateways' suspicions suffice. */
    int64_t probe_interval_ms;
    /* Status writes of one object that nobody waits for are so far apart; 0: never held back. */
    int64_t status_interval_ms;
    const char *name;   /* "kube", "local", "sim" */
    const char *client; /* the command by which people look at its objects and logs */
};

static inline void platform_bind(struct platform *p, const struct platform_handler *handler,
                                 void *user)
{
    p->handler = handler;
    p->user = user;
}

#endif
