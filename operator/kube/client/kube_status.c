/* SPDX-License-Identifier: Apache-2.0 */
/* Refusals of the API server: see kube_status.h. */
#include "operator/kube/client/kube_status.h"

#include <string.h>

#include "base/mem.h"

enum { BODY_PARSED_MAX = 256 << 10, BODY_DEPTH_MAX = 32, BODY_SHOWN = 120 };

static const struct {
    const char *text;
    int http_status;
    enum err_code code;
} reasons[KUBE_REASON_COUNT] = {
#define KUBE_REASON_ROW(name, text_, http, code_) [name] = {text_, http, code_},
    KUBE_REASONS(KUBE_REASON_ROW)
#undef KUBE_REASON_ROW
};

const char *kube_reason_name(enum kube_reason reason)
{
    return reasons[reason].text;
}

static enum kube_reason reason_of_text(struct str text)
{
    for (int i = KUBE_REASON_NONE + 1; i < KUBE_REASON_COUNT; i++) {
        if (str_is(text, reasons[i].text))
            return (enum kube_reason)i;
    }
    return KUBE_REASON_NONE;
}

/* For an answer without a reason: that of a proxy, or one that we do not know. */
static enum kube_reason reason_of_http(int http_status)
{
    for (int i = KUBE_REASON_NONE + 1; i < KUBE_REASON_COUNT; i++) {
        if (reasons[i].http_status == http_status)
            return (enum kube_reason)i;
    }
    if (http_status >= 500)
        return KUBE_REASON_SERVICE_UNAVAILABLE;
    return http_status >= 400 ? KUBE_REASON_BAD_REQUEST : KUBE_REASON_NONE;
}

/* One line of valid UTF-8: controls and broken bytes become spaces, what does not fit is cut. */
static void set_message(struct kube_status *s, struct str text)
{
    size_t length = 0;

    text = str_trim(text);
    while (text.len > 0) {
        int size = utf8_length(text);
        size_t taken = size > 0 ? (size_t)size : 1;
        bool control = size <= 0 || (unsigned char)text.ptr[0] < 0x20 || text.ptr[0] == 0x7f;

        if (length + taken >= sizeof(s->message))
            break;
        if (control)
            s->message[length++] = ' ';
        else
            for (size_t i = 0; i < taken; i++)
                s->message[length++] = text.ptr[i];
        text = str_slice(text, taken, text.len);
    }
    s->message[length] = '\0';
}

static void read_details(struct kube_status *s, const json_t *details)
{
    const json_t *seconds = json_object_get(details, "retryAfterSeconds");
    json_int_t value = json_integer_value(seconds);

    if (!json_is_integer(seconds) || value <= 0)
        return;
    s->retry_after_s = value < KUBE_RETRY_AFTER_MAX_S ? value : KUBE_RETRY_AFTER_MAX_S;
}

void kube_status_of_tree(struct kube_status *out, int http_status, const json_t *tree)
{
    struct kube_status s = {.http_status = http_status, .retry_after_s = -1};
    const json_t *code = json_object_get(tree, "code");

    if (s.http_status == 0 && json_is_integer(code) && json_integer_value(code) >= 100 &&
        json_integer_value(code) <= 599)
        s.http_status = (int)json_integer_value(code);
    s.reason = reason_of_text(json_str(json_object_get(tree, "reason")));
    if (s.reason == KUBE_REASON_NONE)
        s.reason = reason_of_http(s.http_status);
    set_message(&s, json_str(json_object_get(tree, "message")));
    read_details(&s, json_object_get(tree, "details"));
    *out = s;
}

void kube_status_read(struct kube_status *out, int http_status, struct str body)
{
    static const struct json_limits limits = {BODY_PARSED_MAX, BODY_DEPTH_MAX};
    json_auto_t *tree = NULL;

    if (json_read(&tree, body, &limits, "the answer", NULL) == 0 && json_is_object(tree) &&
        str_is(json_str(json_object_get(tree, "kind")), "Status")) {
        kube_status_of_tree(out, http_status, tree);
        return;
    }
    kube_status_of_tree(out, http_status, NULL);
    set_message(out, str_slice(body, 0, BODY_SHOWN));
}

bool kube_status_expired(const struct kube_status *s)
{
    return s->reason == KUBE_REASON_GONE || s->reason == KUBE_REASON_EXPIRED ||
           s->http_status == 410;
}

/* Admission by quota has no reason of its own: only its words tell it from a lack of rights. */
static bool is_quota(const struct kube_status *s)
{
    return s->reason == KUBE_REASON_FORBIDDEN &&
           str_find(str_of(s->message), STR("exceeded quota")) >= 0;
}

int kube_status_err(const struct kube_status *s, const char *what, struct err *err)
{
    enum err_code code = is_quota(s) ? ERR_LIMIT : reasons[s->reason].code;

    /* The reason of an unknown refusal is chosen by its status; a redirect has neither. */
    return err_set(err, code, "%s: the API server answers %d %s%s%s", what, s->http_status,
                   reasons[s->reason].text, s->message[0] != '\0' ? ": " : "", s->message);
}
