/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The engine's inside, shared by its own files alone. One engine has fixed tables:
 *
 *     seqs[slots + queue_max]   live requests: waiting, or running with KV blocks
 *     running[<= slots]         numbers of running seqs, highest rank first
 *     waiting[]                 numbers of waiting seqs, highest rank LAST (so that it pops)
 *     rows of the counter file  one per attempt, kept after its end until engine_release
 *
 * Rank: higher priority first, then the earlier submitted. A step goes
 *
 *     submit.c   ends what was cancelled
 *     sched.c    gives each sequence its share `take` of the step's tokens, and blocks for them
 *     step.c     builds the batch, runs the model, samples, finishes, commits the counters
 *     account.c  decides in which count each computed token belongs
 */
#ifndef SPATE_ENGINE_CORE_H
#define SPATE_ENGINE_CORE_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/counters.h"
#include "engine/engine.h"
#include "engine/handles.h"
#include "engine/kv.h"
#include "engine/model.h"
#include "engine/sample.h"

struct seq {
    uint64_t handle;
    uint64_t serial; /* order of submission */
    int priority;
    int row; /* in the counter file */
    bool running;
    bool admitted;             /* has run before: its prefix was looked up and counted */
    enum engine_finish ending; /* not NONE: ends at the start of the next step */

    int32_t *tokens; /* [context_max] prompt, output given at submission, output sampled here */
    int length;      /* tokens known */
    int length_max;  /* generation ends here */
    int prompt_count;
    int given_count; /* output tokens given at submission */
    int min_output;

    struct engine_sampling sampling; /* its bias points to `bias` */
    struct engine_bias bias[ENGINE_BIAS_MAX];
    int32_t stop_ids[ENGINE_STOP_IDS_MAX];
    int stop_id_count; /* 0 also where stop ids are to be ignored */
    uint64_t cache_salt;

    int computed; /* positions whose KV is in the store, for the present run */
    int counted;  /* positions ever counted; those below it are recomputed when computed again */
    int take;     /* positions to compute in this step */

    int32_t *blocks; /* [blocks of context_max] the block table */
    int block_count;
    int published;   /* the first of them, which are full and published (or came so) */
    uint64_t parent; /* serial of the last published one, KV_ROOT at first */
};

struct engine {
    struct engine_plan plan;
    int queue_max;
    int chunk_tokens;
    bool prefix_reuse;
    bool broken; /* a step failed: all further ones do */

    struct model *model;
    struct counters *counters;
    struct kv *kv;
    struct sample_scratch *scratch;

    int seq_max;
    struct seq *seqs;
    int32_t *token_memory; /* behind all seqs' tokens */
    int32_t *block_memory; /* behind all block tables */
    int *free_seqs;        /* a stack */
    int free_seq_count;
    int *running;
    int running_count;
    int *waiting;
    int waiting_count;
    int *ending; /* seqs with `ending` set */
    int ending_count;
    uint64_t last_serial;

    int row_max;
    struct handles handles; /* handle -> row */
    int *row_seq;           /* [row_max] the live seq of a row, or -1 */
    bool uncommitted;       /* rows were taken or freed since the last commit */

    int budget; /* tokens that this step may still take */
    int32_t *batch_tokens;
    struct batch_seq *batch_seqs;
    int *batch_numbers; /* the seq behind each of batch_seqs */
    float *logits;      /* [slots][vocab_rows] */
    int vocab_rows;

    uint64_t steps;
    uint64_t preemptions;
    uint64_t prefix_queries;
    uint64_t prefix_hits;
};

/* account.c. Each adds to the attempt's row and to the totals alike. */
enum count_kind { COUNT_INPUT_COMPUTED, COUNT_INPUT_CACHED, COUNT_OUTPUT, COUNT_RECOMPUTED };
void account_add(struct engine *e, const struct seq *s, enum count_kind kind, int tokens);
/* Positions 0 .. found came from the prefix cache when `s` was admitted. */
void account_found(struct engine *e, struct seq *s, int found);
/* Positions `from` .. `from + count` were computed. */
void account_computed(struct engine *e, struct seq *s, int from, int count);
void account_counts(struct engine *e, const struct seq *s, struct engine_counts *out);

/* sched.c. Sets `take` of all running sequences, after preempting and admitting; returns their sum.
 */
int sched_plan(struct engine *e);
/* Gives back the blocks of `s`. */
void sched_release_blocks(struct engine *e, struct seq *s);
/* Publishes the blocks that are full by now. */
void sched_publish(struct engine *e, struct seq *s);
void sched_enqueue(struct engine *e, struct seq *s);
/* Takes `s` out of running or waiting, wherever it is. */
void sched_remove(struct engine *e, struct seq *s);

/* submit.c. Ends an attempt: fills the event's fixed part, frees all but the row. */
void submit_finish(struct engine *e, struct seq *s, enum engine_finish finish,
                   struct engine_event *event);
/* The event's fields for `s` as it stands, with no ids. */
void submit_fill_event(struct engine *e, const struct seq *s, struct engine_event *event);
/* Ends what is in `ending`; returns the number of events written. */
int submit_end_pending(struct engine *e, struct engine_event *events);
/* Whether the last of `output_count` output tokens ends the answer. */
enum engine_finish submit_finish_of(const struct seq *s);

#endif
