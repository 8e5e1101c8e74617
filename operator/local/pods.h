/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pods of the local platform: one folder and one child process each.
 *
 *     STATE/pods/<namespace>_<name>/
 *         pod.json    what it is; written before the process starts
 *         process     pid and start time; written by the process itself
 *         address     written by the agent once it listens
 *         agent.log   its output, rotated to agent.log.1
 *         data/       its usage log and counters
 *         deleting    there if it is on its way out
 *
 *     [written] -> running <-> crashed (back-off, same folder)
 *                     | SIGTERM, grace, SIGKILL
 *                     v
 *                  reporting: spate-agent --report-only, until all usage was taken -> removed
 *
 * The folder of a pod that has reported for PODS_REPORT_MS in vain is moved to STATE/unreported/.
 * A restarted operator reads the folders and adopts the processes that still run. Loop thread.
 */
#ifndef SPATE_OPERATOR_LOCAL_PODS_H
#define SPATE_OPERATOR_LOCAL_PODS_H

#include "base/clock.h"
#include "base/map.h"
#include "operator/local/process.h"
#include "operator/platform.h"

enum {
    PODS_MAX = 1000,             /* on one machine */
    PODS_ADDRESS_POLL_MS = 5,    /* until the agent has written where it listens */
    PODS_BACKOFF_FIRST_MS = 100, /* after a crash */
    PODS_BACKOFF_MAX_MS = 30 * 1000,
    PODS_STABLE_MS = 60 * 1000,   /* a run as long as this clears the back-off */
    PODS_LOG_BYTES_MAX = 8 << 20, /* then agent.log becomes agent.log.1 */
    PODS_LOG_CHECK_MS = 5 * 1000,
    PODS_REPORT_MS = 24 * 3600 * 1000, /* for all usage of a deleted pod to be taken */
    PODS_REPORT_START_MS = 30 * 1000,  /* for an agent that shall report, until it listens */
    PODS_REPORT_CHECK_MS = 1000,       /* between looks at these limits */
};

struct local_pod {
    struct local_pods *owner;
    char *folder;
    char *name_space, *name, *uid, *owner_name, *owner_uid, *template_hash;
    char *uri; /* of the weights */
    int64_t slots, context_tokens, kv_cache_mib, threads, chunk_tokens;
    uint64_t ordinal;
    int64_t created_ms;

    enum platform_pod_phase phase;
    uint64_t restarts;
    char address[64];
    char message[PLATFORM_MESSAGE_MAX];
    bool deleting;
    bool busy; /* its folder is being written or removed */
    struct process process;
    int64_t started_ms;      /* monotonic, of this run */
    int crashes;             /* in a row */
    bool reporting;          /* its agent is one that only reports */
    int64_t report_since_ms; /* monotonic; 0: nothing was reported yet */
    struct loop_timer timer; /* address, restart or grace: what the phase says */
    struct loop_timer log_timer;
};

struct local_pods_options {
    struct loop *loop;
    const struct clock *clock;
    const struct rng *rng;
    const char *state; /* the folder */
    const char *agent_binary;
    const char *public_key; /* path of token.pub */
    void (*on_change)(void *user, enum platform_change change, const struct local_pod *pod);
    void *user;
};

struct local_pods {
    struct local_pods_options options;
    char *folder;
    char *unreported_folder;
    struct map pods;    /* uid -> struct local_pod */
    uint64_t set_aside; /* pods whose usage was not taken in time */
};

/* Reads the folders, adopts or restarts what is in them. Tells nothing yet. Blocks: at start. */
int local_pods_open(struct local_pods *pods, const struct local_pods_options *options,
                    struct err *err);
/* The pool works on a folder: let the loop turn before the end. */
bool local_pods_busy(const struct local_pods *pods);
/* The processes run on. None may be busy. */
void local_pods_close(struct local_pods *pods);

typedef void (*local_pods_done)(void *user, int code, const struct err *err);

/* Writes the folder, then starts the process; done(user) once the pod exists. */
void local_pods_create(struct local_pods *pods, const struct platform_pod_spec *spec,
                       local_pods_done done, void *user);
int local_pods_delete(struct local_pods *pods, struct str name_space, struct str name,
                      struct str uid, int64_t grace_ms, struct err *err);
/* Ends the process at once; it is started again in the same folder. */
int local_pods_restart(struct local_pods *pods, struct str name_space, struct str name,
                       struct str uid, struct err *err);

/* The agents that only report end; the next operator starts them again. For a platform that ends
 * for good, so that nothing of it runs on. */
void local_pods_stop_reports(struct local_pods *pods);

struct local_pod *local_pods_find(const struct local_pods *pods, struct str name_space,
                                  struct str name);
struct local_pod *local_pods_by_uid(const struct local_pods *pods, struct str uid);
/* Its message is valid until the loop turns; the record is the caller's to unref. */
struct platform_pod local_pod_view(const struct local_pod *pod);

#endif
