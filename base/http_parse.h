/* SPDX-License-Identifier: Apache-2.0 */
/*
 * HTTP/1.1 message parsing without sockets: bytes in, callbacks out; one parser for one direction
 * of one connection. On llhttp, strict, without any lenient flag. On top of it refused here: more
 * than one Host or Transfer-Encoding, a transfer coding other than "chunked", chunk extensions and
 * trailers in requests, folded header lines, CONNECT.
 */
#ifndef SPATE_BASE_HTTP_PARSE_H
#define SPATE_BASE_HTTP_PARSE_H

#include <llhttp.h>

#include "base/http.h"

struct http_parse_limits {
    size_t target_bytes;
    size_t header_bytes; /* start line and all header fields together */
    size_t header_count;
    uint64_t body_bytes; /* 0: no limit (a stream that is passed on) */
};

struct http_head {
    struct str method; /* requests: "GET" */
    struct str target; /* requests: as received */
    int status;        /* responses */
    int version_minor; /* HTTP/1.<minor> */
    struct http_headers headers;
    bool has_body;   /* by its framing; a response may still turn out empty */
    bool has_length; /* content_length is known */
    uint64_t content_length;
};

/* A negative result of a callback ends the parsing with that result. */
struct http_parse_callbacks {
    int (*on_head)(void *object, const struct http_head *head); /* borrowed until on_end */
    int (*on_body)(void *object, struct str bytes);
    int (*on_end)(void *object);
};

enum http_parse_kind { HTTP_PARSE_REQUEST, HTTP_PARSE_RESPONSE };

struct http_parser {
    llhttp_t llhttp;
    enum http_parse_kind kind;
    struct http_parse_limits limits;
    const struct http_parse_callbacks *callbacks;
    void *object;
    struct buf text;           /* target and fields of the current head, one after the other */
    struct http_header *items; /* as views once the head is complete, as offsets before */
    struct http_parse_field *fields;
    size_t field_count, field_cap;
    size_t target_len;
    struct http_head head;
    uint64_t body_seen;
    size_t head_seen;
    bool head_done;
    bool in_value;
    bool begun;
    bool head_request; /* the response answers a HEAD: no body */
    bool ended;
    bool keep_alive;
    int status; /* the HTTP status that fits the failure (400, 413, 414, 431, 501, 505) */
    int result; /* of a failed callback */
    struct err err;
};

void http_parser_init(struct http_parser *p, enum http_parse_kind kind,
                      const struct http_parse_limits *limits,
                      const struct http_parse_callbacks *callbacks, void *object);
void http_parser_fini(struct http_parser *p);

/* Begins the next message of the connection. `head_request`: see the field. */
void http_parser_next(struct http_parser *p, bool head_request);

/*
 * Consumes bytes up to the end of the current message, never beyond: *used says how many. Returns
 * 1 when the message has ended (call http_parser_next before feeding the rest), 0 when more is
 * needed, negative on failure: then p->status says which answer fits, and the connection must be
 * closed. A response head with status 1xx is skipped.
 */
int http_parser_feed(struct http_parser *p, struct str bytes, size_t *used, struct err *err);

/* For callbacks: records why the message is refused and the status that fits; returns what the
 * callback then returns. */
int http_parser_refuse(struct http_parser *p, int status, const struct err *why);

/* The peer closed: 1 if that ends the message properly (a response without a length), 0 if no
 * message had begun, negative if it breaks one off. */
int http_parser_finish(struct http_parser *p, struct err *err);

/* Whether a first byte of the current message has arrived. */
bool http_parser_begun(const struct http_parser *p);
/* Whether the connection may carry another message after this one. */
bool http_parser_keep_alive(const struct http_parser *p);

#endif
