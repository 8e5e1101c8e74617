/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Refusals of the API server: the object Status, and answers in general. Reading a Status never
 * fails: a proxy may have answered instead, then the HTTP status alone tells. Pure.
 */
#ifndef SPATE_OPERATOR_KUBE_STATUS_H
#define SPATE_OPERATOR_KUBE_STATUS_H

#include "base/json.h"

/* X(enum name, reason of the API, HTTP status that implies it or 0, error code) */
#define KUBE_REASONS(X)                                                                 \
    X(KUBE_REASON_NONE, "", 0, ERR_PROTOCOL)                                            \
    X(KUBE_REASON_BAD_REQUEST, "BadRequest", 400, ERR_INVALID)                          \
    X(KUBE_REASON_UNAUTHORIZED, "Unauthorized", 401, ERR_DENIED)                        \
    X(KUBE_REASON_FORBIDDEN, "Forbidden", 403, ERR_DENIED)                              \
    X(KUBE_REASON_NOT_FOUND, "NotFound", 404, ERR_NOT_FOUND)                            \
    X(KUBE_REASON_METHOD_NOT_ALLOWED, "MethodNotAllowed", 405, ERR_UNSUPPORTED)         \
    X(KUBE_REASON_NOT_ACCEPTABLE, "NotAcceptable", 406, ERR_UNSUPPORTED)                \
    X(KUBE_REASON_ALREADY_EXISTS, "AlreadyExists", 0, ERR_EXISTS)                       \
    X(KUBE_REASON_CONFLICT, "Conflict", 409, ERR_CONFLICT)                              \
    X(KUBE_REASON_GONE, "Gone", 410, ERR_CONFLICT)                                      \
    X(KUBE_REASON_EXPIRED, "Expired", 0, ERR_CONFLICT)                                  \
    X(KUBE_REASON_TOO_LARGE, "RequestEntityTooLarge", 413, ERR_LIMIT)                   \
    X(KUBE_REASON_UNSUPPORTED_MEDIA_TYPE, "UnsupportedMediaType", 415, ERR_UNSUPPORTED) \
    X(KUBE_REASON_INVALID, "Invalid", 422, ERR_INVALID)                                 \
    X(KUBE_REASON_TOO_MANY_REQUESTS, "TooManyRequests", 429, ERR_BUSY)                  \
    X(KUBE_REASON_INTERNAL_ERROR, "InternalError", 500, ERR_BUSY)                       \
    X(KUBE_REASON_SERVICE_UNAVAILABLE, "ServiceUnavailable", 503, ERR_BUSY)             \
    X(KUBE_REASON_TIMEOUT, "Timeout", 504, ERR_TIMEOUT)                                 \
    X(KUBE_REASON_SERVER_TIMEOUT, "ServerTimeout", 0, ERR_TIMEOUT)                      \
    X(KUBE_REASON_STORE_READ_ERROR, "StorageReadError", 0, ERR_BUSY)

enum kube_reason {
#define KUBE_REASON_ENUM(name, text, http, code) name,
    KUBE_REASONS(KUBE_REASON_ENUM)
#undef KUBE_REASON_ENUM
        KUBE_REASON_COUNT
};

enum { KUBE_STATUS_MESSAGE_MAX = 384, KUBE_RETRY_AFTER_MAX_S = 300 };

struct kube_status {
    int http_status; /* the answer's, or `code` of an ERROR event */
    enum kube_reason reason;
    int64_t retry_after_s; /* -1: not given; at most KUBE_RETRY_AFTER_MAX_S */
    /* One line for people, controls replaced; empty if there is none. */
    char message[KUBE_STATUS_MESSAGE_MAX];
};

/* From the body of an answer with an error status. A body that is no Status gives the reason that
 * the HTTP status implies and the start of its text as message. */
void kube_status_read(struct kube_status *out, int http_status, struct str body);
/* From the object of an ERROR event, or any tree. */
void kube_status_of_tree(struct kube_status *out, int http_status, const json_t *tree);

const char *kube_reason_name(enum kube_reason reason);
/* The version asked for is not kept any more (410): list anew. */
bool kube_status_expired(const struct kube_status *s);
/* Records "<what>: <reason>: <message>" and returns the negative code of the reason; -ERR_LIMIT for
 * a ResourceQuota that is used up. */
int kube_status_err(const struct kube_status *s, const char *what, struct err *err);

/* How a request ended. Borrowed for the callback. */
struct kube_answer {
    int code;        /* 0: an answer of 2xx; else the negative code of `err` */
    int http_status; /* 0: no answer came */
    /* The refusal; NULL on success and if no answer came. */
    const struct kube_status *status;
    struct str body;       /* of a success without on_data */
    const struct err *err; /* NULL on success */
};

#endif
