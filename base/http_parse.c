/* SPDX-License-Identifier: Apache-2.0 */
/*
 * HTTP/1.1 messages: see http_parse.h. llhttp reports pieces of text; they are collected in one
 * buffer, and the fields are offsets into it until the head is complete. Requests are checked
 * beyond llhttp, because two readers that disagree about a message's end are how requests are
 * smuggled.
 */
#include "base/http_parse.h"

#include <assert.h>
#include <string.h>

#include "base/mem.h"

struct http_parse_field {
    size_t name, name_len;
    size_t value, value_len;
};

enum {
    FIELDS_FIRST_CAP = 16,
    FIELD_OVERHEAD = 4, /* ": " and CR LF, counted towards header_bytes */
    STATUS_BAD_REQUEST = 400,
    STATUS_BODY_TOO_LARGE = 413,
    STATUS_TARGET_TOO_LONG = 414,
    STATUS_HEADERS_TOO_LARGE = 431,
    STATUS_INTERNAL = 500,
    STATUS_VERSION = 505,
};

/* Records the first failure; the value is what llhttp callbacks return for "stop". */
static int fail(struct http_parser *p, int status, enum err_code code, const char *message)
{
    if (p->result == 0) {
        p->status = status;
        p->result = err_set(&p->err, code, "%s", message);
    }
    return HPE_USER;
}

static int fail_callback(struct http_parser *p, int result)
{
    if (p->result == 0) {
        p->status = STATUS_INTERNAL;
        p->result = err_set(&p->err, (enum err_code) - result, "stopped by its reader");
    }
    return HPE_USER;
}

/* --- collecting the head -------------------------------------------------------------------- */

static int add_text(struct http_parser *p, const char *at, size_t length)
{
    size_t overhead = p->field_count * FIELD_OVERHEAD;

    if (p->text.len + length + overhead > p->limits.header_bytes)
        return fail(p, STATUS_HEADERS_TOO_LARGE, ERR_LIMIT, "the header fields are too large");
    if (buf_append(&p->text, at, length) < 0)
        return fail(p, STATUS_INTERNAL, ERR_NO_MEMORY, "out of memory");
    return 0;
}

static int on_message_begin(llhttp_t *llhttp)
{
    struct http_parser *p = llhttp->data;

    p->begun = true;
    return 0;
}

static int on_url(llhttp_t *llhttp, const char *at, size_t length)
{
    struct http_parser *p = llhttp->data;

    if (p->text.len + length > p->limits.target_bytes)
        return fail(p, STATUS_TARGET_TOO_LONG, ERR_LIMIT, "the request target is too long");
    if (add_text(p, at, length) != 0)
        return HPE_USER;
    p->target_len = p->text.len;
    return 0;
}

static int add_field(struct http_parser *p)
{
    if (p->field_count >= p->limits.header_count)
        return fail(p, STATUS_HEADERS_TOO_LARGE, ERR_LIMIT, "there are too many header fields");
    if (p->field_count == p->field_cap) {
        size_t cap = p->field_cap == 0 ? FIELDS_FIRST_CAP : p->field_cap * 2;
        struct http_parse_field *fields = mem_resize(p->fields, cap, sizeof(*fields));

        if (fields == NULL)
            return fail(p, STATUS_INTERNAL, ERR_NO_MEMORY, "out of memory");
        p->fields = fields;
        p->field_cap = cap;
    }
    p->fields[p->field_count++] = (struct http_parse_field){.name = p->text.len};
    return 0;
}

static int on_header_field(llhttp_t *llhttp, const char *at, size_t length)
{
    struct http_parser *p = llhttp->data;

    if (p->head_done) { /* a trailer */
        if (p->kind == HTTP_PARSE_REQUEST)
            return fail(p, STATUS_BAD_REQUEST, ERR_PROTOCOL, "trailers are not accepted");
        p->head_seen += length;
        if (p->head_seen > p->limits.header_bytes)
            return fail(p, STATUS_BAD_REQUEST, ERR_LIMIT, "the trailers are too large");
        return 0;
    }
    if ((p->field_count == 0 || p->in_value) && add_field(p) != 0)
        return HPE_USER;
    p->in_value = false;
    if (add_text(p, at, length) != 0)
        return HPE_USER;
    p->fields[p->field_count - 1].name_len += length;
    return 0;
}

static int on_header_value(llhttp_t *llhttp, const char *at, size_t length)
{
    struct http_parser *p = llhttp->data;
    struct http_parse_field *field;

    if (p->head_done) {
        p->head_seen += length;
        if (p->head_seen > p->limits.header_bytes)
            return fail(p, STATUS_BAD_REQUEST, ERR_LIMIT, "the trailers are too large");
        return 0;
    }
    assert(p->field_count > 0);
    field = &p->fields[p->field_count - 1];
    if (!p->in_value)
        field->value = p->text.len;
    p->in_value = true;
    if (add_text(p, at, length) != 0)
        return HPE_USER;
    field->value_len += length;
    return 0;
}

static int on_chunk_extension(llhttp_t *llhttp, const char *at, size_t length)
{
    struct http_parser *p = llhttp->data;

    (void)at;
    (void)length;
    if (p->kind == HTTP_PARSE_RESPONSE)
        return 0;
    return fail(p, STATUS_BAD_REQUEST, ERR_PROTOCOL, "chunk extensions are not accepted");
}

/* --- the complete head ---------------------------------------------------------------------- */

static int build_head(struct http_parser *p)
{
    struct http_header *items = mem_resize(p->items, p->field_cap, sizeof(*items));

    if (items == NULL)
        return fail(p, STATUS_INTERNAL, ERR_NO_MEMORY, "out of memory");
    p->items = items;
    for (size_t i = 0; i < p->field_count; i++) {
        const struct http_parse_field *f = &p->fields[i];
        const char *text = p->text.ptr;

        items[i].name = (struct str){text + f->name, f->name_len};
        items[i].value =
            f->value_len == 0 ? STR("") : str_trim((struct str){text + f->value, f->value_len});
    }
    p->head = (struct http_head){
        .version_minor = llhttp_get_http_minor(&p->llhttp),
        .headers = {items, p->field_count},
        .target = {p->text.ptr, p->target_len},
    };
    return 0;
}

static int check_framing(struct http_parser *p)
{
    const struct http_headers *headers = &p->head.headers;
    size_t codings = http_header_count(headers, "transfer-encoding");

    if (llhttp_get_http_major(&p->llhttp) != 1 || p->head.version_minor > 1)
        return fail(p, STATUS_VERSION, ERR_PROTOCOL, "only HTTP/1.0 and HTTP/1.1 are spoken");
    if (codings > 1)
        return fail(p, STATUS_BAD_REQUEST, ERR_PROTOCOL, "more than one Transfer-Encoding");
    if (codings == 1 &&
        (p->head.version_minor == 0 ||
         !str_eq_nocase(http_header_get(headers, "transfer-encoding"), STR("chunked"))))
        return fail(p, STATUS_BAD_REQUEST, ERR_PROTOCOL, "Transfer-Encoding must be \"chunked\"");
    if (codings == 1 && http_header_count(headers, "content-length") > 0)
        return fail(p, STATUS_BAD_REQUEST, ERR_PROTOCOL,
                    "Transfer-Encoding and Content-Length together");
    if (http_header_count(headers, "content-length") > 1)
        return fail(p, STATUS_BAD_REQUEST, ERR_PROTOCOL, "more than one Content-Length");
    return 0;
}

static int check_host(struct http_parser *p)
{
    struct str host = http_header_get(&p->head.headers, "host");
    size_t count = http_header_count(&p->head.headers, "host");

    if (count > 1 || (count == 0 && p->head.version_minor == 1))
        return fail(p, STATUS_BAD_REQUEST, ERR_PROTOCOL, "exactly one Host field is required");
    for (size_t i = 0; i < host.len; i++) {
        char c = host.ptr[i];
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');

        if (!plain && (c == '\0' || strchr("-._:[]", c) == NULL))
            return fail(p, STATUS_BAD_REQUEST, ERR_PROTOCOL, "the Host field is malformed");
    }
    return 0;
}

static int check_request(struct http_parser *p)
{
    p->head.method = str_of(llhttp_method_name((llhttp_method_t)llhttp_get_method(&p->llhttp)));
    p->head.has_body =
        (p->llhttp.flags & F_CHUNKED) != 0 || (p->head.has_length && p->head.content_length > 0);
    if (str_is(p->head.method, "CONNECT"))
        return fail(p, STATUS_BAD_REQUEST, ERR_PROTOCOL, "CONNECT is not accepted");
    return check_host(p);
}

static int check_response(struct http_parser *p)
{
    p->head.status = llhttp_get_status_code(&p->llhttp);
    p->head.has_body = !p->head_request && p->head.status != 204 && p->head.status != 304 &&
                       !(p->head.has_length && p->head.content_length == 0);
    if (p->head.status == 101)
        return fail(p, STATUS_BAD_REQUEST, ERR_PROTOCOL, "the peer switched protocols");
    return 0;
}

static bool is_informational(const struct http_parser *p)
{
    return p->kind == HTTP_PARSE_RESPONSE && p->head.status >= 100 && p->head.status < 200;
}

static int on_headers_complete(llhttp_t *llhttp)
{
    struct http_parser *p = llhttp->data;
    int r;

    if (build_head(p) != 0 || check_framing(p) != 0)
        return HPE_USER;
    p->head.has_length = (llhttp->flags & F_CONTENT_LENGTH) != 0;
    p->head.content_length = p->head.has_length ? llhttp->content_length : 0;
    r = p->kind == HTTP_PARSE_REQUEST ? check_request(p) : check_response(p);
    if (r != 0)
        return HPE_USER;
    p->head_done = true;
    p->head_seen = 0;
    llhttp->upgrade = 0; /* offers to upgrade are ignored */
    if (is_informational(p))
        return 0;
    if (p->limits.body_bytes > 0 && !p->head_request &&
        p->head.content_length > p->limits.body_bytes)
        return fail(p, STATUS_BODY_TOO_LARGE, ERR_LIMIT, "the body is too large");
    r = p->callbacks->on_head(p->object, &p->head);
    if (r < 0)
        return fail_callback(p, r);
    return p->head_request ? 1 : 0;
}

/* --- body and end --------------------------------------------------------------------------- */

static int on_body(llhttp_t *llhttp, const char *at, size_t length)
{
    struct http_parser *p = llhttp->data;
    int r;

    p->body_seen += length;
    if (p->limits.body_bytes > 0 && p->body_seen > p->limits.body_bytes)
        return fail(p, STATUS_BODY_TOO_LARGE, ERR_LIMIT, "the body is too large");
    r = p->callbacks->on_body(p->object, (struct str){at, length});
    return r < 0 ? fail_callback(p, r) : 0;
}

static void reset_message(struct http_parser *p)
{
    buf_clear(&p->text);
    p->field_count = 0;
    p->target_len = 0;
    p->head = (struct http_head){.status = 0};
    p->body_seen = 0;
    p->head_seen = 0;
    p->head_done = false;
    p->in_value = false;
    p->begun = false;
    p->ended = false;
}

static int on_message_complete(llhttp_t *llhttp)
{
    struct http_parser *p = llhttp->data;
    int r;

    if (is_informational(p)) {
        reset_message(p);
        return 0;
    }
    p->ended = true;
    p->keep_alive = llhttp_should_keep_alive(llhttp) == 1;
    r = p->callbacks->on_end(p->object);
    if (r < 0)
        return fail_callback(p, r);
    return HPE_PAUSED;
}

static const llhttp_settings_t settings = {
    .on_message_begin = on_message_begin,
    .on_url = on_url,
    .on_header_field = on_header_field,
    .on_header_value = on_header_value,
    .on_chunk_extension_name = on_chunk_extension,
    .on_chunk_extension_value = on_chunk_extension,
    .on_headers_complete = on_headers_complete,
    .on_body = on_body,
    .on_message_complete = on_message_complete,
};

/* --- the interface -------------------------------------------------------------------------- */

void http_parser_init(struct http_parser *p, enum http_parse_kind kind,
                      const struct http_parse_limits *limits,
                      const struct http_parse_callbacks *callbacks, void *object)
{
    memset(p, 0, sizeof(*p));
    p->kind = kind;
    p->limits = *limits;
    p->callbacks = callbacks;
    p->object = object;
    buf_init(&p->text, limits->header_bytes);
    llhttp_init(&p->llhttp, kind == HTTP_PARSE_REQUEST ? HTTP_REQUEST : HTTP_RESPONSE, &settings);
    p->llhttp.data = p;
}

void http_parser_fini(struct http_parser *p)
{
    buf_fini(&p->text);
    mem_free(p->items);
    mem_free(p->fields);
    p->items = NULL;
    p->fields = NULL;
}

void http_parser_next(struct http_parser *p, bool head_request)
{
    reset_message(p);
    p->head_request = head_request;
}

int http_parser_refuse(struct http_parser *p, int status, const struct err *why)
{
    p->status = status;
    p->err = *why;
    p->result = -(int)why->code;
    return p->result;
}

/* Turns llhttp's own complaint into ours. */
static int fail_syntax(struct http_parser *p, llhttp_errno_t code)
{
    const char *reason = llhttp_get_error_reason(&p->llhttp);
    bool version = code == HPE_INVALID_VERSION && reason != NULL &&
                   strcmp(reason, "Invalid HTTP version") == 0; /* not a fault after it */
    int status = version ? STATUS_VERSION : STATUS_BAD_REQUEST;

    if (p->result == 0) {
        p->status = status;
        p->result = err_set(&p->err, ERR_PROTOCOL, "malformed HTTP: %s",
                            reason != NULL && *reason != '\0' ? reason : llhttp_errno_name(code));
    }
    return p->result;
}

static int report(const struct http_parser *p, struct err *err)
{
    if (err != NULL)
        *err = p->err;
    return p->result;
}

/* A head that grows without adding text (white space) must not grow for ever either. */
static bool head_too_long(struct http_parser *p, size_t used)
{
    if (p->head_done || p->ended || !p->begun)
        return false;
    p->head_seen += used;
    return p->head_seen > p->limits.header_bytes + p->limits.target_bytes;
}

int http_parser_feed(struct http_parser *p, struct str bytes, size_t *used, struct err *err)
{
    llhttp_errno_t code;

    *used = 0;
    if (p->result != 0)
        return report(p, err);
    assert(!p->ended);
    if (bytes.len == 0)
        return 0;
    code = llhttp_execute(&p->llhttp, bytes.ptr, bytes.len);
    if (code == HPE_PAUSED && p->ended) {
        *used = (size_t)(llhttp_get_error_pos(&p->llhttp) - bytes.ptr);
        llhttp_resume(&p->llhttp);
        return 1;
    }
    if (code != HPE_OK) {
        (void)fail_syntax(p, code);
        return report(p, err);
    }
    *used = bytes.len;
    if (head_too_long(p, bytes.len)) {
        (void)fail(p, STATUS_HEADERS_TOO_LARGE, ERR_LIMIT, "the header fields are too large");
        return report(p, err);
    }
    return 0;
}

int http_parser_finish(struct http_parser *p, struct err *err)
{
    if (p->result != 0)
        return report(p, err);
    if (!p->begun)
        return 0;
    (void)llhttp_finish(&p->llhttp);
    if (p->ended)
        return 1;
    (void)fail(p, STATUS_BAD_REQUEST, ERR_NETWORK, "the connection ended within a message");
    return report(p, err);
}

bool http_parser_begun(const struct http_parser *p)
{
    return p->begun;
}

bool http_parser_keep_alive(const struct http_parser *p)
{
    return p->result == 0 && p->ended && p->keep_alive;
}
