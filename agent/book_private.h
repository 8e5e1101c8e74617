/* SPDX-License-Identifier: Apache-2.0 */
/* What book.c and book_recover.c share. */
#ifndef SPATE_AGENT_BOOK_PRIVATE_H
#define SPATE_AGENT_BOOK_PRIVATE_H

#include "agent/book.h"
#include "base/file.h"
#include "base/map.h"
#include "billing/meter/meter.h"

#define BOOK_COUNTERS_SUFFIX ".counters"
#define BOOK_DONE_SUFFIX     ".done"

enum {
    BOOK_KEY_MAX = ID_TEXT_LEN + 12,
    BOOK_RECORDS_SPARE = 65536, /* for what was admitted before the book was full */
};

struct book_entry {
    struct book_entry *previous, *next;
    struct usage_record record;
    uint64_t sequence; /* in the log; 0: not taken yet */
    uint64_t handle;   /* of the engine's attempt, while has_handle */
    bool has_handle;
    int64_t added_mono_ms;
};

struct book {
    struct loop *loop;
    const struct clock *clock;
    struct meter *meter;
    char *log_folder;
    char *runs_folder;
    void (*durable)(void *user, uint64_t handle);
    void *user;
    struct book_entry *first, *last;
    struct map by_attempt;
    struct loop_timer retry;
    struct loop_deferred watermark;
    uint64_t durable_sequence;
    uint64_t acknowledged_sequence;
};

int book_insert(struct book *b, const struct usage_record *record, uint64_t sequence,
                struct book_entry **out, struct err *err);
void book_move_watermark(struct book *b);

/* Writes records for the open attempts of crashed runs, waits until they are durable, marks the
 * counter files as done and removes the oldest of those. */
int book_recover_runs(struct book *b, const char *pod_name, struct err *err);

#endif
