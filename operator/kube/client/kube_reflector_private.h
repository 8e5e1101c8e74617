/* SPDX-License-Identifier: Apache-2.0 */
/* The inside of the reflector, shared by its files. */
#ifndef SPATE_OPERATOR_KUBE_REFLECTOR_PRIVATE_H
#define SPATE_OPERATOR_KUBE_REFLECTOR_PRIVATE_H

#include "operator/kube/client/kube_limit.h"
#include "operator/kube/client/kube_list.h"
#include "operator/kube/client/kube_reflector.h"
#include "operator/kube/client/kube_watch.h"

enum {
    KUBE_REFLECTOR_USELESS_MAX = 3, /* watches at one version that end in nonsense: list anew */
    KUBE_REFLECTOR_SHORT_MS = 1000, /* a watch that ends sooner, with nothing in it, is a failure */
};

enum kube_reflector_phase {
    KUBE_REFLECTOR_IDLE,
    KUBE_REFLECTOR_STREAM_LIST, /* a watch before its initial set is complete */
    KUBE_REFLECTOR_PAGES,
    KUBE_REFLECTOR_WATCH,
    KUBE_REFLECTOR_WAITING, /* no request; goes on at again_ms */
};

/* How a request ended, as far as it matters for what comes next. */
enum kube_verdict {
    KUBE_VERDICT_ENDED,   /* properly */
    KUBE_VERDICT_EXPIRED, /* 410 */
    KUBE_VERDICT_LATER,   /* the server says when */
    KUBE_VERDICT_FAILED,  /* the network, 5xx, or silence: the same again */
    KUBE_VERDICT_USELESS, /* an ERROR, a refusal, or bytes that make no sense */
};

struct kube_reflector {
    struct kube_reflector_options options;
    char *name_space, *label_selector, *field_selector;
    enum kube_reflector_phase phase;
    bool busy;     /* a request is under way ... */
    bool answered; /* ... and its end was reported: it is being judged */
    bool synced;

    /* What is known. */
    char version[KUBE_LIST_TEXT_MAX];        /* "": list */
    char continue_token[KUBE_LIST_TEXT_MAX]; /* of the next page */
    bool paging;                             /* a list by pages has begun */
    bool streaming_refused;                  /* for good */
    bool pages_next;                         /* the next list is one by pages */
    bool unpaged;                            /* the next list is one page: its continue expired */

    /* The request under way, or the last one. */
    struct kube_watch watch;
    struct kube_list list;
    bool got_error; /* an ERROR event came */
    struct kube_status error;
    int failure; /* of reading: negative */
    struct err failure_err;
    bool store_failed; /* the store refused an event: it must be listed anew */
    bool progress;     /* events or bookmarks of a watch came */
    int64_t begun_ms;
    int64_t watching_ms; /* when it became a watch */
    int64_t byte_ms;     /* the last byte */
    int64_t deadline_ms; /* we end it ourselves */

    int64_t again_ms;
    int useless; /* in a row */
    struct kube_backoff backoff;
    struct kube_backoff expiry_backoff;
    bool expired_lately; /* without a healthy watch since */
    struct kube_reflector_counts counts;
};

/* kube_reflector_target.c: path and query of the next request. */
int kube_reflector_target_stream(struct kube_reflector *r, struct buf *out, uint64_t timeout_s,
                                 struct err *err);
int kube_reflector_target_page(struct kube_reflector *r, struct buf *out, struct err *err);
int kube_reflector_target_watch(struct kube_reflector *r, struct buf *out, uint64_t timeout_s,
                                struct err *err);

/* kube_reflector_read.c: what the decoders call. `object` is the reflector. */
int kube_reflector_take_event(void *object, const struct kube_watch_event *event);
int kube_reflector_take_item(void *object, const json_t *item, const struct kube_meta *meta);
int kube_reflector_commit(struct kube_reflector *r, const char *version);

/* kube_reflector.c */
int64_t kube_reflector_now(const struct kube_reflector *r);

/* kube_reflector_end.c: the request is over. err may be NULL for ENDED. */
void kube_reflector_end(struct kube_reflector *r, enum kube_verdict verdict, int64_t later_ms,
                        const struct err *err);
/* In kube_reflector.c, called by it: goes on after a delay, 0 for at once. */
void kube_reflector_wait(struct kube_reflector *r, int64_t delay_ms);

#endif
