/* SPDX-License-Identifier: Apache-2.0 */
/* How many replicas, and why: gathers the signals, asks the policy, keeps the decision. */
#include "operator/reconcile/pass.h"

#include <stdio.h>
#include <string.h>

#include "operator/common/must.h"

void pass_decision(struct pass *p, int64_t from, int64_t to, const char *reason, const char *text)
{
    struct crd_model_status *next = &p->next;
    int keep =
        next->decision_count < CRD_DECISIONS_MAX ? next->decision_count : CRD_DECISIONS_MAX - 1;

    memmove(next->decisions + 1, next->decisions, (size_t)keep * sizeof(*next->decisions));
    next->decision_count = keep + 1;
    next->decisions[0] = (struct crd_decision){
        .time_ms = p->wall_ms,
        .from = from,
        .to = to,
        .reason = pass_text(p, "%s", reason),
        .message = pass_text(p, "%s", text),
    };
    log_info("decision", LOG_STR("model", p->m->key), LOG_I64("from", from), LOG_I64("to", to),
             LOG_STR("reason", reason), LOG_STR("text", text));
}

/* --- schedules -------------------------------------------------------------------------------- */

/* Leaves out the schedules that can't be understood, and says so. */
static int read_warmups(struct pass *p, struct autoscale_warmup *out)
{
    char fault[PLATFORM_MESSAGE_MAX] = "";
    int count = 0;

    for (int i = 0; i < p->spec->warmup_count; i++) {
        const struct crd_warmup *in = &p->spec->warmups[i];
        struct autoscale_warmup *warmup = &out[count];
        struct err err = {0};

        *warmup = (struct autoscale_warmup){
            .name = in->name.len > 0 ? arena_strdup(&p->arena, in->name) : NULL,
            .zone = p->r->platform->ops->time_zone(p->r->platform, in->time_zone),
            .replicas = (int)in->replicas,
            .duration_s = in->duration_s,
        };
        if (cron_parse(&warmup->cron, in->schedule, &err) < 0)
            snprintf(fault, sizeof(fault), "spec.scaling.warmup[%d].schedule: %.180s", i,
                     err_message(&err));
        else if (warmup->zone == NULL)
            snprintf(fault, sizeof(fault),
                     "spec.scaling.warmup[%d].timeZone: %.64s is not known to this machine; use an "
                     "IANA name such as Asia/Shanghai, and install tzdata",
                     i, (const char *)must(arena_strdup(&p->arena, in->time_zone)));
        else
            count++;
    }
    if (fault[0] != '\0')
        pass_condition(p, "ScheduleValid", CRD_FALSE, "ScheduleInvalid", "%s", fault);
    else
        pass_condition(p, "ScheduleValid", CRD_TRUE, "Valid", "%d warm-up schedules",
                       p->spec->warmup_count);
    return count;
}

/* --- signals ---------------------------------------------------------------------------------- */

/*
 * Sums over the gateways that should be alive. One that is silent makes the sum unknown; what it
 * last said still counts. A restarted gateway counts its start as the last request.
 */
static struct autoscale_signal read_signal(struct pass *p)
{
    const struct world *w = &p->r->world;
    struct autoscale_signal signal = {.known = true, .idle_ms = INT64_MAX};
    int live = 0;

    for (size_t i = 0; i < w->gateway_count; i++) {
        const struct world_gateway *gateway = &w->gateways[i];
        const struct world_load *load = NULL;
        int64_t idle_ms;

        if (!gateway->live)
            continue;
        live++;
        if (!gateway->reported || p->now_ms - gateway->report_ms > PASS_GATEWAY_SILENT_MS)
            signal.known = false;
        if (!gateway->reported)
            continue;
        for (size_t j = 0; j < p->m->load_count; j++) {
            if (p->m->loads[j].gateway == gateway &&
                id_compare(p->m->loads[j].run, gateway->run) == 0)
                load = &p->m->loads[j];
        }
        idle_ms = load != NULL ? load->idle_ms + (p->now_ms - load->report_ms)
                               : gateway->uptime_ms + (p->now_ms - gateway->report_ms);
        if (load != NULL) {
            signal.in_flight += load->in_flight;
            signal.queued += load->queued;
            if (load->in_flight + load->queued > 0)
                idle_ms = 0;
        }
        if (idle_ms < signal.idle_ms)
            signal.idle_ms = idle_ms;
    }
    if (live == 0)
        signal.known = false;
    if (signal.idle_ms == INT64_MAX)
        signal.idle_ms = 0;
    return signal;
}

static struct autoscale_supply read_supply(const struct pass *p)
{
    struct autoscale_supply supply = {.pending = p->next.pending_create_count};

    for (int i = 0; i < p->next.pod_count; i++) {
        if (p->next.pods[i].phase == CRD_POD_DRAINING)
            supply.draining++;
        else if (p->next.pods[i].phase == CRD_POD_READY)
            supply.ready++;
        else
            supply.pending++;
    }
    return supply;
}

/* --- the decision ----------------------------------------------------------------------------- */

static void decide(struct pass *p, struct autoscale_decision *out)
{
    struct autoscale_warmup *warmups =
        must(arena_array(&p->arena, (size_t)p->spec->warmup_count + 1, sizeof(*warmups)));
    int64_t measured = world_cold_start_percentile(p->m, 90);
    struct autoscale_input in = {
        .mono_ms = p->now_ms,
        .wall_ms = p->wall_ms,
        .policy =
            {
                .manual = p->spec->mode == CRD_SCALING_MANUAL,
                .manual_replicas = (int)p->spec->replicas,
                .min = (int)p->spec->min_replicas,
                .max = (int)p->spec->max_replicas,
                .slots = (int)p->spec->slots,
                .target_percent = (int)p->spec->target_percent,
                .idle_after_ms = p->spec->idle_after_s * 1000,
                .scale_down_delay_ms = p->spec->scale_down_delay_s * 1000,
                .warmups = warmups,
                .warmup_count = read_warmups(p, warmups),
            },
        .supply = read_supply(p),
        .signal = read_signal(p),
        .cold_start_p90_ms = measured > 0 ? measured : p->seen->cold_start_p90_ms,
    };

    autoscale_decide(out, &p->m->autoscale, &in);
}

void pass_scale(struct pass *p)
{
    struct autoscale_decision decision = {0};
    int64_t before = p->seen->desired_replicas;
    bool up;

    if (p->r->shutting_down) {
        decision.desired = 0;
        snprintf(decision.text, sizeof(decision.text), "the platform is being shut down");
        decision.next_ms = INT64_MAX;
    } else {
        decide(p, &decision);
    }
    pass_requeue(p, decision.next_ms);
    p->next.desired_replicas = decision.desired;
    if (decision.desired == before)
        return;
    up = decision.desired > before;
    pass_decision(p, before, decision.desired,
                  p->r->shutting_down ? "ShutDown" : autoscale_reason_name(decision.reason),
                  decision.text);
    pass_event(p, false, up ? "ScaledUp" : "ScaledDown",
               pass_text(p, "from %lld to %d replicas: %s", (long long)before, decision.desired,
                         decision.text));
}
