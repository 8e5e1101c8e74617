/* SPDX-License-Identifier: Apache-2.0 */
/* Queues: see queue.h. A line exists only while somebody waits in it; lines form a ring, and
 * model->lines is the one served last, so that the next one is lines->next. */
#include "gateway/queue.h"

#include "base/mem.h"

static struct gw_line *line_of(struct gw_model *m, const struct gw_tenant *tenant)
{
    struct gw_line *line = m->lines;

    if (line == NULL)
        return NULL;
    do {
        if (line->tenant == tenant)
            return line;
        line = line->next;
    } while (line != m->lines);
    return NULL;
}

/* A new line comes last in the ring: right behind the one served last it would be next. */
static struct gw_line *add_line(struct gw_model *m, struct gw_tenant *tenant)
{
    struct gw_line *line = mem_alloc(sizeof(*line));

    if (line == NULL)
        return NULL;
    line->tenant = tenant;
    if (m->lines == NULL) {
        line->next = line;
    } else {
        line->next = m->lines->next;
        m->lines->next = line;
    }
    m->lines = line;
    return line;
}

static void remove_line(struct gw_model *m, struct gw_line *line)
{
    struct gw_line *before = line;

    while (before->next != line)
        before = before->next;
    before->next = line->next;
    if (m->lines == line)
        m->lines = before == line ? NULL : before;
    mem_free(line);
}

static void count_in(struct table *t, struct flight *f)
{
    f->model->queued++;
    t->queued_bytes += f->body.len;
}

static void count_out(struct table *t, struct flight *f)
{
    f->model->queued--;
    t->queued_bytes -= f->body.len;
    f->queue_next = f->queue_previous = NULL;
    f->line = NULL;
    f->in_front = false;
}

int gw_queue_add(struct table *t, struct flight *f)
{
    struct gw_model *m = f->model;
    struct gw_line *line;

    if (m->queued >= TABLE_QUEUE_MAX || t->queued_bytes + f->body.len > TABLE_QUEUE_BYTES_MAX)
        return -ERR_LIMIT;
    line = line_of(m, f->tenant);
    if (line == NULL)
        line = add_line(m, f->tenant);
    if (line == NULL)
        return -ERR_NO_MEMORY;
    f->line = line;
    f->queue_next = NULL;
    f->queue_previous = line->last;
    if (line->last == NULL)
        line->first = f;
    else
        line->last->queue_next = f;
    line->last = f;
    count_in(t, f);
    return 0;
}

void gw_queue_put_back(struct table *t, struct flight *f)
{
    struct gw_model *m = f->model;

    f->in_front = true;
    f->queue_next = NULL;
    f->queue_previous = m->front_last;
    if (m->front_last == NULL)
        m->front_first = f;
    else
        m->front_last->queue_next = f;
    m->front_last = f;
    count_in(t, f);
}

void gw_queue_remove(struct table *t, struct flight *f)
{
    struct gw_model *m = f->model;
    struct flight **first = f->in_front ? &m->front_first : &f->line->first;
    struct flight **last = f->in_front ? &m->front_last : &f->line->last;
    struct gw_line *line = f->line;

    if (f->queue_previous == NULL)
        *first = f->queue_next;
    else
        f->queue_previous->queue_next = f->queue_next;
    if (f->queue_next == NULL)
        *last = f->queue_previous;
    else
        f->queue_next->queue_previous = f->queue_previous;
    count_out(t, f);
    if (line != NULL && line->first == NULL)
        remove_line(m, line);
}

struct flight *gw_queue_take(struct table *t, struct gw_model *m,
                             bool (*may)(const struct flight *f, void *user), void *user)
{
    struct gw_line *line;

    for (struct flight *f = m->front_first; f != NULL; f = f->queue_next) {
        if (may(f, user)) {
            gw_queue_remove(t, f);
            return f;
        }
    }
    line = m->lines;
    if (line == NULL)
        return NULL;
    do {
        struct flight *f = line->next->first;

        line = line->next;
        if (may(f, user)) {
            m->lines = line;
            gw_queue_remove(t, f);
            return f;
        }
    } while (line != m->lines);
    return NULL;
}

const struct flight *gw_queue_oldest(const struct gw_model *m)
{
    const struct flight *oldest = m->front_first;
    const struct gw_line *line = m->lines;

    if (line == NULL)
        return oldest;
    do {
        if (oldest == NULL || line->first->arrived_mono_ms < oldest->arrived_mono_ms)
            oldest = line->first;
        line = line->next;
    } while (line != m->lines);
    return oldest;
}
