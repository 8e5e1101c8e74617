/* SPDX-License-Identifier: Apache-2.0 */
/* Single requests of the tool, by the verbs of the client. */
#include "tool.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

struct tool_requested {
    char id[TOOL_PART_MAX];
    struct tool_resource resource;
    struct kube_call *call;
    struct tool_requested *next, **back;
};

static struct tool_requested *requested_new(struct tool *t)
{
    struct tool_requested *q = mem_alloc(sizeof(*q));

    if (q == NULL)
        abort();
    q->next = t->requested;
    q->back = &t->requested;
    if (q->next != NULL)
        q->next->back = &q->next;
    t->requested = q;
    return q;
}

static void requested_free(struct tool_requested *q)
{
    *q->back = q->next;
    if (q->next != NULL)
        q->next->back = q->back;
    mem_free(q);
}

void tool_requests_free(struct tool *t)
{
    while (t->requested != NULL) {
        kube_call_cancel(t->requested->call);
        requested_free(t->requested);
    }
}

static void say_answer(const struct tool_requested *q, const struct kube_answer *a)
{
    json_t *body = NULL;

    if (a->code == 0 && a->body.len > 0)
        (void)kube_object_read(&body, a->body, "the answer", NULL);
    tool_say(json_pack("{s:s,s:s,s:s,s:i,s:s,s:s,s:I,s:o}", "event", "ANSWER", "id", q->id, "code",
                       err_code_name(a->code), "http", a->http_status, "reason",
                       a->status != NULL ? kube_reason_name(a->status->reason) : "", "message",
                       a->err != NULL ? err_message(a->err) : "", "retry_after_s",
                       (json_int_t)(a->status != NULL ? a->status->retry_after_s : -1), "body",
                       body != NULL ? body : json_null()));
}

static void on_done(void *user, const struct kube_answer *answer)
{
    struct tool_requested *q = user;

    say_answer(q, answer);
    requested_free(q);
}

static int send_verb(struct tool *t, const char *verb, const struct kube_target *target,
                     const json_t *command, struct str body, struct kube_reply reply,
                     struct err *err)
{
    const char *manager = tool_text(command, "manager");
    const json_t *grace = json_object_get(command, "grace_s");
    const struct kube_delete_options deletion = {
        .uid = str_of(tool_text(command, "uid")),
        .resource_version = str_of(tool_text(command, "resource_version")),
        .grace_s = json_is_integer(grace) ? json_integer_value(grace) : -1,
    };

    if (strcmp(verb, "get") == 0)
        return kube_get(t->api, target, reply, err);
    if (strcmp(verb, "create") == 0)
        return kube_create(t->api, target, manager, body, reply, err);
    if (strcmp(verb, "update") == 0)
        return kube_update(t->api, target, manager, body, reply, err);
    if (strcmp(verb, "apply") == 0)
        return kube_apply(t->api, target, manager, json_is_true(json_object_get(command, "force")),
                          body, reply, err);
    if (strcmp(verb, "patch") == 0)
        return kube_merge_patch(t->api, target, manager, body, reply, err);
    if (strcmp(verb, "delete") == 0)
        return kube_delete(t->api, target, &deletion, reply, err);
    return err_set(err, ERR_INVALID, "no verb '%s'", verb);
}

void tool_request(struct tool *t, const json_t *command)
{
    struct tool_requested *q = requested_new(t);
    const char *subresource = tool_text(command, "subresource");
    const json_t *tree = json_object_get(command, "body");
    char *body = tree != NULL ? json_dumps(tree, JSON_COMPACT) : NULL;
    struct err err = {0};
    struct kube_target target = {
        .name_space = str_of(tool_text(command, "namespace")),
        .name = str_of(tool_text(command, "name")),
        .subresource = subresource[0] != '\0' ? subresource : NULL,
    };
    int r;

    snprintf(q->id, sizeof(q->id), "%s", tool_text(command, "id"));
    tool_resource_read(&q->resource, command);
    target.resource = &q->resource.resource;
    r = send_verb(t, tool_text(command, "verb"), &target, command, str_of(body),
                  (struct kube_reply){on_done, q, &q->call}, &err);
    if (r < 0)
        on_done(q, &(struct kube_answer){.code = r, .err = &err});
    mem_free(body);
}
