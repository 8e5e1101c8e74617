/* SPDX-License-Identifier: Apache-2.0 */
/* Acknowledging: a record that is durable here is one that its agent may forget. A lost
 * acknowledgement only means that the record is collected again, which the ledger does not mind. */
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "gateway/collector_private.h"

static void on_done(struct http_call *call, void *user, enum http_result result,
                    const struct err *err)
{
    (void)call;
    (void)user;
    if (result != HTTP_DONE)
        log_debug("acknowledgement of usage records was lost", LOG_ERR(err));
}

/* Moves up to COLLECTOR_ACKS_MAX releases for `address` into the body; the rest stays in *list. */
static int write_acks(struct release **list, const char *address, struct buf *body)
{
    struct json_writer w;
    int count = 0;

    json_writer_init(&w, body);
    json_open(&w, '{');
    json_key(&w, "attempts");
    json_open(&w, '[');
    for (struct release **link = list; *link != NULL && count < COLLECTOR_ACKS_MAX;) {
        struct release *r = *link;
        char name[STREAM_NAME_MAX];

        if (strcmp(r->address, address) != 0) {
            link = &r->next;
            continue;
        }
        stream_name_format(name, r->request_id, r->attempt);
        json_add_raw(&w, str_of(name));
        *link = r->next;
        mem_free(r);
        count++;
    }
    json_close(&w, ']');
    json_close(&w, '}');
    return count;
}

static void on_flush(void *object)
{
    struct collector *c = object;

    while (c->ready != NULL) {
        char address[TABLE_ADDRESS_MAX];
        struct http_call *call = NULL;
        struct buf body;

        snprintf(address, sizeof(address), "%s", c->ready->address);
        buf_init(&body, 1 << 20);
        write_acks(&c->ready, address, &body);
        (void)collector_call(c, &call,
                             &(struct http_call_options){
                                 .address = str_of(address),
                                 .method = STR("POST"),
                                 .target = STR(STREAM_PATH_ACK),
                                 .body = buf_str(&body),
                                 .on_done = on_done,
                             });
        buf_fini(&body);
    }
}

void collector_release(struct collector *c, const char *address, struct id128 request_id,
                       uint32_t attempt, uint64_t sequence)
{
    struct release *r = mem_alloc(sizeof(*r));

    if (r == NULL)
        return; /* it is collected later */
    snprintf(r->address, sizeof(r->address), "%s", address);
    r->request_id = request_id;
    r->attempt = attempt;
    r->sequence = sequence;
    r->next = c->waiting;
    c->waiting = r;
}

void collector_on_durable(struct collector *c, uint64_t sequence)
{
    for (struct release **link = &c->waiting; *link != NULL;) {
        struct release *r = *link;

        if (r->sequence > sequence) {
            link = &r->next;
            continue;
        }
        *link = r->next;
        r->next = c->ready;
        c->ready = r;
    }
    if (c->ready != NULL && !loop_timer_running(&c->flush))
        loop_timer_start(&c->g->loop, &c->flush, COLLECTOR_FLUSH_MS);
}

static void free_list(struct release *list)
{
    while (list != NULL) {
        struct release *next = list->next;

        mem_free(list);
        list = next;
    }
}

void collector_acks_init(struct collector *c)
{
    loop_timer_init(&c->flush, on_flush, c);
}

void collector_acks_fini(struct collector *c)
{
    loop_timer_stop(&c->flush);
    free_list(c->waiting);
    free_list(c->ready);
}
