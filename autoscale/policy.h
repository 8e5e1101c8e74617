/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How many replicas a model should have, and why. A pure function of its input and of the small
 * state that the caller keeps per model: no I/O, no threads, no clock of its own.
 *
 *     need = ceil((in flight + queued) / (slots * target))      the whole jump, in one decision
 *
 * Pending pods count as supply, since the answer is a total and never a difference. It falls only
 * when the need stayed lower over the whole scale-down delay; to zero when no request came for the
 * idle time. Unknown load is never zero load: then the size is held. A warm-up's schedule is the
 * time at which capacity is ready, so it starts a lead earlier, taken from measured cold starts.
 */
#ifndef SPATE_AUTOSCALE_POLICY_H
#define SPATE_AUTOSCALE_POLICY_H

#include <stdbool.h>
#include <stdint.h>

#include "autoscale/cron.h"
#include "autoscale/tz.h"

enum {
    AUTOSCALE_WINDOW_PARTS = 32,           /* of the scale-down delay */
    AUTOSCALE_LEAD_DEFAULT_MS = 60 * 1000, /* before any cold start was measured */
    AUTOSCALE_LEAD_MARGIN_MS = 5 * 1000,   /* on top of the measured one */
    AUTOSCALE_LEAD_MAX_MS = 60 * 60 * 1000,
    AUTOSCALE_CHECK_MAX_MS = 60 * 60 * 1000, /* the latest next_ms after now */
    AUTOSCALE_TEXT_MAX = 192,
};

/* X(enum, CamelCase reason for status and events, meaning) */
#define AUTOSCALE_REASONS(X)                                                                     \
    X(AUTOSCALE_STEADY, "Steady", "the size fits the load")                                      \
    X(AUTOSCALE_LOAD_ROSE, "LoadRose", "more requests than the replicas have room for")          \
    X(AUTOSCALE_LOAD_FELL, "LoadFell", "the load stayed lower over the scale-down delay")        \
    X(AUTOSCALE_DELAYED, "ScaleDownDelayed", "the load is lower, but not for long enough yet")   \
    X(AUTOSCALE_IDLE, "Idle", "no request came for spec.scaling.idle.afterSeconds")              \
    X(AUTOSCALE_KEPT_WARM, "KeptWarm", "no load, but the idle time is not over or switched off") \
    X(AUTOSCALE_AT_MINIMUM, "AtMinimum", "held up by spec.scaling.minReplicas")                  \
    X(AUTOSCALE_AT_MAXIMUM, "AtMaximum", "held down by spec.scaling.maxReplicas")                \
    X(AUTOSCALE_WARM_UP, "WarmUp", "held up by a warm-up schedule")                              \
    X(AUTOSCALE_LOAD_UNKNOWN, "LoadUnknown", "a gateway is silent, so the size is held")         \
    X(AUTOSCALE_MANUAL, "Manual", "spec.scaling.replicas, in mode Manual")

enum autoscale_reason {
#define AUTOSCALE_REASON_ENUM(name, text, meaning) name,
    AUTOSCALE_REASONS(AUTOSCALE_REASON_ENUM)
#undef AUTOSCALE_REASON_ENUM
        AUTOSCALE_REASON_COUNT
};
const char *autoscale_reason_name(enum autoscale_reason reason);
const char *autoscale_reason_meaning(enum autoscale_reason reason);

struct autoscale_warmup {
    const char *name; /* for the text; may be NULL */
    struct cron cron;
    const struct tz *zone;
    int replicas;
    int64_t duration_s;
};

struct autoscale_policy {
    bool manual;
    int manual_replicas;
    int min;
    int max;
    int slots;             /* per replica, > 0 */
    int target_percent;    /* 1-100: share of the slots to fill */
    int64_t idle_after_ms; /* 0: never to zero once awake */
    int64_t scale_down_delay_ms;
    const struct autoscale_warmup *warmups;
    int warmup_count;
};

struct autoscale_supply {
    int ready;
    int pending;  /* created and not ready yet */
    int draining; /* on their way out: not counted */
};

struct autoscale_signal {
    bool known;         /* false: a gateway that should report is silent, or none ever has */
    uint64_t in_flight; /* sums over the gateways, also of those last known */
    uint64_t queued;
    int64_t idle_ms; /* since the last request; the least over the gateways */
};

struct autoscale_input {
    int64_t mono_ms; /* for windows: never goes back */
    int64_t wall_ms; /* for schedules: Unix time */
    struct autoscale_policy policy;
    struct autoscale_supply supply;
    struct autoscale_signal signal;
    int64_t cold_start_p90_ms; /* 0: none measured yet */
};

/* Zeroed by the caller at first. After a restart a fresh one is safe: the size of the supply counts
 * as the need of that moment, so nothing shrinks before a whole delay was seen. The need of each
 * part of the scale-down delay is kept as its highest:
 *
 *     part   41   42   43   44        (each a 32nd of the delay)
 *     need    9    9    3    2  now   -> the size may fall to 3 when part 42 leaves the window
 */
struct autoscale_state {
    bool started;
    int desired;                            /* of the last decision */
    int need;                               /* of the last decision; it held until this one */
    int window[AUTOSCALE_WINDOW_PARTS + 1]; /* needs, by the part of time modulo its size */
    int64_t window_part;                    /* number of the newest one from 1; 0: none */
    int64_t window_part_ms;                 /* the window starts anew when this changes */
};

struct autoscale_decision {
    int desired;
    int previous; /* of the decision before */
    enum autoscale_reason reason;
    char text[AUTOSCALE_TEXT_MAX]; /* one line for people, with the figures */
    int64_t next_ms;               /* mono time at which to ask again although nothing happened */
};

void autoscale_decide(struct autoscale_decision *out, struct autoscale_state *state,
                      const struct autoscale_input *in);

#endif
