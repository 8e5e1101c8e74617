/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Decoder of a watch: bytes of the stream in, events out, one object at a time. Only new bytes are
 * searched for the end of a line, and a line is parsed once; what is kept between two pieces is one
 * unfinished line of at most KUBE_WATCH_LINE_MAX bytes. Sans I/O.
 */
#ifndef SPATE_OPERATOR_KUBE_WATCH_H
#define SPATE_OPERATOR_KUBE_WATCH_H

#include "operator/kube/client/kube_object.h"
#include "operator/kube/client/kube_status.h"

enum { KUBE_WATCH_LINE_MAX = KUBE_OBJECT_BYTES_MAX };

enum kube_watch_type {
    KUBE_WATCH_ADDED,
    KUBE_WATCH_MODIFIED,
    KUBE_WATCH_DELETED,
    KUBE_WATCH_BOOKMARK, /* only resource_version counts */
    KUBE_WATCH_ERROR,    /* only status counts; the stream ends with it */
    KUBE_WATCH_COUNT
};

/* Borrowed for the callback. */
struct kube_watch_event {
    enum kube_watch_type type;
    const json_t *object; /* without managedFields */
    struct kube_meta meta;
    bool initial_end; /* a bookmark that ends the initial set of a streaming list */
    struct kube_status status;
};

/* A negative result stops the decoder for good and is returned by kube_watch_feed. */
typedef int (*kube_watch_fn)(void *user, const struct kube_watch_event *event);

struct kube_watch {
    kube_watch_fn fn;
    void *user;
    struct buf line;
    uint64_t events; /* decoded so far */
    int failed;
};

void kube_watch_init(struct kube_watch *w, kube_watch_fn fn, void *user); /* does not allocate */
void kube_watch_fini(struct kube_watch *w);
/* Ready for a new stream: forgets an unfinished line and a failure, keeps the memory. */
void kube_watch_reset(struct kube_watch *w);
/* -ERR_SYNTAX, -ERR_INVALID: no watch stream; -ERR_LIMIT; -ERR_NO_MEMORY; or what fn returned. */
int kube_watch_feed(struct kube_watch *w, struct str bytes, struct err *err);
/* At the end of the stream: a last line without a line end counts if it is whole; a part of one is
 * dropped (the stream was cut). */
int kube_watch_end(struct kube_watch *w, struct err *err);

const char *kube_watch_type_name(enum kube_watch_type type);

#endif
