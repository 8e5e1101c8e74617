/* SPDX-License-Identifier: Apache-2.0 */
/* What the agent may use of memory, and what is said where a model asks for more. */
#include <stdio.h>

#include "agent/agent.h"
#include "base/log.h"

void agent_memory_find(struct agent *a)
{
    if (a->settings->memory_mib > 0)
        a->memory = (struct memory_limit){.bytes = (uint64_t)a->settings->memory_mib << 20};
    else
        (void)memory_limit_find(&a->memory, "");
}

/* How to get more memory. */
static const char *memory_cure(const struct agent *a)
{
    return a->memory.is_machine ? "take a larger machine" : "raise spec.hardware.memoryMiB";
}

void agent_memory_tell_context(struct agent *a)
{
    const struct engine_plan *plan = &a->plan;
    uint64_t blocks = ((uint64_t)plan->context_wanted + (uint64_t)plan->kv_block_tokens - 1) /
                      (uint64_t)plan->kv_block_tokens;
    uint64_t mib = (blocks * plan->kv_block_bytes + (1 << 20) - 1) >> 20;

    if (plan->context_max >= plan->context_wanted)
        return;
    if (plan->kv_bounded)
        snprintf(a->detail, sizeof(a->detail),
                 "its context is %d tokens, not %d, as %llu MiB of memory leave its KV cache no "
                 "more: %s, or set contextTokens (--context) to what is needed",
                 plan->context_max, plan->context_wanted, (unsigned long long)a->memory.bytes >> 20,
                 memory_cure(a));
    else
        snprintf(a->detail, sizeof(a->detail),
                 "its context is %d tokens, not %d, as its KV cache holds no more: raise "
                 "kvCacheMiB (--kv-mib) to %llu, or set contextTokens (--context) to what is "
                 "needed",
                 plan->context_max, plan->context_wanted, (unsigned long long)mib);
    log_warn("the context is shorter than it was wished", LOG_STR("detail", a->detail));
}

void agent_memory_explain(const struct agent *a, struct err *err)
{
    struct err why = *err;

    (void)err_set(err, why.code,
                  "%s: %s, lower kvCacheMiB (--kv-mib), slots or contextTokens (--context), or "
                  "take a smaller model",
                  err_message(&why), memory_cure(a));
}
