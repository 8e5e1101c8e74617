/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A file that holds the newest of the texts that come: written on a thread of the pool, since a
 * disk may take its time; one write at a time, each of what is the newest then. What a crash loses
 * are the texts that came during the last write; the file is always one whole text. Loop thread.
 */
#ifndef SPATE_GATEWAY_KEEP_H
#define SPATE_GATEWAY_KEEP_H

#include "base/buf.h"
#include "base/err.h"
#include "base/loop.h"

enum { KEEP_BYTES_MAX = 256 << 20 };

struct keep { /* private */
    struct loop *loop;
    char *path;
    struct buf next; /* the newest text, if it `waits` to be written */
    bool waits;
    struct buf text; /* what a thread of the pool writes, if it is `writing` */
    bool writing;
    int result;
    struct err err;
};

/* The file is FOLDER/NAME, of mode 0600. */
int keep_init(struct keep *k, struct loop *loop, const char *folder, const char *name,
              struct err *err);
/* Appends what an earlier process kept, and returns 1; 0: nothing is there. Blocks: at start. */
int keep_read(const struct keep *k, struct buf *out, struct err *err);
/* Copies the text. A failure, here or of the disk, is logged: the next text may fare better. */
void keep_put(struct keep *k, struct str text);
/* Writes what waits, now. Blocks: when the loop does not run any more; it is turned while a write
 * is under way. */
void keep_finish(struct keep *k);
/* No write may be under way: nothing was put, or keep_finish was called. A zeroed one is allowed.
 */
void keep_fini(struct keep *k);

#endif
