/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writes to the API server that are under way. One is sent only while we lead for sure (it waits
 * while that is in doubt), carries a precondition, and is cancelled where it has not left yet when
 * leadership ends.
 */
#include "operator/common/must.h"
#include "operator/kube/kube_private.h"

static void write_free(struct kube_write *write)
{
    *write->back = write->next;
    if (write->next != NULL)
        write->next->back = write->back;
    kube_call_cancel(write->call);
    mem_free(write->owner_key);
    mem_free(write);
}

void kube_writes_cancel(struct kube *kube)
{
    while (kube->writes != NULL)
        write_free(kube->writes);
}

static void write_end(struct kube_write *write, int code, const struct err *err, struct str version)
{
    if (write->ticket != 0)
        results_add(&write->kube->results, write->ticket, code, err, version);
    write_free(write);
}

/* The resourceVersion of the object in the answer; empty if there is none. */
static struct str version_of(json_t **tree, struct str body)
{
    struct kube_meta meta;

    if (body.len == 0 || kube_object_read(tree, body, "answer", NULL) < 0 ||
        kube_meta_read(&meta, *tree, NULL) < 0)
        return STR_NONE;
    return meta.resource_version;
}

static void written(void *user, const struct kube_answer *answer)
{
    struct kube_write *write = user;
    json_auto_t *tree = NULL;

    write->call = NULL;
    write_end(write, answer->code, answer->err, version_of(&tree, answer->body));
}

struct kube_write *kube_write_new(struct kube *kube, uint64_t ticket)
{
    struct kube_write *write = must(mem_alloc(sizeof(*write)));

    write->kube = kube;
    write->ticket = ticket;
    write->next = kube->writes;
    write->back = &kube->writes;
    if (write->next != NULL)
        write->next->back = &write->next;
    kube->writes = write;
    return write;
}

static bool may_send(void *user)
{
    const struct kube_write *write = user;

    return kube_leads_for_sure(write->kube);
}

struct kube_reply kube_write_reply(struct kube_write *write)
{
    return (struct kube_reply){written, write, &write->call, .may_send = may_send};
}

int kube_check_lead(const struct kube *kube, struct err *err)
{
    if (kube_leads_for_sure(kube))
        return 0;
    return err_set(err, ERR_BUSY, "leadership is not sure at the moment");
}

void kube_write_settle(struct kube_write *write, int code, const struct err *err)
{
    if (code < 0)
        write_end(write, code, err, STR_NONE);
}
