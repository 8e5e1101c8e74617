/* SPDX-License-Identifier: Apache-2.0 */
/* The decision: see policy.h for its rules. */
#include "autoscale/policy.h"

#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { UNKNOWN_RETRY_MS = 30 * 1000 /* a report wakes us before */, NEED_MAX = 1000000 };

static const char *const reason_names[] = {
#define AUTOSCALE_REASON_NAME(name, text, meaning) text,
    AUTOSCALE_REASONS(AUTOSCALE_REASON_NAME)
#undef AUTOSCALE_REASON_NAME
};
static const char *const reason_meanings[] = {
#define AUTOSCALE_REASON_MEANING(name, text, meaning) meaning,
    AUTOSCALE_REASONS(AUTOSCALE_REASON_MEANING)
#undef AUTOSCALE_REASON_MEANING
};

const char *autoscale_reason_name(enum autoscale_reason reason)
{
    return reason < AUTOSCALE_REASON_COUNT ? reason_names[reason] : "Unknown";
}

const char *autoscale_reason_meaning(enum autoscale_reason reason)
{
    return reason < AUTOSCALE_REASON_COUNT ? reason_meanings[reason] : "";
}

/* What the parts of the policy ask for, before the larger wins. */
struct wishes {
    int need;    /* for the requests that are there now */
    int load;    /* need, but not falling before the delay is over; at least 1 while kept warm */
    int warm_up; /* of the schedules that are in force */
    const char *warm_up_name;
    bool idle;
    int64_t next_ms;
};

static void ask_again_by(struct wishes *w, int64_t mono_ms)
{
    if (mono_ms < w->next_ms)
        w->next_ms = mono_ms;
}

static uint64_t requests(const struct autoscale_signal *signal)
{
    uint64_t sum;

    return __builtin_add_overflow(signal->in_flight, signal->queued, &sum) ? UINT64_MAX : sum;
}

static int need_of(const struct autoscale_input *in)
{
    uint64_t share = (uint64_t)in->policy.slots * (uint64_t)in->policy.target_percent;
    __extension__ unsigned __int128 percent = (unsigned __int128)requests(&in->signal) * 100;
    __extension__ unsigned __int128 need = (percent + share - 1) / share;

    return need > NEED_MAX ? NEED_MAX : (int)need;
}

static int *window_slot(struct autoscale_state *state, int64_t part)
{
    return &state->window[part % (AUTOSCALE_WINDOW_PARTS + 1)];
}

static void window_note(struct autoscale_state *state, int64_t mono_ms, int need)
{
    int64_t part = mono_ms / state->window_part_ms + 1;
    int64_t passed = part - state->window_part;

    for (int i = 0; i <= AUTOSCALE_WINDOW_PARTS && i < passed; i++)
        *window_slot(state, part - i) = 0;
    state->window_part = part;
    if (need > *window_slot(state, part))
        *window_slot(state, part) = need;
}

/* The highest need over the delay; *leaves_ms is when the last part with that need leaves. */
static int window_peak(struct autoscale_state *state, int64_t mono_ms, int64_t *leaves_ms)
{
    int64_t now_part = mono_ms / state->window_part_ms + 1;
    int64_t newest = now_part;
    int peak = 0;

    for (int i = 0; i <= AUTOSCALE_WINDOW_PARTS; i++) {
        int64_t part = state->window_part - i;

        if (part < 1 || part < now_part - AUTOSCALE_WINDOW_PARTS)
            break;
        if (*window_slot(state, part) > peak) {
            peak = *window_slot(state, part);
            newest = part;
        }
    }
    *leaves_ms = (newest + AUTOSCALE_WINDOW_PARTS) * state->window_part_ms;
    return peak;
}

/* The first decision, and the first after mode Manual, take what is there for what is needed. */
static void start(struct autoscale_state *state, const struct autoscale_input *in)
{
    int supply = in->supply.ready + in->supply.pending;
    int size = state->desired > supply ? state->desired : supply;

    memset(state, 0, sizeof(*state));
    state->started = true;
    state->desired = size;
    state->need = size;
}

static void keep_window(struct autoscale_state *state, const struct autoscale_input *in)
{
    int64_t part_ms = in->policy.scale_down_delay_ms / AUTOSCALE_WINDOW_PARTS;

    if (part_ms < 1)
        part_ms = 1;
    if (state->window_part_ms == part_ms)
        return;
    memset(state->window, 0, sizeof(state->window));
    state->window_part = 0;
    state->window_part_ms = part_ms;
    window_note(state, in->mono_ms, state->desired);
}

/* Load that is not known holds the size; more than it is known to be may still be asked for. */
static void wish_for_load(struct wishes *w, struct autoscale_state *state,
                          const struct autoscale_input *in)
{
    int64_t leaves_ms = 0;

    w->need = need_of(in);
    if (!in->signal.known) {
        if (w->need < state->desired)
            w->need = state->desired;
        ask_again_by(w, in->mono_ms + UNKNOWN_RETRY_MS);
    }
    w->load = w->need;
    if (in->policy.scale_down_delay_ms > 0) {
        window_note(state, in->mono_ms, state->need); /* it held until now */
        window_note(state, in->mono_ms, w->need);
        w->load = window_peak(state, in->mono_ms, &leaves_ms);
        if (w->load > w->need)
            ask_again_by(w, leaves_ms);
    }
    state->need = w->need;
}

static void wish_for_sleep(struct wishes *w, const struct autoscale_state *state,
                           const struct autoscale_input *in)
{
    int64_t after_ms = in->policy.idle_after_ms;

    if (!in->signal.known || requests(&in->signal) > 0)
        return;
    if (after_ms > 0 && in->signal.idle_ms >= after_ms) {
        w->idle = true;
        w->load = 0;
        return;
    }
    if (state->desired == 0)
        return;
    if (w->load < 1)
        w->load = 1;
    if (after_ms > 0)
        ask_again_by(w, in->mono_ms + after_ms - in->signal.idle_ms);
}

static int64_t lead_ms(const struct autoscale_input *in)
{
    int64_t lead = in->cold_start_p90_ms > 0 ? in->cold_start_p90_ms + AUTOSCALE_LEAD_MARGIN_MS
                                             : AUTOSCALE_LEAD_DEFAULT_MS;

    return lead < AUTOSCALE_LEAD_MAX_MS ? lead : AUTOSCALE_LEAD_MAX_MS;
}

/* In force from `lead` before the scheduled time until `duration` after it. */
static void wish_for_one_warm_up(struct wishes *w, const struct autoscale_input *in,
                                 const struct autoscale_warmup *warmup)
{
    int64_t oldest_s = in->wall_ms / 1000 - warmup->duration_s + 1;
    int64_t scheduled_s;
    int64_t from_ms;
    int64_t until_ms;

    if (!cron_next(&warmup->cron, warmup->zone, oldest_s < 0 ? 0 : oldest_s, &scheduled_s))
        return;
    from_ms = scheduled_s * 1000 - lead_ms(in);
    until_ms = (scheduled_s + warmup->duration_s) * 1000;
    if (in->wall_ms < from_ms) {
        ask_again_by(w, in->mono_ms + from_ms - in->wall_ms);
        return;
    }
    ask_again_by(w, in->mono_ms + until_ms - in->wall_ms);
    if (warmup->replicas > w->warm_up) {
        w->warm_up = warmup->replicas;
        w->warm_up_name = warmup->name;
    }
}

static enum autoscale_reason reason_of(const struct autoscale_decision *d, const struct wishes *w,
                                       const struct autoscale_input *in, int wanted)
{
    if (wanted > in->policy.max)
        return AUTOSCALE_AT_MAXIMUM;
    if (w->warm_up > w->load && w->warm_up >= in->policy.min)
        return AUTOSCALE_WARM_UP;
    if (in->policy.min > w->load)
        return AUTOSCALE_AT_MINIMUM;
    if (!in->signal.known && d->desired <= d->previous)
        return AUTOSCALE_LOAD_UNKNOWN;
    if (d->desired > d->previous)
        return AUTOSCALE_LOAD_ROSE;
    if (w->idle)
        return AUTOSCALE_IDLE;
    if (d->desired < d->previous)
        return AUTOSCALE_LOAD_FELL;
    if (w->need == 0 && w->load == 1)
        return AUTOSCALE_KEPT_WARM;
    return w->load > w->need ? AUTOSCALE_DELAYED : AUTOSCALE_STEADY;
}

static void say(struct autoscale_decision *d, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void say(struct autoscale_decision *d, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vsnprintf(d->text, sizeof(d->text), format, args);
    va_end(args);
}

static void explain(struct autoscale_decision *d, const struct wishes *w,
                    const struct autoscale_input *in)
{
    const struct autoscale_policy *p = &in->policy;
    uint64_t in_flight = in->signal.in_flight;
    uint64_t queued = in->signal.queued;

    switch (d->reason) {
    case AUTOSCALE_AT_MAXIMUM:
        say(d, "%" PRIu64 " in flight and %" PRIu64 " queued need %d; maxReplicas is %d", in_flight,
            queued, w->load > w->warm_up ? w->load : w->warm_up, p->max);
        break;
    case AUTOSCALE_WARM_UP:
        say(d, "warm-up %s keeps %d ready", w->warm_up_name == NULL ? "schedule" : w->warm_up_name,
            w->warm_up);
        break;
    case AUTOSCALE_AT_MINIMUM:
        say(d, "the load needs %d; minReplicas is %d", w->load, p->min);
        break;
    case AUTOSCALE_LOAD_UNKNOWN:
        say(d, "a gateway has not reported: the size stays at %d until the load is known",
            d->desired);
        break;
    case AUTOSCALE_IDLE:
        say(d, "no request for %" PRId64 " s", in->signal.idle_ms / 1000);
        break;
    case AUTOSCALE_KEPT_WARM:
        if (p->idle_after_ms == 0)
            say(d, "no load; the last replica stays, as idle.afterSeconds is 0");
        else
            say(d, "no request for %" PRId64 " s of %" PRId64 " s until sleep",
                in->signal.idle_ms / 1000, p->idle_after_ms / 1000);
        break;
    case AUTOSCALE_DELAYED:
        say(d, "the load needs %d; %d stay until it was lower for %" PRId64 " s", w->need,
            d->desired, p->scale_down_delay_ms / 1000);
        break;
    default:
        say(d, "%" PRIu64 " in flight and %" PRIu64 " queued need %d at %d slots filled to %d %%",
            in_flight, queued, w->need, p->slots, p->target_percent);
    }
}

static void decide_manual(struct autoscale_decision *out, struct autoscale_state *state,
                          const struct autoscale_input *in)
{
    out->desired = in->policy.manual_replicas;
    out->reason = AUTOSCALE_MANUAL;
    say(out, "spec.scaling.replicas is %d", out->desired);
    state->desired = out->desired;
    state->started = false;
}

void autoscale_decide(struct autoscale_decision *out, struct autoscale_state *state,
                      const struct autoscale_input *in)
{
    const struct autoscale_policy *p = &in->policy;
    struct wishes w = {.next_ms = in->mono_ms + AUTOSCALE_CHECK_MAX_MS};
    int wanted;

    *out = (struct autoscale_decision){.previous = state->desired, .next_ms = w.next_ms};
    if (p->manual) {
        decide_manual(out, state, in);
        return;
    }
    assert(p->slots > 0 && p->target_percent > 0 && p->min <= p->max);
    if (!state->started)
        start(state, in);
    out->previous = state->desired;
    keep_window(state, in);
    wish_for_load(&w, state, in);
    wish_for_sleep(&w, state, in);
    for (int i = 0; i < p->warmup_count; i++)
        wish_for_one_warm_up(&w, in, &p->warmups[i]);

    wanted = w.load > w.warm_up ? w.load : w.warm_up;
    if (wanted < p->min)
        wanted = p->min;
    out->desired = wanted < p->max ? wanted : p->max;
    out->reason = reason_of(out, &w, in, wanted);
    explain(out, &w, in);
    out->next_ms = w.next_ms > in->mono_ms ? w.next_ms : in->mono_ms + 1;
    state->desired = out->desired;
}
