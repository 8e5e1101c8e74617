/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The files of the usage log: segments, spare, watermark, quarantine. Private to billing/meter.
 * Belongs to the log thread after opening, but for what meter.c does under its lock: the reader and
 * meter_quarantine work on files of their own.
 */
#ifndef SPATE_METER_STORE_H
#define SPATE_METER_STORE_H

#include "billing/meter/meter.h"
#include "billing/meter/segment.h"

struct store_segment {
    uint64_t number;
    uint64_t last_sequence; /* 0: no entry yet */
    uint64_t bytes;         /* on the disk */
};

struct store {
    const struct meter_io *io;
    const struct clock *clock;
    char *folder;
    int lock; /* -1: none */
    uint64_t segment_bytes;
    uint64_t max_bytes;

    struct store_segment *segments; /* rising numbers; the current one last, if there is one */
    size_t segment_count;
    size_t segment_cap;

    int current;           /* file of the last segment; -1: none */
    uint64_t current_used; /* where the next entry goes */
    bool spare;            /* the file `reserve` is there */
    uint64_t next_number;
    uint64_t last_sequence; /* highest found at open */
    uint64_t acked;

    _Atomic uint64_t quarantine_bytes; /* written under the quarantine lock, read by all */
    uint64_t quarantined;
    uint64_t damaged;
    uint64_t torn;
};

int meter_store_open(struct store *s, const struct meter_options *options, struct err *err);
void meter_store_close(struct store *s); /* also of a zeroed or half-opened one */

/* Makes a current segment and a spare where they are missing. True if both are there. */
bool meter_store_prepare(struct store *s);
/* Writes as many whole entries of `entries` as fit into the current segment and syncs. Returns the
 * bytes taken (0: no room, call store_rotate) or a failure; *last is the last sequence taken. */
ssize_t meter_store_write(struct store *s, struct str entries, uint64_t *last, struct err *err);
/* Ends the current segment; the spare becomes the current one. */
int meter_store_rotate(struct store *s, struct err *err);
/* Gives the current segment up after a failed write: nothing more is written to it. */
void meter_store_abandon(struct store *s);
/* Moves the watermark durably, deletes what is below it. */
int meter_store_ack(struct store *s, uint64_t sequence, struct err *err);
uint64_t meter_store_bytes(const struct store *s);

/* Appends one line to the quarantine file and syncs it. One caller at a time. */
int meter_store_quarantine(struct store *s, struct str line, struct err *err);
/* Makes the line for damaged bytes of a segment. */
int meter_store_damage_line(struct buf *out, const struct clock *clock, uint64_t segment,
                            const struct segment_entry *where, struct str bytes,
                            const char *reason);

/* "<folder>/00000012.log"; heap or NULL. */
char *meter_store_segment_path(const struct store *s, uint64_t number);

#endif
