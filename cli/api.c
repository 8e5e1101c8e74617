/* SPDX-License-Identifier: Apache-2.0 */
/* Requests to the operator's endpoint: see api.h. */
#include "cli/api.h"

#include <string.h>

#include "base/fetch.h"
#include "base/mem.h"

enum { ANSWER_MAX = 64 * 1024 * 1024, ERROR_BODY_MAX = 64 * 1024, TIMEOUT_MS = 30000 };

int api_open(struct api *out, const char *state_option, struct err *err)
{
    CLEANUP(api_fini) struct api api = {0};
    int r = state_folder(&api.folder, state_option, err);

    if (r == 0)
        r = state_endpoints_read(&api.endpoints, api.folder, err);
    if (r == 0)
        r = state_read_line(&api.token, api.folder, STATE_TOKEN, err);
    if (r < 0)
        return r;
    *out = api;
    api = (struct api){0};
    return 0;
}

void api_fini(struct api *api)
{
    mem_free(api->folder);
    mem_free(api->token);
    state_endpoints_fini(&api->endpoints);
    *api = (struct api){0};
}

static enum err_code code_of_status(int status)
{
    switch (status) {
    case 400:
    case 422:
        return ERR_INVALID;
    case 401:
    case 403:
        return ERR_DENIED;
    case 404:
        return ERR_NOT_FOUND;
    case 409:
        return ERR_CONFLICT;
    case 429:
        return ERR_BUSY;
    default:
        return ERR_NETWORK;
    }
}

/* Status objects carry a message for people, answers passed on from the ledger an error with one;
 * anything else is told by its number. */
static int fail_with_status(int status, struct str body, struct err *err)
{
    json_auto_t *tree = NULL;
    struct str message;

    if (json_read(&tree, body, &json_limits_default, "answer", NULL) == 0) {
        message = json_str(json_object_get(tree, "message"));
        if (message.len == 0)
            message = json_str(json_object_get(json_object_get(tree, "error"), "message"));
        if (message.len > 0)
            return err_set(err, code_of_status(status), "%.*s", STR_ARG(message));
    }
    return err_set(err, code_of_status(status), "the operator answered with status %d", status);
}

static char *url_of(const struct api *api, const char *path)
{
    size_t size = strlen(api->endpoints.operator_url) + strlen(path) + 1;
    char *url = mem_alloc(size);

    if (url != NULL)
        snprintf(url, size, "%s%s", api->endpoints.operator_url, path);
    return url;
}

static int unreachable(const struct api *api, int r, struct err *err)
{
    err_wrap(err, r, "the operator at %s does not answer (does `spate up` run?)",
             api->endpoints.operator_url);
    return r;
}

static int request(const struct api *api, const char *method, const char *path, struct str body,
                   json_t **out, struct err *err)
{
    const struct http_header type = {STR("content-type"), STR("application/apply-patch+json")};
    CLEANUP(mem_freep) char *url = url_of(api, path);
    CLEANUP(buf_fini) struct buf answer = {0};
    struct fetch_options options = {
        .method = method,
        .url = url,
        .headers = &type,
        .header_count = body.ptr == NULL ? 0 : 1,
        .body = body,
        .bearer_token = api->token,
        .timeout_ms = TIMEOUT_MS,
        .max_bytes = ANSWER_MAX,
    };
    int status;
    int r;

    if (url == NULL)
        return err_no_memory(err);
    buf_init(&answer, ANSWER_MAX);
    status = fetch_wait(&options, &answer, err);
    if (status < 0)
        return unreachable(api, status, err);
    if (status < 200 || status > 299)
        return fail_with_status(status, buf_str(&answer), err);
    if (out != NULL) {
        r = json_read(out, buf_str(&answer), &json_limits_default, "the operator's answer", err);
        if (r < 0)
            return r;
    }
    return status;
}

int api_get(const struct api *api, const char *path, json_t **out, struct err *err)
{
    return request(api, "GET", path, STR_NONE, out, err);
}

int api_delete(const struct api *api, const char *path, json_t **out, struct err *err)
{
    return request(api, "DELETE", path, STR_NONE, out, err);
}

int api_apply(const struct api *api, const char *path, const json_t *object, json_t **out,
              struct err *err)
{
    CLEANUP(buf_fini) struct buf body = {0};
    struct json_writer w;
    int r;

    buf_init(&body, ANSWER_MAX);
    json_writer_init(&w, &body);
    json_add_tree(&w, object);
    r = buf_check(&body, "the object", err);
    return r < 0 ? r : request(api, "PATCH", path, buf_str(&body), out, err);
}

/* Hands the bytes of a good answer on, and keeps those of a bad one for its message. */
struct stream {
    int (*fn)(void *user, struct str bytes);
    void *user;
    struct buf problem;
};

static int stream_data(void *user, int status, struct str bytes)
{
    struct stream *stream = user;

    if (status >= 200 && status <= 299)
        return stream->fn(stream->user, bytes);
    buf_append_str(&stream->problem, bytes);
    return 0;
}

int api_stream(const struct api *api, const char *path, int (*fn)(void *user, struct str bytes),
               void *user, struct err *err)
{
    struct stream stream = {.fn = fn, .user = user};
    CLEANUP(mem_freep) char *url = url_of(api, path);
    struct fetch_options options = {
        .url = url,
        .bearer_token = api->token,
        .on_data = stream_data,
        .user = &stream,
    };
    int status;

    if (url == NULL)
        return err_no_memory(err);
    buf_init(&stream.problem, ERROR_BODY_MAX);
    status = fetch_wait(&options, NULL, err);
    if (status > 299)
        status = fail_with_status(status, buf_str(&stream.problem), err);
    buf_fini(&stream.problem);
    return status;
}

struct watch {
    int (*fn)(void *user, const char *type, const json_t *object);
    void *user;
    struct buf line;
    struct err *err;
};

static int watch_line(struct watch *watch, struct str line)
{
    json_auto_t *event = NULL;
    const char *type;
    int r;

    if (line.len == 0)
        return 0;
    r = json_read(&event, line, &json_limits_default, "watch event", watch->err);
    if (r < 0)
        return r;
    type = json_string_value(json_object_get(event, "type"));
    if (type == NULL || strcmp(type, "ERROR") == 0)
        return err_set(watch->err, ERR_PROTOCOL, "the watch failed: %.*s", STR_ARG(line));
    if (strcmp(type, "BOOKMARK") == 0)
        return 0;
    return watch->fn(watch->user, type, json_object_get(event, "object"));
}

static int watch_bytes(void *user, struct str bytes)
{
    struct watch *watch = user;
    int r = 0;

    while (bytes.ptr != NULL && r == 0) {
        struct str part = str_cut(&bytes, '\n');

        if (buf_append_str(&watch->line, part) < 0)
            return buf_check(&watch->line, "a watch event", watch->err);
        if (bytes.ptr == NULL)
            break; /* the line goes on in the next bytes */
        r = watch_line(watch, buf_str(&watch->line));
        buf_clear(&watch->line);
    }
    return r;
}

int api_watch(const struct api *api, const char *path,
              int (*fn)(void *user, const char *type, const json_t *object), void *user,
              struct err *err)
{
    struct watch watch = {.fn = fn, .user = user, .err = err};
    int r;

    buf_init(&watch.line, ANSWER_MAX);
    r = api_stream(api, path, watch_bytes, &watch, err);
    buf_fini(&watch.line);
    return r;
}
