/* SPDX-License-Identifier: Apache-2.0 */
/* Results on their way back to the handler: see results.h. */
#include "operator/common/results.h"

#include <stdio.h>

#include "operator/common/must.h"

enum { VERSION_TEXT_MAX = 64 };

struct result_entry {
    uint64_t ticket;
    int code;
    char message[ERR_MESSAGE_MAX];
    char version[VERSION_TEXT_MAX];
    struct result_entry *next;
};

static void tell(const struct results *results, const struct result_entry *entry)
{
    const struct platform *p = results->platform;

    p->handler->on_result(p->user, &(struct platform_result){
                                       .ticket = entry->ticket,
                                       .code = entry->code,
                                       .message = str_of(entry->message),
                                       .resource_version = str_of(entry->version),
                                   });
}

/* Those that are there now; what they lead to comes next time. */
static void deliver(void *object)
{
    struct results *results = object;
    struct result_entry *entry = results->first;

    results->first = results->last = NULL;
    while (entry != NULL) {
        struct result_entry *next = entry->next;

        tell(results, entry);
        mem_free(entry);
        entry = next;
    }
}

void results_init(struct results *results, struct loop *loop, const struct platform *platform)
{
    *results = (struct results){.loop = loop, .platform = platform};
    loop_deferred_init(&results->later, deliver, results);
}

void results_add(struct results *results, uint64_t ticket, int code, const struct err *err,
                 struct str version)
{
    struct result_entry *entry;

    if (results->closed)
        return;
    entry = must(mem_alloc(sizeof(*entry)));
    entry->ticket = ticket;
    entry->code = code;
    if (code < 0)
        snprintf(entry->message, sizeof(entry->message), "%s", err_message(err));
    snprintf(entry->version, sizeof(entry->version), "%.*s", STR_ARG(version));
    if (results->last != NULL)
        results->last->next = entry;
    else
        results->first = entry;
    results->last = entry;
    loop_defer(results->loop, &results->later);
}

void results_drop(struct results *results)
{
    loop_defer_cancel(results->loop, &results->later);
    while (results->first != NULL) {
        struct result_entry *next = results->first->next;

        mem_free(results->first);
        results->first = next;
    }
    results->last = NULL;
}

void results_close(struct results *results)
{
    if (results->loop != NULL)
        results_drop(results);
    results->closed = true;
}
