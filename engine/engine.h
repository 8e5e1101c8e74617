/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The engine's door. Plain data only: ids, numbers, offsets. No callbacks, no strings to interpret,
 * no pointers that live on: everything passed in is copied, so that an engine may one day be
 * another process. Text (tokenizer, templates, stop strings) is engine/text's, never seen here.
 *
 * Threads: all calls on one engine come from one thread, the step thread, except engine_plan (pure)
 * and the reading of `struct engine_progress`. Nothing allocates after engine_open: capacity is
 * fixed then, and engine_submit refuses (-ERR_BUSY) what does not fit.
 *
 * Exactness: the tokens of a request depend on the model, the prompt, the output so far and the
 * sampling alone: never on batch neighbours, chunk sizes, thread count, prefix reuse or preemption.
 * Sampling draws from hash(seed, position), so a request resumed elsewhere with `output` goes on
 * exactly as it would have.
 */
#ifndef SPATE_ENGINE_ENGINE_H
#define SPATE_ENGINE_ENGINE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum {
    ENGINE_STOP_IDS_MAX = 16,
    ENGINE_LOGPROBS_MAX = 20,
    ENGINE_EVENT_IDS_MAX = 8, /* ids in one event; more come in the next step's event */
    ENGINE_BIAS_MAX = 300,    /* entries of logit_bias, OpenAI's own limit */
};

struct engine;

enum engine_isa { ENGINE_ISA_AUTO, ENGINE_ISA_SCALAR, ENGINE_ISA_AVX2 };

struct engine_config {
    const char *model_path;    /* a Hugging Face folder or a .gguf file */
    int threads;               /* kernel workers with the step thread; 0: the machine's cores */
    enum engine_isa isa;       /* AUTO picks the best that this CPU has */
    int slots;                 /* sequences decoded together at most; 0: 16 */
    int queue_max;             /* submitted and not yet running at most; 0: 64 */
    int context_max;           /* tokens of one sequence, or what fits; 0: the model's own */
    int chunk_tokens;          /* tokens of one step at most (prefill and decode); 0: 256 */
    uint64_t kv_bytes;         /* memory for the KV cache; 0: enough for slots, at most 1 GiB */
    uint64_t memory_bytes;     /* that the process may use; 0: not known, and not looked at */
    uint64_t memory_used;      /* of them, by others than the engine */
    bool prefix_reuse;         /* keep finished blocks for equal prefixes */
    const char *counters_path; /* the mapped counter file to create (engine/counters.h) */
    uint8_t run_id[16];        /* of this engine run; written into the counter file */
};

/*
 * Memory that an engine takes and the kernel can't take back, in bytes. Not counted, so that
 * nothing is refused that could run: weights that are used as they lie in their file, whose pages
 * can be dropped and read again (slowly); the text of waiting requests; tables of fixed size,
 * stacks, and the kernel's own share. What is counted is in use sooner or later, though not from
 * the start: a KV cache fills as it is used.
 */
struct engine_memory {
    uint64_t weights; /* those made while loading, as FP32 of quantised ones */
    uint64_t kv;      /* all blocks, with their tables */
    uint64_t work;    /* activations, logits, tables; and memory_used of the configuration */
};

/* What a model needs, computed before anything is loaded (but the digest: zero until then). */
struct engine_plan {
    uint64_t weights_bytes; /* resident after load */
    uint64_t kv_block_bytes;
    int kv_block_tokens;
    int kv_blocks;
    int slots;
    int context_max;    /* the largest up to context_wanted that the KV cache holds */
    int context_wanted; /* as configured, or the model's own */
    int vocab_size;     /* ids below this may be sampled */
    int layers;
    struct engine_memory memory;
    bool kv_bounded; /* memory_bytes left less for the KV cache than would have been chosen */
    char architecture[32];
    char isa[16];       /* the kernels that will be used */
    uint8_t digest[32]; /* SHA-256 over the weights' identity: equal digest, equal answers */
};

/* Written by the loader, readable from any thread while engine_open runs. */
struct engine_progress {
    _Atomic uint64_t bytes_done;
    _Atomic uint64_t bytes_total;
};

struct engine_bias {
    int32_t id;
    float bias;
};

struct engine_sampling {
    float temperature; /* 0: greedy, ties to the lowest id */
    float top_p;       /* 1: off */
    int32_t top_k;     /* 0: off */
    float min_p;       /* 0: off */
    float presence_penalty;
    float frequency_penalty;
    float repetition_penalty; /* 1: off; over prompt and output, as vLLM */
    uint64_t seed;
    int32_t logprobs; /* -1: none; else how many alternatives beside the chosen one, 0..20 */
    const struct engine_bias *bias; /* copied by engine_submit */
    int bias_count;
};

/* Identifies an attempt to those who read the counter file: opaque here. */
struct engine_tag {
    uint8_t bytes[24];
};

struct engine_request {
    uint64_t handle; /* the caller's own, unique among those not released */
    struct engine_tag tag;
    const int32_t *prompt;
    int prompt_count;      /* >= 1 */
    const int32_t *output; /* tokens generated by earlier attempts; they count towards max_output */
    int output_count;
    int max_output; /* in all, output_count included; 0: up to the context */
    int min_output; /* stop ids are not sampled before this many */
    struct engine_sampling sampling;
    int32_t stop_ids[ENGINE_STOP_IDS_MAX];
    int stop_id_count;
    bool ignore_stop_ids;
    int priority;        /* higher is served and kept first */
    uint64_t cache_salt; /* prefixes are shared only among equal salts */
};

enum engine_finish {
    ENGINE_FINISH_NONE,
    ENGINE_FINISH_STOP,   /* a stop id (which is the last id of the output) */
    ENGINE_FINISH_LENGTH, /* max_output or the context is reached */
    ENGINE_FINISH_CANCELLED,
};

/* Work done for one attempt, cumulative. input_computed + input_cached = prompt tokens processed so
 * far, which is prompt_count from the first token of output on, whatever was preempted. recomputed
 * counts tokens computed again after a preemption and earlier output (of other attempts) computed
 * again here. Each computed token is in exactly one; what is found in the prefix cache after a
 * preemption, or of the earlier output, is in none. */
struct engine_counts {
    uint64_t input_computed; /* prompt tokens computed, once each */
    uint64_t input_cached;   /* prompt tokens found in the prefix cache */
    uint64_t output;         /* tokens sampled by this attempt */
    uint64_t recomputed;     /* computed again: preempted, or given as `output` */
};

struct engine_logprob {
    int32_t id;
    float logprob; /* of the model's distribution before penalties, temperature and cuts */
};

struct engine_event {
    uint64_t handle;
    int position; /* output position of ids[0], counting the output given at submission */
    int id_count; /* 0 only in an event that finishes */
    int32_t ids[ENGINE_EVENT_IDS_MAX];
    enum engine_finish finish; /* not NONE: the last event of this handle */
    int cached_tokens;         /* prompt tokens that came from the prefix cache (input_cached); a
                                  multiple of 16, the same in all events that carry ids */
    struct engine_counts counts;
    /* For ids[i]: chosen[i], and top[i][0..logprob_count-1], best first. -1: not asked for. */
    int logprob_count;
    struct engine_logprob chosen[ENGINE_EVENT_IDS_MAX];
    struct engine_logprob top[ENGINE_EVENT_IDS_MAX][ENGINE_LOGPROBS_MAX];
};

struct engine_stats {
    uint64_t steps; /* grows with each step that had work */
    int running;
    int waiting;
    int slots;
    int kv_blocks;
    int kv_blocks_used; /* referenced by live sequences */
    uint64_t preemptions;
    uint64_t prefix_queries;    /* tokens looked up */
    uint64_t prefix_hits;       /* tokens found */
    struct engine_counts total; /* of the run, as in the counter file */
};

/* Reads headers only. -ERR_NO_MEMORY, with all figures, if more is needed than memory_bytes. A KV
 * cache whose size is not given is made to fit, down to 1024 tokens. */
int engine_plan(struct engine_plan *out, const struct engine_config *config, struct err *err);

/* Loads the model and creates the counter file; takes as long as reading the weights. `progress`
 * may be NULL; otherwise it must live until the call returns. */
int engine_open(struct engine **out, const struct engine_config *config,
                struct engine_progress *progress, struct err *err);
void engine_close(struct engine *e);
const struct engine_plan *engine_plan_of(const struct engine *e);

/* -ERR_BUSY: no room now (slots + queue_max requests live, or that many rows and the spare ones not
 * released), try elsewhere. -ERR_INVALID: can never be served: too long, an id or parameter out of
 * range (the message names it), or the handle is in use. All is copied.
 *
 * Where `output` is complete already (its last id is a stop id, or it has max_output tokens or
 * fills the context), the next step ends the attempt with an event without ids and with counts of
 * zero: an earlier attempt had made the last token, but did not live to say so. */
int engine_submit(struct engine *e, const struct engine_request *request, struct err *err);
/* Whether a request could ever be served (-ERR_INVALID), before any engine is asked: pure, any
 * thread. */
int engine_check(const struct engine_plan *plan, const struct engine_request *request,
                 struct err *err);

/* The attempt ends in the next engine_step with ENGINE_FINISH_CANCELLED, its counts final, whether
 * it waits or runs; nothing more is computed for it. Unknown handles are ignored (it may have ended
 * meanwhile). */
void engine_cancel(struct engine *e, uint64_t handle);

/* One step for all running sequences. Writes up to `capacity` events (give at least `slots` +
 * `queue_max`, else -ERR_INVALID) and returns how many; 0 with *idle true when there is nothing to
 * do. Each live request has at most one event in a step, and none while its prompt is processed or
 * it waits. A failure means that the engine is broken: stop using it (all further steps fail). The
 * counters are committed before this returns, after a failure too.
 *
 * Order within a step: cancelled requests end; every sequence that decodes gets its token; prompts
 * get what is left of chunk_tokens, by priority, then age; then waiting requests are admitted in
 * the same order. A waiting request of higher priority displaces a running one of lower. Whoever
 * loses its KV blocks waits and is computed again: no event tells of it, only `recomputed`. */
int engine_step(struct engine *e, struct engine_event *events, int capacity, bool *idle,
                struct err *err);

/* Frees the attempt's row in the counter file, once its final counts are durable elsewhere. Must be
 * called for each finished handle: rows are limited to slots + queue_max + ENGINE_ROWS_SPARE. The
 * file shows it from the next engine_step on, idle ones included. Ignored for unknown handles and
 * for those that have not ended. */
void engine_release(struct engine *e, uint64_t handle);
enum { ENGINE_ROWS_SPARE = 256 };

void engine_stats(const struct engine *e, struct engine_stats *out);

#endif
