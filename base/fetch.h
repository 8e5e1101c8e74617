/* SPDX-License-Identifier: Apache-2.0 */
/*
 * HTTP(S) by libcurl, inside a loop: for everything that is not gateway to agent (the operator's
 * and the ledger's clients, downloads, the Kubernetes API). http and https only; redirects only if
 * asked. Everything is called on the loop's thread.
 */
#ifndef SPATE_BASE_FETCH_H
#define SPATE_BASE_FETCH_H

#include "base/buf.h"
#include "base/err.h"
#include "base/http.h"
#include "base/loop.h"

/* The other machine does not answer the kernel either for so long: the connection is given up. */
enum { FETCH_DEAD_PEER_MS = 30 * 1000 };

struct fetcher;
struct fetch;

struct fetch_options {
    const char *method; /* NULL: GET, or POST with a body */
    const char *url;    /* http:// or https:// */
    const struct http_header *headers;
    size_t header_count;
    struct str body;          /* copied; ptr NULL: none */
    const char *bearer_token; /* NULL: none. Never sent to another host after a redirect */
    const char *ca_file;      /* NULL: the system's */
    struct str ca_pem;        /* the same as text, instead of a file; ptr NULL: none */
    struct str cert_pem;      /* our certificate, and its key: both or neither */
    struct str key_pem;
    bool compressed;             /* gzip may come; what is received and counted is unpacked */
    const char *user_agent;      /* NULL: "spate" */
    const char *unix_socket;     /* NULL: TCP */
    uint64_t connect_timeout_ms; /* 0: 10 s */
    uint64_t timeout_ms;         /* the whole; 0: none */
    uint64_t stall_timeout_ms;   /* no byte for so long (rounded up to seconds); 0: none */
    int max_redirects;           /* 0: a redirect is an ordinary answer */
    size_t max_bytes;            /* of the response body; 0: 32 MiB, with on_data: no limit */

    /* With on_data the body is not collected; a negative result ends the fetch with that code. */
    int (*on_data)(void *user, int status, struct str bytes);
    /* Once, unless cancelled; never inside fetch_start. err is NULL if an answer arrived whole,
     * whatever its status; then body holds it (borrowed). */
    void (*on_done)(void *user, int status, struct str body, const struct err *err);
    void *user;
};

int fetcher_new(struct fetcher **out, struct loop *loop, struct err *err);
/* Cancels what runs; no callbacks. Let the loop turn afterwards. NULL is allowed. */
void fetcher_close(struct fetcher *f);

/* On failure no callback runs. *out (may be NULL) is valid until on_done returned. */
int fetch_start(struct fetch **out, struct fetcher *f, const struct fetch_options *options,
                struct err *err);
/* A header of the final answer, within on_data and on_done; ptr NULL if it is not there. Borrowed
 * until the fetch ends. */
struct str fetch_header(const struct fetch *fetch, const char *name);
/* No callback runs any more. NULL is allowed. */
void fetch_cancel(struct fetch *fetch);

/* One request on a loop of its own, blocking: for the CLI and start-up. Returns the status and
 * appends the body (on_done must be NULL; on_data is called as above, then nothing is appended). */
int fetch_wait(const struct fetch_options *options, struct buf *body, struct err *err);

#endif
