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
#include <strings.h>

#include "base/fetch_request.h"
#include "base/mem.h"

enum { DEFAULT_MAX_BYTES = 32 * 1024 * 1024, CONNECTIONS_KEPT = 64 };

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

/* --- starting and cancelling ----------------------------------------------------------------- */

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
        r = fetch_set_up(fetch->easy, &fetch->fields, fetch->request_body, o, err);
    if (r < 0) {
        fetch_free(fetch);
        return r;
    }
    (void)curl_easy_setopt(fetch->easy, CURLOPT_WRITEFUNCTION, on_bytes);
    (void)curl_easy_setopt(fetch->easy, CURLOPT_WRITEDATA, fetch);
    (void)curl_easy_setopt(fetch->easy, CURLOPT_PRIVATE, fetch);
    (void)curl_easy_setopt(fetch->easy, CURLOPT_ERRORBUFFER, fetch->message);
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

struct str fetch_header(const struct fetch *fetch, const char *name)
{
    struct curl_header *header = NULL;

    if (curl_easy_header(fetch->easy, name, 0, CURLH_HEADER, -1, &header) != CURLHE_OK)
        return STR_NONE;
    return str_of(header->value);
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
