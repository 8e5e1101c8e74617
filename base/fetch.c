/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libcurl's multi interface inside a loop: see fetch.h. libcurl asks for descriptors to be watched
 * and for one timer; both only ever call curl_multi_socket_action from the loop, never from within
 * libcurl's own callbacks (its timer callback may ask for 0 ms, which must not recurse). A poll
 * handle is freed in its close callback. Callbacks to the user run from a deferred call, outside
 * libcurl, so that they may start and cancel fetches.
 */
#include "base/fetch.h"

#include <curl/curl.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"

enum {
    DEFAULT_CONNECT_TIMEOUT_MS = 10000,
    DEFAULT_MAX_BYTES = 32 * 1024 * 1024,
    CONNECTIONS_KEPT = 64,
    STALL_BYTES_PER_S = 1,
    MS_PER_S = 1000,
};

struct fetch {
    struct fetcher *fetcher;
    struct fetch *next, *back;
    CURL *easy;
    struct curl_slist *fields;
    char *request_body;
    struct buf body;
    int (*on_data)(void *user, int status, struct str bytes);
    void (*on_done)(void *user, int status, struct str body, const struct err *err);
    void *user;
    size_t max_bytes; /* 0: no limit */
    uint64_t received;
    int stopped; /* result of on_data, or of the limit */
    bool finished;
    bool cancelled;
    CURLcode code;
    char message[CURL_ERROR_SIZE];
};

/* One descriptor that libcurl wants watched. */
struct watch {
    uv_poll_t poll;
    struct fetcher *fetcher;
    curl_socket_t socket;
};

struct fetcher {
    struct loop *loop;
    CURLM *multi;
    struct loop_timer timer;
    struct loop_deferred finish;
    struct fetch *fetches;
    struct fetch *reporting; /* its on_done runs */
    bool in_data;            /* an on_data runs, inside libcurl */
    bool released;
};

static void check_messages(struct fetcher *f);

/* --- libcurl and the loop ------------------------------------------------------------------- */

static void act(struct fetcher *f, curl_socket_t socket, int events)
{
    int running;

    (void)curl_multi_socket_action(f->multi, socket, events, &running);
    check_messages(f);
}

static void on_timer(void *object)
{
    act(object, CURL_SOCKET_TIMEOUT, 0);
}

static int want_timer(CURLM *multi, long timeout_ms, void *object)
{
    struct fetcher *f = object;

    (void)multi;
    if (timeout_ms < 0)
        loop_timer_stop(&f->timer);
    else
        loop_timer_start(f->loop, &f->timer, (uint64_t)timeout_ms);
    return 0;
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
    struct watch *w = poll->data;
    struct fetcher *f = w->fetcher;
    struct loop *loop = f->loop;
    int flags = 0;

    if (status < 0)
        flags = CURL_CSELECT_ERR;
    if (events & UV_READABLE)
        flags |= CURL_CSELECT_IN;
    if (events & UV_WRITABLE)
        flags |= CURL_CSELECT_OUT;
    loop_enter(loop);
    act(f, w->socket, flags);
    loop_leave(loop);
}

static void on_watch_closed(uv_handle_t *handle)
{
    mem_free(handle->data);
}

static struct watch *watch_new(struct fetcher *f, curl_socket_t socket)
{
    struct watch *w = mem_alloc(sizeof(*w));

    if (w == NULL)
        return NULL;
    w->fetcher = f;
    w->socket = socket;
    if (uv_poll_init_socket(&f->loop->uv, &w->poll, socket) != 0) {
        mem_free(w);
        return NULL;
    }
    w->poll.data = w;
    (void)curl_multi_assign(f->multi, socket, w);
    return w;
}

static int want_socket(CURL *easy, curl_socket_t socket, int what, void *object, void *assigned)
{
    struct fetcher *f = object;
    struct watch *w = assigned;
    int events = 0;

    (void)easy;
    if (what == CURL_POLL_REMOVE) {
        if (w != NULL) {
            (void)curl_multi_assign(f->multi, socket, NULL);
            uv_close((uv_handle_t *)&w->poll, on_watch_closed);
        }
        return 0;
    }
    if (w == NULL)
        w = watch_new(f, socket);
    if (w == NULL)
        return -1;
    if (what != CURL_POLL_OUT)
        events |= UV_READABLE;
    if (what != CURL_POLL_IN)
        events |= UV_WRITABLE;
    return uv_poll_start(&w->poll, events, on_poll) == 0 ? 0 : -1;
}

/* --- one fetch ------------------------------------------------------------------------------ */

static void fetch_free(struct fetch *fetch)
{
    struct fetcher *f = fetch->fetcher;

    if (fetch->easy != NULL) {
        (void)curl_multi_remove_handle(f->multi, fetch->easy);
        curl_easy_cleanup(fetch->easy);
    }
    curl_slist_free_all(fetch->fields);
    mem_free(fetch->request_body);
    buf_fini(&fetch->body);
    mem_free(fetch);
}

static void unlink_fetch(struct fetch *fetch)
{
    struct fetcher *f = fetch->fetcher;

    if (fetch->back != NULL)
        fetch->back->next = fetch->next;
    else
        f->fetches = fetch->next;
    if (fetch->next != NULL)
        fetch->next->back = fetch->back;
}

static int status_of(const struct fetch *fetch)
{
    long status = 0;

    (void)curl_easy_getinfo(fetch->easy, CURLINFO_RESPONSE_CODE, &status);
    return (int)status;
}

static int call_on_data(struct fetch *fetch, struct str piece)
{
    struct fetcher *f = fetch->fetcher;
    int r;

    f->in_data = true;
    r = fetch->on_data(fetch->user, status_of(fetch), piece);
    f->in_data = false;
    if (f->released || fetch->cancelled)
        return -ERR_CANCELLED;
    return r;
}

static size_t on_bytes(char *bytes, size_t size, size_t count, void *object)
{
    struct fetch *fetch = object;
    struct str piece = {bytes, size * count};

    fetch->received += piece.len;
    if (fetch->max_bytes > 0 && fetch->received > fetch->max_bytes)
        fetch->stopped = -ERR_LIMIT;
    else if (fetch->on_data != NULL)
        fetch->stopped = call_on_data(fetch, piece);
    else
        fetch->stopped = buf_append_str(&fetch->body, piece);
    return fetch->stopped < 0 ? 0 : piece.len;
}

static enum err_code code_of(CURLcode code)
{
    switch (code) {
    case CURLE_OPERATION_TIMEDOUT:
        return ERR_TIMEOUT;
    case CURLE_OUT_OF_MEMORY:
        return ERR_NO_MEMORY;
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_URL_MALFORMAT:
        return ERR_INVALID;
    case CURLE_TOO_MANY_REDIRECTS:
    case CURLE_WEIRD_SERVER_REPLY:
        return ERR_PROTOCOL;
    default:
        return ERR_NETWORK;
    }
}

static int failure_of(const struct fetch *fetch, struct err *err)
{
    const char *url = NULL;
    const char *text = fetch->message[0] != '\0' ? fetch->message : curl_easy_strerror(fetch->code);

    (void)curl_easy_getinfo(fetch->easy, CURLINFO_EFFECTIVE_URL, &url);
    url = url != NULL ? url : "fetch";
    if (fetch->stopped == -ERR_LIMIT)
        return err_set(err, ERR_LIMIT, "%s: the answer is larger than %zu bytes", url,
                       fetch->max_bytes);
    if (fetch->stopped < 0)
        return err_set(err, (enum err_code) - fetch->stopped, "%s: stopped by its reader", url);
    if (fetch->code == CURLE_OK)
        return 0;
    return err_set(err, code_of(fetch->code), "%s: %s", url, text);
}

static void destroy(struct fetcher *f)
{
    struct fetch *next;

    for (struct fetch *fetch = f->fetches; fetch != NULL; fetch = next) {
        next = fetch->next;
        fetch_free(fetch);
    }
    loop_timer_stop(&f->timer);
    loop_defer_cancel(f->loop, &f->finish);
    (void)curl_multi_cleanup(f->multi);
    mem_free(f);
}

static void finish_one(struct fetch *fetch)
{
    struct err err;
    int status = status_of(fetch);
    int r = failure_of(fetch, &err);

    unlink_fetch(fetch);
    if (fetch->on_done != NULL)
        fetch->on_done(fetch->user, status, buf_str(&fetch->body), r < 0 ? &err : NULL);
}

/* Reports all that are finished; a callback may change the list, so it is searched anew. */
static void finish_all(void *object)
{
    struct fetcher *f = object;
    struct fetch *fetch = f->fetches;

    while (fetch != NULL && !f->released) {
        if (!fetch->finished) {
            fetch = fetch->next;
            continue;
        }
        f->reporting = fetch;
        finish_one(fetch);
        f->reporting = NULL;
        fetch_free(fetch);
        fetch = f->fetches;
    }
    if (f->released)
        destroy(f);
}

static void check_messages(struct fetcher *f)
{
    const CURLMsg *message;
    int left;

    while ((message = curl_multi_info_read(f->multi, &left)) != NULL) {
        struct fetch *fetch = NULL;

        if (message->msg != CURLMSG_DONE)
            continue;
        (void)curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&fetch);
        fetch->code = message->data.result;
        fetch->finished = true;
        loop_defer(f->loop, &f->finish);
    }
}

/* --- the request ---------------------------------------------------------------------------- */

static int add_field(struct fetch *fetch, const char *line, struct err *err)
{
    struct curl_slist *longer = curl_slist_append(fetch->fields, line);

    if (longer == NULL)
        return err_no_memory(err);
    fetch->fields = longer;
    return 0;
}

static int add_fields(struct fetch *fetch, const struct fetch_options *o, struct err *err)
{
    bool has_type = false;
    int r;

    for (size_t i = 0; i < o->header_count; i++) {
        const struct http_header *h = &o->headers[i];
        CLEANUP(buf_fini) struct buf line;

        buf_init(&line, SIZE_MAX / 2);
        if (!http_header_name_valid(h->name) || !http_header_value_valid(h->value))
            return err_set(err, ERR_INVALID, "%s: header %.*s is malformed", o->url,
                           STR_ARG(h->name));
        /* libcurl takes "Name:" as "leave it out" and "Name;" as an empty one. */
        (void)buf_append_str(&line, h->name);
        if (h->value.len > 0)
            (void)buf_printf(&line, ": %.*s", STR_ARG(h->value));
        else
            (void)buf_append_char(&line, ';');
        if (buf_cstr(&line) == NULL || line.failed)
            return err_no_memory(err);
        r = add_field(fetch, line.ptr, err);
        if (r < 0)
            return r;
        has_type = has_type || str_eq_nocase(h->name, STR("content-type"));
    }
    r = add_field(fetch, "Expect:", err);
    return r < 0 || has_type ? r : add_field(fetch, "Content-Type:", err);
}

static bool is_loopback(const char *url)
{
    static const char *const prefixes[] = {
        "http://127.",  "http://localhost:",  "http://localhost/",  "http://[::1]",
        "https://127.", "https://localhost:", "https://localhost/", "https://[::1]",
    };

    for (size_t i = 0; i < ARRAY_COUNT(prefixes); i++) {
        if (str_starts(str_of(url), str_of(prefixes[i])))
            return true;
    }
    return false;
}

static void set_method(struct fetch *fetch, const struct fetch_options *o)
{
    CURL *easy = fetch->easy;

    if (o->body.ptr != NULL) {
        (void)curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)o->body.len);
        (void)curl_easy_setopt(easy, CURLOPT_POSTFIELDS, fetch->request_body);
    }
    if (o->method == NULL)
        return;
    if (strcmp(o->method, "HEAD") == 0)
        (void)curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
    else if (strcmp(o->method, "GET") != 0 || o->body.ptr != NULL)
        (void)curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, o->method);
}

static void set_times(CURL *easy, const struct fetch_options *o)
{
    uint64_t connect = o->connect_timeout_ms ? o->connect_timeout_ms : DEFAULT_CONNECT_TIMEOUT_MS;
    uint64_t stall_s = (o->stall_timeout_ms + MS_PER_S - 1) / MS_PER_S;

    (void)curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)connect);
    (void)curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)o->timeout_ms);
    if (stall_s == 0)
        return;
    (void)curl_easy_setopt(easy, CURLOPT_LOW_SPEED_LIMIT, (long)STALL_BYTES_PER_S);
    (void)curl_easy_setopt(easy, CURLOPT_LOW_SPEED_TIME, (long)stall_s);
}

/* Returns the first failure; setting a number can not fail. */
static CURLcode set_texts(CURL *easy, const struct fetch_options *o)
{
    CURLcode code = curl_easy_setopt(easy, CURLOPT_URL, o->url);

    if (code == CURLE_OK)
        code = curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    if (code == CURLE_OK)
        code = curl_easy_setopt(easy, CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
    if (code == CURLE_OK)
        code = curl_easy_setopt(easy, CURLOPT_USERAGENT, "spate");
    if (code == CURLE_OK && o->bearer_token != NULL) {
        (void)curl_easy_setopt(easy, CURLOPT_HTTPAUTH, (long)CURLAUTH_BEARER);
        code = curl_easy_setopt(easy, CURLOPT_XOAUTH2_BEARER, o->bearer_token);
    }
    if (code == CURLE_OK && o->ca_file != NULL)
        code = curl_easy_setopt(easy, CURLOPT_CAINFO, o->ca_file);
    if (code == CURLE_OK && o->unix_socket != NULL)
        code = curl_easy_setopt(easy, CURLOPT_UNIX_SOCKET_PATH, o->unix_socket);
    if (code == CURLE_OK && is_loopback(o->url))
        code = curl_easy_setopt(easy, CURLOPT_PROXY, "");
    return code;
}

static int set_up(struct fetch *fetch, const struct fetch_options *o, struct err *err)
{
    CURL *easy = fetch->easy;
    int r = add_fields(fetch, o, err);

    if (r < 0)
        return r;
    if (set_texts(easy, o) != CURLE_OK)
        return err_no_memory(err);
    set_method(fetch, o);
    set_times(easy, o);
    (void)curl_easy_setopt(easy, CURLOPT_HTTPHEADER, fetch->fields);
    (void)curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    (void)curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    (void)curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, o->max_redirects > 0 ? 1L : 0L);
    (void)curl_easy_setopt(easy, CURLOPT_MAXREDIRS, (long)o->max_redirects);
    (void)curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_bytes);
    (void)curl_easy_setopt(easy, CURLOPT_WRITEDATA, fetch);
    (void)curl_easy_setopt(easy, CURLOPT_PRIVATE, fetch);
    (void)curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, fetch->message);
    return 0;
}

static bool url_allowed(const char *url)
{
    return strncasecmp(url, "http://", 7) == 0 || strncasecmp(url, "https://", 8) == 0;
}

static int fetch_new(struct fetch **out, struct fetcher *f, const struct fetch_options *o,
                     struct err *err)
{
    struct fetch *fetch = mem_alloc(sizeof(*fetch));
    int r = 0;

    if (fetch == NULL)
        return err_no_memory(err);
    fetch->fetcher = f;
    fetch->on_data = o->on_data;
    fetch->on_done = o->on_done;
    fetch->user = o->user;
    fetch->max_bytes = o->max_bytes;
    if (fetch->max_bytes == 0 && o->on_data == NULL)
        fetch->max_bytes = DEFAULT_MAX_BYTES;
    buf_init(&fetch->body, fetch->max_bytes);
    fetch->easy = curl_easy_init();
    if (o->body.ptr != NULL)
        fetch->request_body = mem_strndup(o->body.ptr, o->body.len);
    if (fetch->easy == NULL || (o->body.ptr != NULL && fetch->request_body == NULL))
        r = err_no_memory(err);
    if (r == 0)
        r = set_up(fetch, o, err);
    if (r < 0) {
        fetch_free(fetch);
        return r;
    }
    *out = fetch;
    return 0;
}

int fetch_start(struct fetch **out, struct fetcher *f, const struct fetch_options *options,
                struct err *err)
{
    struct fetch *fetch = NULL;
    int r;

    if (!url_allowed(options->url))
        return err_set(err, ERR_INVALID, "%s: only http:// and https:// URLs are fetched",
                       options->url);
    r = fetch_new(&fetch, f, options, err);
    if (r < 0)
        return r;
    if (curl_multi_add_handle(f->multi, fetch->easy) != CURLM_OK) {
        fetch_free(fetch);
        return err_no_memory(err);
    }
    fetch->next = f->fetches;
    if (fetch->next != NULL)
        fetch->next->back = fetch;
    f->fetches = fetch;
    if (out != NULL)
        *out = fetch;
    return 0;
}

void fetch_cancel(struct fetch *fetch)
{
    if (fetch == NULL || fetch == fetch->fetcher->reporting)
        return;
    if (fetch->fetcher->in_data) { /* inside libcurl: it ends when on_data returns */
        fetch->cancelled = true;
        fetch->finished = true;
        fetch->on_data = NULL;
        fetch->on_done = NULL;
        loop_defer(fetch->fetcher->loop, &fetch->fetcher->finish);
        return;
    }
    unlink_fetch(fetch);
    fetch_free(fetch);
}

/* --- the fetcher ---------------------------------------------------------------------------- */

static void init_library(void)
{
    (void)curl_global_init(CURL_GLOBAL_DEFAULT);
}

int fetcher_new(struct fetcher **out, struct loop *loop, struct err *err)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    struct fetcher *f = mem_alloc(sizeof(*f));

    (void)pthread_once(&once, init_library);
    if (f == NULL)
        return err_no_memory(err);
    f->multi = curl_multi_init();
    if (f->multi == NULL) {
        mem_free(f);
        return err_no_memory(err);
    }
    f->loop = loop;
    loop_timer_init(&f->timer, on_timer, f);
    loop_deferred_init(&f->finish, finish_all, f);
    (void)curl_multi_setopt(f->multi, CURLMOPT_SOCKETFUNCTION, want_socket);
    (void)curl_multi_setopt(f->multi, CURLMOPT_SOCKETDATA, f);
    (void)curl_multi_setopt(f->multi, CURLMOPT_TIMERFUNCTION, want_timer);
    (void)curl_multi_setopt(f->multi, CURLMOPT_TIMERDATA, f);
    (void)curl_multi_setopt(f->multi, CURLMOPT_MAXCONNECTS, (long)CONNECTIONS_KEPT);
    *out = f;
    return 0;
}

void fetcher_close(struct fetcher *f)
{
    if (f == NULL)
        return;
    f->released = true;
    for (struct fetch *fetch = f->fetches; fetch != NULL; fetch = fetch->next) {
        fetch->on_data = NULL;
        fetch->on_done = NULL;
    }
    if (f->in_data)
        loop_defer(f->loop, &f->finish);
    else if (f->reporting == NULL)
        destroy(f);
}

/* --- blocking ------------------------------------------------------------------------------- */

struct wait {
    struct loop *loop;
    struct buf *body;
    int status;
    int result;
    struct err err;
    const struct fetch_options *options;
};

static int wait_data(void *user, int status, struct str bytes)
{
    struct wait *w = user;

    return w->options->on_data(w->options->user, status, bytes);
}

static void wait_done(void *user, int status, struct str body, const struct err *err)
{
    struct wait *w = user;

    w->status = status;
    if (err != NULL) {
        w->err = *err;
        w->result = -(int)err->code;
    } else if (body.len > 0 && buf_append_str(w->body, body) < 0) {
        w->result = buf_check(w->body, "the answer", &w->err);
    }
    loop_quit(w->loop);
}

int fetch_wait(const struct fetch_options *options, struct buf *body, struct err *err)
{
    struct fetch_options own = *options;
    struct fetcher *fetcher = NULL;
    struct loop loop;
    struct wait w = {.loop = &loop, .body = body, .options = options};
    int r = loop_init(&loop, err);

    if (r < 0)
        return r;
    own.on_done = wait_done;
    own.on_data = options->on_data != NULL ? wait_data : NULL;
    own.user = &w;
    r = fetcher_new(&fetcher, &loop, err);
    if (r == 0)
        r = fetch_start(NULL, fetcher, &own, err);
    if (r == 0) {
        loop_run(&loop);
        r = w.result;
        if (r < 0 && err != NULL)
            *err = w.err;
    }
    fetcher_close(fetcher);
    loop_fini(&loop);
    return r < 0 ? r : w.status;
}
