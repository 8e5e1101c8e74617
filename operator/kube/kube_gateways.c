/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Gateways: which should be alive (their pods), and whether one that asks for tokens is who it
 * says: its projected service-account token is shown to the API server (TokenReview), and must be
 * of a gateway's pod in our own namespace, of that very name.
 */
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "operator/common/must.h"
#include "operator/kube/kube_private.h"

#define EXTRA_POD "authentication.kubernetes.io/pod-name"

/* Few at a time: whoever asks has proved nothing yet, and pods are created by the same API server.
 */
enum { REVIEWS_MAX = 16, REVIEW_BYTES_MAX = 32 << 10 };

static const struct kube_resource reviews_resource = {"authentication.k8s.io", "v1", "tokenreviews",
                                                      false};

/* --- the set ---------------------------------------------------------------------------------- */

/* One of ours, not of another release in this namespace. */
static bool is_ours(const struct kube *kube, const struct kube_pod *pod)
{
    return str_is(kube_pod_account(pod), kube->options.gateway_account);
}

/* One that runs and whose node is alive: of others nobody waits for a word. */
static bool is_alive(const struct kube *kube, const struct kube_pod *pod)
{
    return pod->phase == PLATFORM_POD_RUNNING && !kube_pod_is_lost(kube, pod);
}

static int compare_names(const void *a, const void *b)
{
    const struct str *left = a, *right = b;

    return str_compare(*left, *right);
}

static bool is_as_told(const struct kube *kube, const struct str *names, int count)
{
    if (!kube->gateways_told || count != kube->gateway_count)
        return false;
    for (int i = 0; i < count; i++) {
        if (!str_is(names[i], kube->gateway_names[i]))
            return false;
    }
    return true;
}

static void forget_names(struct kube *kube)
{
    while (kube->gateway_count > 0)
        mem_free(kube->gateway_names[--kube->gateway_count]);
}

void kube_gateways_tell(struct kube *kube)
{
    struct str names[KUBE_GATEWAYS_MAX];
    const struct kube_entry *entry;
    int count = 0;
    int left_out = 0;

    if (!kube->synced || kube->closing) {
        if (kube->closing)
            forget_names(kube);
        return;
    }
    for (size_t at = 0;
         (entry = kube_store_next(kube_informer_store(kube->gateways->informer), &at)) != NULL;) {
        kube_pod_note_node(kube, entry->object);
        if (!is_ours(kube, entry->object) || !is_alive(kube, entry->object))
            continue;
        if (count < KUBE_GATEWAYS_MAX)
            names[count++] = kube_entry_name(entry);
        else
            left_out++;
    }
    qsort(names, (size_t)count, sizeof(*names), compare_names);
    if (is_as_told(kube, names, count))
        return;
    if (left_out > 0)
        log_error(
            "there are more gateways than can be waited for; a pod that goes may break streams "
            "of the others: run fewer",
            LOG_I64("left_out", left_out), LOG_I64("at_most", KUBE_GATEWAYS_MAX));
    forget_names(kube);
    for (; kube->gateway_count < count; kube->gateway_count++)
        kube->gateway_names[kube->gateway_count] = must_text(names[kube->gateway_count]);
    kube->gateways_told = true;
    kube->platform.handler->on_gateways(kube->platform.user, names, count);
}

/* --- who asks --------------------------------------------------------------------------------- */

struct kube_review {
    struct kube *kube;
    struct kube_call *call;
    char name[KUBE_NAME_TEXT_MAX + 1]; /* that it claims */
    endpoints_admitted done;
    void *user;
    struct kube_review *next, **back;
};

static void review_end(struct kube_review *review, int code, const struct err *err)
{
    *review->back = review->next;
    if (review->next != NULL)
        review->next->back = review->back;
    kube_call_cancel(review->call);
    review->done(review->user, code, err);
    mem_free(review);
}

static bool has_text(const json_t *list, struct str wanted)
{
    const json_t *item;
    size_t i;

    json_array_foreach (list, i, item) {
        if (str_eq(json_str(item), wanted))
            return true;
    }
    return false;
}

/* The API server's verdict: who the token is of. */
static int check_status(const struct kube_review *review, const json_t *status, struct err *err)
{
    const struct kube *kube = review->kube;
    const json_t *user = json_object_get(status, "user");
    const json_t *pods = json_object_get(json_object_get(user, "extra"), EXTRA_POD);
    const struct kube_entry *entry;
    char account[KUBE_NAME_TEXT_MAX * 2 + 32];

    snprintf(account, sizeof(account), "system:serviceaccount:%s:%s", kube->name_space,
             kube->options.gateway_account);
    if (!json_is_true(json_object_get(status, "authenticated")) ||
        !has_text(json_object_get(status, "audiences"), STR(KUBE_GATEWAY_AUDIENCE)))
        return err_set(err, ERR_DENIED,
                       "the credential is no valid service-account token for the audience "
                       "'" KUBE_GATEWAY_AUDIENCE "': mount a projected one");
    if (!str_is(json_str(json_object_get(user, "username")), account))
        return err_set(err, ERR_DENIED,
                       "the credential is not of %s: see "
                       "--gateway-service-account",
                       account);
    if (!has_text(pods, str_of(review->name)))
        return err_set(err, ERR_DENIED, "the credential is not of the pod %s", review->name);
    entry = kube_store_get(kube_informer_store(kube->gateways->informer), str_of(kube->name_space),
                           str_of(review->name));
    if (entry == NULL)
        return err_set(err, ERR_DENIED,
                       "no pod %s with the label " KUBE_LABEL_COMPONENT "=" KUBE_COMPONENT_GATEWAY
                       " is known in namespace %s",
                       review->name, kube->name_space);
    return 0;
}

static void reviewed(void *user, const struct kube_answer *answer)
{
    struct kube_review *review = user;
    json_auto_t *tree = NULL;
    struct err err = {0};
    int r = answer->code;

    review->call = NULL;
    if (r < 0) /* whatever the API server says, it is our trouble and not the gateway's */
        r = err_set(&err, ERR_NETWORK, "the credential can't be checked: %s",
                    err_message(answer->err));
    else
        r = json_read(&tree, answer->body, &json_limits_default, "TokenReview", &err);
    if (r == 0)
        r = check_status(review, json_object_get(tree, "status"), &err);
    if (r < 0)
        log_warn("a gateway was not admitted", LOG_STR("gateway", review->name), LOG_ERR(&err));
    review_end(review, r, &err);
}

static int send_review(struct kube_review *review, struct str credential, struct err *err)
{
    const struct kube_target target = {.resource = &reviews_resource};
    const struct kube_reply reply = {reviewed, review, &review->call, .ahead = true};
    CLEANUP(buf_fini) struct buf body = {0};
    struct json_writer w;
    int r;

    buf_init(&body, REVIEW_BYTES_MAX);
    json_writer_init(&w, &body);
    json_open(&w, '{');
    json_put_text(&w, "apiVersion", "authentication.k8s.io/v1");
    json_put_text(&w, "kind", "TokenReview");
    json_key(&w, "spec");
    json_open(&w, '{');
    json_put_str(&w, "token", credential);
    json_key(&w, "audiences");
    json_add_raw(&w, STR("[\"" KUBE_GATEWAY_AUDIENCE "\"]"));
    json_close(&w, '}');
    json_close(&w, '}');
    r = buf_check(&body, "the credential", err);
    return r < 0 ? r
                 : kube_create(review->kube->api, &target, KUBE_MANAGER_REVIEW, buf_str(&body),
                               reply, err);
}

static bool has_room(const struct kube *kube)
{
    int count = 0;

    for (const struct kube_review *review = kube->reviews; review != NULL; review = review->next)
        count++;
    return count < REVIEWS_MAX;
}

void kube_gateway_admit(void *user, struct str credential, struct str name, endpoints_admitted done,
                        void *done_user)
{
    struct kube *kube = user;
    struct kube_review *review;
    struct err err = {0};
    int r;

    if (!kube->synced)
        r = err_set(&err, ERR_BUSY, "the views of the cluster are not complete yet");
    else if (!has_room(kube))
        r = err_set(&err, ERR_BUSY, "too many credentials are being checked");
    else
        r = 0;
    if (r < 0) {
        done(done_user, r, &err);
        return;
    }
    review = must(mem_alloc(sizeof(*review)));
    review->kube = kube;
    review->done = done;
    review->user = done_user;
    snprintf(review->name, sizeof(review->name), "%.*s", STR_ARG(name));
    review->next = kube->reviews;
    review->back = &kube->reviews;
    if (review->next != NULL)
        review->next->back = &review->next;
    kube->reviews = review;
    r = send_review(review, credential, &err);
    if (r < 0)
        review_end(review, r, &err);
}

void kube_reviews_cancel(struct kube *kube)
{
    struct err err = {0};
    int r = err_set(&err, ERR_CANCELLED, "the operator ends");

    while (kube->reviews != NULL)
        review_end(kube->reviews, r, &err);
}
