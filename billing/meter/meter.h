/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The durable log of usage snapshots: append-only segments in one folder, written by a log thread
 * that commits whatever is queued by one fdatasync (group commit).
 *
 *     append (any thread) -> queue -> [log thread: write, fdatasync] -> durable up to N (callback)
 *                                          |
 *     acked  00000007.log  00000008.log  reserve  quarantine.jsonl  lock
 *       |      read -> ship -> the ledger's answers -> meter_ack(N): whole segments are deleted
 *       +-- the watermark: everything up to it was handled
 *
 * Nothing that was accepted is dropped. Disk space is taken before it is needed: the current
 * segment and a spare one (`reserve`) are preallocated. When no new spare can be had (max_bytes, or
 * the disk is full), meter_admission_open says false: stop admitting requests; those admitted still
 * fit into the spare. It opens again by itself when acknowledgements or others free space.
 *
 * Order: sequences rise from 1 and survive restarts. A crash loses at most what was not yet
 * durable.
 */
#ifndef SPATE_METER_H
#define SPATE_METER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/loop.h"
#include "base/metrics.h"
#include "billing/meter/meter_io.h"
#include "wire/usage.h"

struct meter;

enum {
    METER_SEGMENT_BYTES = 8 << 20,
    METER_SEGMENT_BYTES_MIN = 4096,
    METER_SEGMENT_BYTES_MAX = 256 << 20,
    METER_SEGMENTS_MAX = 65536,         /* on disk; over it admission stops */
    METER_PENDING_BYTES_MAX = 32 << 20, /* queued and not yet durable */
    METER_RETRY_MS = 100,               /* after a failed write, and for a missing spare segment */
};
#define METER_MAX_BYTES (1ULL << 30)

struct meter_options {
    const char *folder;        /* made if missing; locked: one process at a time */
    const struct meter_io *io; /* NULL: the system's */
    const struct clock *clock; /* NULL: the system's */
    uint64_t segment_bytes;    /* 0: METER_SEGMENT_BYTES */
    uint64_t max_bytes;        /* of the folder; 0: METER_MAX_BYTES; at least four segments */

    /* Called when more became durable, with the highest sequence of which that is true: on `loop`'s
     * thread if given, else on the log thread. NULL: not wanted. */
    struct loop *loop;
    void (*durable)(void *user, uint64_t sequence);
    void *user;
};

struct meter_stats {
    uint64_t appended; /* highest sequence given out */
    uint64_t durable;  /* highest on the disk */
    uint64_t acked;    /* watermark */
    uint64_t commits;  /* fdatasync calls for records */
    uint64_t bytes;    /* of segments, spare and quarantine file */
    uint64_t segments;
    uint64_t quarantined;    /* ALARM: records refused or unreadable, kept in quarantine.jsonl */
    uint64_t damaged;        /* ALARM: corrupt places found in segments, kept in quarantine.jsonl */
    uint64_t torn;           /* torn tails cut at open: normal after a crash */
    uint64_t write_failures; /* writes and syncs that failed and were done again */
    bool admission_open;
};

/* Opens the log, repairs what a crash left, starts the log thread. A full disk does not fail it. */
int meter_open(struct meter **out, const struct meter_options *options, struct err *err);
/* Commits what is queued (as far as the disk lets it), stops the thread. NULL is allowed. */
void meter_close(struct meter *m);

/*
 * Queues a snapshot; *sequence (may be NULL) is its number. Any thread; never blocks on the disk.
 * -ERR_NO_SPACE when METER_PENDING_BYTES_MAX wait for a disk that takes nothing: keep the snapshot
 * and offer it, or a newer one of the attempt, again. -ERR_LIMIT, -ERR_NO_MEMORY.
 */
int meter_append(struct meter *m, const struct usage_record *record, uint64_t *sequence,
                 struct err *err);
/* Blocks until everything appended before is durable, or timeout_ms passed (-ERR_TIMEOUT). Not for
 * a loop. */
int meter_flush(struct meter *m, int64_t timeout_ms, struct err *err);

uint64_t meter_durable(struct meter *m);
/* False: admit no new request. While it is false append final snapshots only. */
bool meter_admission_open(struct meter *m);

/* Everything up to `sequence` is handled: moves the watermark (never back; durably, but later) and
 * deletes whole segments below it. Any thread. */
void meter_ack(struct meter *m, uint64_t sequence);

/* Where a reader stands; zeroed means at the watermark. One reader is one thread at a time. */
struct meter_cursor {
    uint64_t segment;
    uint64_t offset;
    uint64_t sequence; /* of the last record read */
};

/*
 * Reads up to `max` durable records after the cursor and moves it. `each` gets the record's JSON,
 * borrowed; a negative result of it stops the reading before that record. Returns how many. Blocks
 * on the disk: for worker threads.
 */
int meter_read(struct meter *m, struct meter_cursor *cursor, int max,
               int (*each)(void *user, uint64_t sequence, struct str json), void *user,
               struct err *err);

/* Keeps a record that will never be accepted in quarantine.jsonl, durably, with the reason; raises
 * the alarm counter. After it the record counts as handled. */
int meter_quarantine(struct meter *m, struct str json, const char *reason, struct err *err);

void meter_stats(struct meter *m, struct meter_stats *out);
/* The rows of spate_meter_*, for the reference page. */
enum { METER_METRIC_COUNT = 10 };
extern const struct metric_info meter_metric_table[METER_METRIC_COUNT];
/* Declares them; `m` must outlive the registry's last exposition. */
int meter_declare_metrics(struct meter *m, struct metrics *metrics, struct err *err);

#endif
