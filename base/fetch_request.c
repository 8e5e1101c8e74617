/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From fetch_options to the options of a libcurl handle: see fetch.h. Only http and https, also
 * after redirects; environment proxies are not used for this machine itself.
 */
#include "base/fetch_request.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>

#include "base/mem.h"

enum {
    DEFAULT_CONNECT_TIMEOUT_MS = 10000,
    STALL_BYTES_PER_S = 1,
    MS_PER_S = 1000,
    KEEPALIVE_S = 5,
};

static int add_field(struct curl_slist **fields, const char *line, struct err *err)
{
    struct curl_slist *longer = curl_slist_append(*fields, line);

    if (longer == NULL)
        return err_no_memory(err);
    *fields = longer;
    return 0;
}

static int add_fields(struct curl_slist **fields, const struct fetch_options *o, struct err *err)
{
    bool has_type = false;
    int r;

    for (size_t i = 0; i < o->header_count; i++) {
        const struct http_header *h = &o->headers[i];
        CLEANUP(buf_fini) struct buf line = {0};

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
        r = add_field(fields, line.ptr, err);
        if (r < 0)
            return r;
        has_type = has_type || str_eq_nocase(h->name, STR("content-type"));
    }
    r = add_field(fields, "Expect:", err);
    return r < 0 || has_type ? r : add_field(fields, "Content-Type:", err);
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

static void set_method(CURL *easy, const char *body, const struct fetch_options *o)
{
    if (o->body.ptr != NULL) {
        (void)curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)o->body.len);
        (void)curl_easy_setopt(easy, CURLOPT_POSTFIELDS, body);
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

/* A machine that is gone without a word must not be waited for: the kernel asks it in silences, and
 * gives up the connection when it does not answer. */
static int set_socket(void *user, curl_socket_t fd, curlsocktype purpose)
{
    static const struct {
        int level, name, value;
    } settings[] = {
        {SOL_SOCKET, SO_KEEPALIVE, 1},
        {IPPROTO_TCP, TCP_KEEPIDLE, KEEPALIVE_S},
        {IPPROTO_TCP, TCP_KEEPINTVL, KEEPALIVE_S},
        {IPPROTO_TCP, TCP_USER_TIMEOUT, FETCH_DEAD_PEER_MS},
    };

    (void)user;
    (void)purpose;
    /* On a socket that is no TCP they fail, and are not needed. */
    for (size_t i = 0; i < ARRAY_COUNT(settings); i++)
        (void)setsockopt(fd, settings[i].level, settings[i].name, &settings[i].value,
                         sizeof(settings[i].value));
    return CURL_SOCKOPT_OK;
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
        code = curl_easy_setopt(easy, CURLOPT_USERAGENT, o->user_agent ? o->user_agent : "spate");
    if (code == CURLE_OK && o->compressed)
        code = curl_easy_setopt(easy, CURLOPT_ACCEPT_ENCODING, "gzip");
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

static CURLcode set_blob(CURL *easy, CURLoption option, struct str pem)
{
    union {
        const char *in;
        void *data;
    } bytes = {.in = pem.ptr}; /* libcurl copies it */
    struct curl_blob blob = {.data = bytes.data, .len = pem.len, .flags = CURL_BLOB_COPY};

    return pem.ptr == NULL ? CURLE_OK : curl_easy_setopt(easy, option, &blob);
}

/* Certificates as text: libcurl parses them when it connects. */
static CURLcode set_certificates(CURL *easy, const struct fetch_options *o)
{
    CURLcode code = set_blob(easy, CURLOPT_CAINFO_BLOB, o->ca_pem);

    if (code == CURLE_OK)
        code = set_blob(easy, CURLOPT_SSLCERT_BLOB, o->cert_pem);
    if (code == CURLE_OK)
        code = set_blob(easy, CURLOPT_SSLKEY_BLOB, o->key_pem);
    return code;
}

int fetch_set_up(CURL *easy, struct curl_slist **fields, const char *body,
                 const struct fetch_options *o, struct err *err)
{
    int r = add_fields(fields, o, err);

    if (r < 0)
        return r;
    if (set_texts(easy, o) != CURLE_OK || set_certificates(easy, o) != CURLE_OK)
        return err_no_memory(err);
    set_method(easy, body, o);
    set_times(easy, o);
    (void)curl_easy_setopt(easy, CURLOPT_HTTPHEADER, *fields);
    (void)curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    (void)curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    (void)curl_easy_setopt(easy, CURLOPT_SOCKOPTFUNCTION, set_socket);
    (void)curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, o->max_redirects > 0 ? 1L : 0L);
    (void)curl_easy_setopt(easy, CURLOPT_MAXREDIRS, (long)o->max_redirects);
    return 0;
}
