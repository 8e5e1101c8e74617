/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who computes what in a step. Running sequences that decode come first (one token each), then
 * prompts in chunks by rank, then waiting requests are admitted by rank, as long as the step has
 * tokens left. Where blocks run out, the lowest rank that runs is preempted: it gives back its
 * blocks and waits, to be computed again later. The highest rank always advances, since any one
 * sequence fits into the store alone; so everything ends.
 */
#include <string.h>

#include "engine/core.h"

static struct seq *running_at(const struct engine *e, int index)
{
    return &e->seqs[e->running[index]];
}

static struct seq *last_running(const struct engine *e)
{
    return running_at(e, e->running_count - 1);
}

static int number_of(const struct engine *e, const struct seq *s)
{
    return (int)(s - e->seqs);
}

static int blocks_for(int tokens)
{
    return (tokens + KV_BLOCK_TOKENS - 1) / KV_BLOCK_TOKENS;
}

static bool ranks_before(const struct seq *a, const struct seq *b)
{
    if (a->priority != b->priority)
        return a->priority > b->priority;
    return a->serial < b->serial;
}

static void remove_at(int *list, int *count, int index)
{
    memmove(&list[index], &list[index + 1], (size_t)(*count - index - 1) * sizeof(*list));
    (*count)--;
}

static void insert_at(int *list, int *count, int index, int number)
{
    memmove(&list[index + 1], &list[index], (size_t)(*count - index) * sizeof(*list));
    list[index] = number;
    (*count)++;
}

/* The list goes from the lowest rank up, so that its head is popped from the end. */
void sched_enqueue(struct engine *e, struct seq *s)
{
    int at = 0;

    while (at < e->waiting_count && ranks_before(s, &e->seqs[e->waiting[at]]))
        at++;
    insert_at(e->waiting, &e->waiting_count, at, number_of(e, s));
    s->running = false;
}

static void enter_running(struct engine *e, struct seq *s)
{
    int at = e->running_count;

    while (at > 0 && ranks_before(s, running_at(e, at - 1)))
        at--;
    insert_at(e->running, &e->running_count, at, number_of(e, s));
    s->running = true;
}

void sched_remove(struct engine *e, struct seq *s)
{
    int *list = s->running ? e->running : e->waiting;
    int *count = s->running ? &e->running_count : &e->waiting_count;
    int at = 0;

    while (list[at] != number_of(e, s))
        at++;
    remove_at(list, count, at);
}

/* The last block first: kv.h says why. */
void sched_release_blocks(struct engine *e, struct seq *s)
{
    while (s->block_count > 0)
        kv_release(e->kv, s->blocks[--s->block_count]);
    s->published = 0;
    s->parent = KV_ROOT;
    s->computed = 0;
}

static void preempt_last(struct engine *e)
{
    struct seq *s = last_running(e);

    e->running_count--;
    e->budget += s->take;
    s->take = 0;
    sched_release_blocks(e, s);
    sched_enqueue(e, s);
    e->preemptions++;
}

/* Takes blocks for up to `want` more positions; returns for how many there is room now. */
static int make_room(struct engine *e, struct seq *s, int want)
{
    int room;

    while (s->block_count < blocks_for(s->computed + want)) {
        int block = kv_take(e->kv);

        if (block < 0)
            break;
        s->blocks[s->block_count++] = block;
    }
    room = s->block_count * KV_BLOCK_TOKENS - s->computed;
    return room < want ? room : want;
}

/* Gives the running `s` up to `want` tokens of this step. Fewer where blocks are short; if there is
 * none at all, others are preempted from the lowest rank up, in the end `s` itself. */
static void give(struct engine *e, struct seq *s, int want)
{
    if (want > e->budget)
        want = e->budget;
    while (want > 0) {
        bool is_last = last_running(e) == s;

        s->take = make_room(e, s, want);
        e->budget -= s->take;
        if (s->take > 0)
            return;
        preempt_last(e);
        if (is_last)
            return;
    }
}

static void give_to_running(struct engine *e)
{
    for (int i = 0; i < e->running_count; i++)
        running_at(e, i)->take = 0;
    for (int i = 0; i < e->running_count; i++) {
        struct seq *s = running_at(e, i);

        if (s->length - s->computed == 1)
            give(e, s, 1);
    }
    for (int i = 0; i < e->running_count; i++) {
        struct seq *s = running_at(e, i);

        if (s->length - s->computed > 1)
            give(e, s, s->length - s->computed);
    }
}

/* Refers to the published blocks of the longest known prefix. The last token is always left to
 * compute, so that its logits exist. */
static void attach_prefix(struct engine *e, struct seq *s)
{
    while (e->prefix_reuse && (s->block_count + 1) * KV_BLOCK_TOKENS < s->length) {
        int block =
            kv_find(e->kv, s->parent, s->cache_salt, &s->tokens[s->block_count * KV_BLOCK_TOKENS]);

        if (block < 0)
            break;
        kv_ref(e->kv, block);
        s->blocks[s->block_count++] = block;
        s->parent = kv_serial(e->kv, block);
    }
    s->published = s->block_count;
    s->computed = s->block_count * KV_BLOCK_TOKENS;
}

/* Blocks needed for all of `s`, and one for each running sequence to grow into: without those a
 * sequence just admitted would soon be preempted again. */
static int blocks_wanted(const struct engine *e, const struct seq *s)
{
    return blocks_for(s->length) - s->block_count + e->running_count;
}

/* Whether preempting all of lower priority would make place for `s`. */
static bool preempting_helps(const struct engine *e, const struct seq *s)
{
    int wanted = blocks_wanted(e, s);
    int blocks = kv_available(e->kv);
    int victims = 0;

    for (int i = e->running_count - 1; i >= 0 && running_at(e, i)->priority < s->priority; i--) {
        const struct seq *victim = running_at(e, i);

        victims++;
        for (int b = 0; b < victim->block_count; b++)
            blocks += kv_refs(e->kv, victim->blocks[b]) == 1;
    }
    return victims > 0 && blocks >= wanted - victims;
}

/* Tries to let the waiting `s` run; a higher priority may displace running ones of lower. */
static bool admit(struct engine *e, struct seq *s)
{
    attach_prefix(e, s);
    while (e->running_count == e->plan.slots || kv_available(e->kv) < blocks_wanted(e, s)) {
        if (!preempting_helps(e, s)) {
            sched_release_blocks(e, s);
            return false;
        }
        preempt_last(e);
    }
    if (!s->admitted && e->prefix_reuse) {
        e->prefix_queries += (uint64_t)s->length;
        e->prefix_hits += (uint64_t)s->computed;
    }
    s->admitted = true;
    account_found(e, s, s->computed);
    sched_remove(e, s);
    enter_running(e, s);
    give(e, s, s->length - s->computed);
    return true;
}

int sched_plan(struct engine *e)
{
    uint64_t preemptions = e->preemptions;

    e->budget = e->chunk_tokens;
    give_to_running(e);
    /* After a preemption memory is short: nobody new in this step. */
    while (e->preemptions == preemptions && e->waiting_count > 0 && e->budget > 0) {
        if (!admit(e, &e->seqs[e->waiting[e->waiting_count - 1]]))
            break;
        preemptions = e->preemptions;
    }
    return e->chunk_tokens - e->budget;
}

void sched_publish(struct engine *e, struct seq *s)
{
    while (e->prefix_reuse && (s->published + 1) * KV_BLOCK_TOKENS <= s->computed) {
        int32_t *entry = &s->blocks[s->published];

        *entry = kv_publish(e->kv, *entry, s->parent, s->cache_salt,
                            &s->tokens[s->published * KV_BLOCK_TOKENS]);
        s->parent = kv_serial(e->kv, *entry);
        s->published++;
    }
}
