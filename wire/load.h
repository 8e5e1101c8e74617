/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The load report: gateway -> operator, POST LOAD_PATH. Absolute figures of one gateway run, pushed
 * within LOAD_PUSH_MS of a change and at least each LOAD_HEARTBEAT_MS. A gateway that falls silent
 * is unknown load, never zero load. A restarted gateway is a new run, whose start counts as the
 * time of the last request of every model.
 */
#ifndef SPATE_WIRE_LOAD_H
#define SPATE_WIRE_LOAD_H

#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/id.h"
#include "base/json.h"
#include "base/str.h"

#define LOAD_PATH "/internal/v1/load"

enum { LOAD_PUSH_MS = 100, LOAD_HEARTBEAT_MS = 1000, LOAD_MODELS_MAX = 20000 };

struct load_model {
    struct str name;        /* namespace/name */
    uint64_t in_flight;     /* sent to pods and not ended */
    uint64_t queued;        /* waiting in the gateway */
    uint64_t arrived;       /* requests since the run began */
    int64_t idle_ms;        /* since the last request arrived or ended; 0 while one is there */
    int64_t oldest_wait_ms; /* of those queued */
};

/* A pod that the gateway gave up, so that the operator looks at once: refused, silent, stalled. */
struct load_suspect {
    struct str pod_uid;
    struct str reason;
};

struct load_report {
    struct str gateway; /* its name, as the platform knows it */
    struct id128 run_id;
    uint64_t sequence;
    int64_t uptime_ms;
    struct str routes_version; /* in force: also an acknowledgement */
    struct load_model *models; /* those with traffic in this run */
    int model_count;
    struct load_suspect *suspects;
    int suspect_count;
};

/* Strings live in the arena. */
int load_report_read(struct load_report *out, const json_t *object, struct arena *arena,
                     struct err *err);
void load_report_write(struct json_writer *w, const struct load_report *report);

#endif
