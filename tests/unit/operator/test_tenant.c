/* SPDX-License-Identifier: Apache-2.0 */
/* Tenants and PriceBooks on a calm simulated cluster: what their status says, and how often it is
 * written. */
#include "reconcile_play.h"

#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "crd/tenant.h"
#include "operator/reconcile/pass.h"

enum { CROWD = 300, FEW = 3, LESS_THAN_A_CROWD = 20 };

/* --- what the operator asks for --------------------------------------------------------------- */

/* The ledger and the statuses, in the test's hand. */
static struct {
    struct platform *platform;
    struct platform_ops ops, real;
    bool hold_posts;  /* the ledger's answers are the test's */
    bool no_statuses; /* of tenants: the definition has none */
    bool drop_words;  /* of price books: the definition has no conditions */
    uint64_t posted;  /* ticket of a version that waits for its answer; 0: none */
    int posts;
    int puts, tenant_puts;
    uint64_t tickets[CROWD];
    char versions[CROWD][32];
    int answer_count;
} hand;

static void hold_post(struct platform *p, uint64_t ticket, struct str json)
{
    hand.posts++;
    if (!hand.hold_posts) {
        hand.real.prices_post(p, ticket, json);
        return;
    }
    assert_true(hand.posted == 0);
    hand.posted = ticket;
}

static void count_put(struct platform *p, uint64_t ticket, const struct crd_object *object,
                      json_t *status)
{
    bool of_tenant = object->kind->id == CRD_TENANT;

    hand.puts++;
    hand.tenant_puts += of_tenant;
    if (hand.drop_words && !of_tenant)
        json_object_del(status, "conditions");
    /* An API server makes no new version of an object that stays as it is. */
    if (!(hand.no_statuses && of_tenant) &&
        !(hand.drop_words && json_equal(status, object->status) == 1)) {
        hand.real.status_put(p, ticket, object, status);
        return;
    }
    assert_true(hand.answer_count < CROWD);
    hand.tickets[hand.answer_count] = ticket;
    snprintf(hand.versions[hand.answer_count++], sizeof(hand.versions[0]), "%s",
             object->resource_version);
}

static uint64_t take_post(void)
{
    uint64_t ticket = hand.posted;

    assert_true(ticket != 0);
    hand.posted = 0;
    return ticket;
}

static void answer(uint64_t ticket, int code, const char *words)
{
    hand.platform->handler->on_result(hand.platform->user, &(struct platform_result){
                                                               .ticket = ticket,
                                                               .code = code,
                                                               .message = str_of(words),
                                                           });
}

/* Of the statuses that are in hand. */
static void answer_puts(void)
{
    int count = hand.answer_count;

    hand.answer_count = 0;
    for (int i = 0; i < count; i++)
        hand.platform->handler->on_result(
            hand.platform->user, &(struct platform_result){
                                     .ticket = hand.tickets[i],
                                     .code = hand.no_statuses ? -ERR_NOT_FOUND : 0,
                                     .message = hand.no_statuses ? STR("not found") : STR_NONE,
                                     .resource_version = str_of(hand.versions[i]),
                                 });
}

static void begin(struct fixture *f)
{
    memset(&hand, 0, sizeof(hand));
    play_begin(f);
    hand.platform = sim_platform(f->sim);
    hand.real = hand.ops = *hand.platform->ops;
    hand.ops.prices_post = hold_post;
    hand.ops.status_put = count_put;
    hand.platform->ops = &hand.ops;
}

/* Answers statuses each 50 ms for so long. */
static void run_in_hand(struct fixture *f, int64_t ms)
{
    for (int64_t at = 0; at < ms; at += 50) {
        sim_run(f->sim, 50);
        answer_puts();
    }
}

/* --- objects ---------------------------------------------------------------------------------- */

static void apply(struct fixture *f, const char *kind, const char *name, const char *spec)
{
    char text[1024];
    struct err err = {0};

    snprintf(text, sizeof(text),
             "{\"apiVersion\":\"spate.dev/v1alpha1\",\"kind\":\"%s\",\"metadata\":{"
             "\"name\":\"%s\"},\"spec\":{%s}}",
             kind, name, spec);
    if (sim_apply(f->sim, text, &err) < 0)
        fail_msg("%s", err_message(&err));
}

#define PRICES(input) "\"prices\":[{\"model\":\"*\",\"input\":\"" input "\",\"output\":\"2\"}]"

/* Fails unless Ready is so, of the present generation, and its message has the words. */
static void expect_condition(const struct crd_object *object, int64_t generation,
                             const struct crd_condition *conditions, int count,
                             enum crd_truth truth, const char *reason, const char *words)
{
    assert_int_equal(generation, object->generation);
    assert_int_equal(count, 1);
    assert_int_equal(conditions->observed_generation, object->generation);
    assert_true(str_is(conditions->type, "Ready"));
    if (conditions->status != (int)truth || !str_is(conditions->reason, reason) ||
        str_find(conditions->message, str_of(words)) < 0)
        fail_msg("%s is %d, %.*s: %.*s", object->name, conditions->status,
                 STR_ARG(conditions->reason), STR_ARG(conditions->message));
}

static void expect_tenant(struct fixture *f, const char *key, enum crd_truth truth,
                          const char *reason, const char *words)
{
    const struct crd_object *object = sim_object(f->sim, key);
    struct crd_tenant_status status = {0};

    assert_non_null(object);
    assert_int_equal(crd_tenant_status_read(&status, object, &f->arena, NULL), 0);
    expect_condition(object, status.observed_generation, status.conditions, status.condition_count,
                     truth, reason, words);
}

static void expect_book(struct fixture *f, enum crd_truth truth, const char *reason,
                        const char *words)
{
    const struct crd_object *object = sim_object(f->sim, "pricebook:list");
    struct crd_price_book_status status = {0};

    assert_non_null(object);
    assert_int_equal(crd_price_book_status_read(&status, object, &f->arena, NULL), 0);
    expect_condition(object, status.observed_generation, status.conditions, status.condition_count,
                     truth, reason, words);
}

/* --- tests ------------------------------------------------------------------------------------ */

static void a_tenant_says_what_it_is_charged_by(void **state)
{
    struct fixture f = {0};

    (void)state;
    begin(&f);
    apply(&f, "Tenant", "acme", "\"priority\":1");
    sim_run(f.sim, SECOND);
    expect_tenant(&f, "tenant:acme", CRD_TRUE, "Ready", "unpriced, as spec.priceBook names no");
    apply(&f, "Tenant", "acme", "\"priceBook\":\"list\"");
    sim_run(f.sim, SECOND);
    expect_tenant(&f, "tenant:acme", CRD_FALSE, "PriceBookMissing",
                  "there is no PriceBook list: create it, or correct spec.priceBook");
    assert_int_equal(sim_routes(f.sim)->tenant_count, 1); /* served all the same */
    apply(&f, "PriceBook", "list", PRICES("1"));
    sim_run(f.sim, SECOND);
    expect_tenant(&f, "tenant:acme", CRD_TRUE, "Ready", "charged by the PriceBook list");
    sim_delete(f.sim, "pricebook:list");
    sim_run(f.sim, SECOND);
    expect_tenant(&f, "tenant:acme", CRD_FALSE, "PriceBookMissing", "there is no PriceBook list");
    play_end(&f);
}

static void a_book_says_what_the_ledger_says(void **state)
{
    struct fixture f = {0};

    (void)state;
    begin(&f);
    hand.hold_posts = true;
    apply(&f, "Tenant", "acme", "\"priceBook\":\"list\"");
    sim_run(f.sim, SECOND);
    apply(&f, "PriceBook", "list", PRICES("1"));
    sim_run(f.sim, SECOND);
    expect_book(&f, CRD_UNKNOWN, "Posting", "goes to the ledger; until then tokens are unpriced");
    expect_tenant(&f, "tenant:acme", CRD_FALSE, "PriceBookNotReady",
                  "the PriceBook list is not in force: its condition Ready says why");
    answer(take_post(), -ERR_NETWORK, "nobody listens there");
    sim_run(f.sim, SECOND);
    expect_book(&f, CRD_FALSE, "LedgerNotReached", "nobody listens there. It is tried again");
    answer(take_post(), -ERR_INVALID, "'input' is bad");
    sim_run(f.sim, SECOND);
    expect_book(&f, CRD_FALSE, "LedgerRefused", "'input' is bad. Correct spec.prices");
    answer(take_post(), 0, "");
    sim_run(f.sim, SECOND);
    expect_book(&f, CRD_TRUE, "Ready", "the ledger has version 1795");
    expect_tenant(&f, "tenant:acme", CRD_TRUE, "Ready", "charged by the PriceBook list");
    apply(&f, "PriceBook", "list", PRICES("2"));
    sim_run(f.sim, SECOND);
    expect_book(&f, CRD_UNKNOWN, "Posting", "until then the prices of version 1795");
    expect_tenant(&f, "tenant:acme", CRD_TRUE, "Ready", "charged by the PriceBook list");
    play_end(&f);
}

/* The version goes to the ledger again and again; what is said of it is written once. */
static void a_refusal_is_written_once(void **state)
{
    struct fixture f = {0};
    int puts;

    (void)state;
    begin(&f);
    hand.hold_posts = true;
    apply(&f, "PriceBook", "list", PRICES("1"));
    for (int i = 0; i < 10 * 60; i++) {
        sim_run(f.sim, SECOND);
        if (hand.posted != 0)
            answer(take_post(), -ERR_INVALID, "no");
    }
    assert_int_equal(hand.puts, 2); /* its number, and the refusal */
    assert_true(hand.posts > 10);
    puts = hand.puts;
    for (int i = 0; i < 10 * 60; i++) { /* words that change each time */
        char words[32];

        sim_run(f.sim, SECOND);
        snprintf(words, sizeof(words), "no %d", i);
        if (hand.posted != 0)
            answer(take_post(), -ERR_INVALID, words);
    }
    assert_in_range(hand.puts - puts, 10, 60);
    play_end(&f);
}

static void those_beyond_the_limit_are_told(void **state)
{
    struct fixture f = {0};

    (void)state;
    begin(&f);
    f.r->world.tenants_max = 2;
    apply(&f, "Tenant", "a", "");
    apply(&f, "Tenant", "b", "");
    sim_run(f.sim, SECOND);
    apply(&f, "Tenant", "c", "");
    sim_run(f.sim, SECOND);
    expect_tenant(&f, "tenant:b", CRD_TRUE, "Ready", "it is served");
    expect_tenant(&f, "tenant:c", CRD_FALSE, "TooManyTenants",
                  "it is not served: there is room for 2 tenants. Delete one");
    assert_int_equal(sim_routes(f.sim)->tenant_count, 2);
    sim_delete(f.sim, "tenant:a");
    sim_run(f.sim, SECOND);
    expect_tenant(&f, "tenant:c", CRD_TRUE, "Ready", "it is served");
    assert_int_equal(sim_routes(f.sim)->tenant_count, 2);
    assert_true(str_is(sim_routes(f.sim)->tenants[1].name, "c"));
    play_end(&f);
}

static void apply_crowd(struct fixture *f, const char *book)
{
    char name[32], spec[64];

    snprintf(spec, sizeof(spec), "\"priceBook\":\"%s\"", book);
    for (int i = 0; i < CROWD; i++) {
        snprintf(name, sizeof(name), "%s-payer-%d", book, i);
        apply(f, "Tenant", name, spec);
    }
}

static void a_book_wakes_those_alone_that_name_it(void **state)
{
    struct fixture f = {0};
    struct reconciler_stats before, after;

    (void)state;
    begin(&f);
    apply_crowd(&f, "other");
    for (int i = 0; i < FEW; i++) {
        char name[32];

        snprintf(name, sizeof(name), "few-%d", i);
        apply(&f, "Tenant", name, "\"priceBook\":\"list\"");
        sim_run(f.sim, SECOND); /* so that they come in this order */
    }
    sim_run(f.sim, 5 * SECOND);
    sim_delete(f.sim, "tenant:few-1"); /* the one in the middle of three */
    sim_run(f.sim, SECOND);
    reconciler_stats(f.r, &before);
    apply(&f, "PriceBook", "list", PRICES("1"));
    sim_run(f.sim, SECOND);
    reconciler_stats(f.r, &after);
    assert_in_range(after.keys_added - before.keys_added, FEW, LESS_THAN_A_CROWD);
    expect_tenant(&f, "tenant:few-0", CRD_TRUE, "Ready", "list");
    expect_tenant(&f, "tenant:few-2", CRD_TRUE, "Ready", "list");
    apply(&f, "Tenant", "few-0", "\"priceBook\":\"third\"");
    sim_run(f.sim, SECOND);
    expect_tenant(&f, "tenant:few-0", CRD_FALSE, "PriceBookMissing", "third");
    sim_delete(f.sim, "pricebook:list");
    sim_run(f.sim, SECOND);
    expect_tenant(&f, "tenant:few-2", CRD_FALSE, "PriceBookMissing", "list");
    apply(&f, "PriceBook", "other", PRICES("1"));
    sim_run(f.sim, 5 * SECOND);
    expect_tenant(&f, "tenant:other-payer-0", CRD_TRUE, "Ready", "other");
    expect_tenant(&f, "tenant:other-payer-299", CRD_TRUE, "Ready", "other");
    play_end(&f);
}

/* The API server does not know the subresource: some ask, then few, and all when it does. */
static void a_definition_without_status_is_not_hammered(void **state)
{
    struct fixture f = {0};

    (void)state;
    begin(&f);
    hand.no_statuses = true;
    apply_crowd(&f, "list");
    run_in_hand(&f, 10 * MINUTE);
    assert_in_range(hand.tenant_puts, 10, 1500); /* PASS_PUTS_MAX at most at each of 15 tries */
    hand.no_statuses = false;
    run_in_hand(&f, MINUTE + 5 * SECOND);
    expect_tenant(&f, "tenant:list-payer-0", CRD_FALSE, "PriceBookMissing", "list");
    expect_tenant(&f, "tenant:list-payer-299", CRD_FALSE, "PriceBookMissing", "list");
    play_end(&f);
}

/* The API server takes the status and drops the conditions, which its definition lacks. */
static void words_that_are_dropped_are_seldom_written_again(void **state)
{
    struct fixture f = {0};
    struct crd_price_book_status status = {0};

    (void)state;
    begin(&f);
    hand.drop_words = true;
    apply(&f, "PriceBook", "list", PRICES("1"));
    run_in_hand(&f, 10 * MINUTE);
    assert_in_range(hand.puts, 3, 15);
    assert_int_equal(
        crd_price_book_status_read(&status, sim_object(f.sim, "pricebook:list"), &f.arena, NULL),
        0);
    assert_true(status.posted_version > 0);
    assert_int_equal(status.condition_count, 0);
    hand.drop_words = false;
    run_in_hand(&f, MINUTE + SECOND);
    expect_book(&f, CRD_TRUE, "Ready", "version");
    play_end(&f);
}

/* Passes that come before the view shows what was written do not write it again. */
static void nothing_is_written_before_the_last_is_seen(void **state)
{
    struct fixture f = {0};

    (void)state;
    begin(&f);
    apply(&f, "Tenant", "acme", "");
    for (int i = 0; i < SECOND; i++) {
        sim_run(f.sim, 1);
        if (world_tenant_find(&f.r->world, STR("acme")) != NULL) {
            tenant_add(f.r, world_tenant_find(&f.r->world, STR("acme")));
            reconciler_wake(f.r);
        }
    }
    assert_int_equal(hand.tenant_puts, 1);
    play_end(&f);
}

/* A new operator finds the statuses as it left them, and writes nothing. */
static void a_restart_changes_nothing(void **state)
{
    struct fixture f = {0};

    (void)state;
    begin(&f);
    apply(&f, "Tenant", "acme", "\"priceBook\":\"list\"");
    apply(&f, "PriceBook", "list", PRICES("1"));
    apply(&f, "Tenant", "free", "");
    sim_run(f.sim, 60 * SECOND);
    hand.puts = 0;
    sim_stop(f.sim);
    reconciler_free(f.r);
    sim_run(f.sim, SECOND);
    assert_int_equal(reconciler_new(&f.r, sim_platform(f.sim), NULL), 0);
    sim_start(f.sim);
    sim_run(f.sim, 60 * SECOND);
    assert_int_equal(hand.puts, 0);
    expect_tenant(&f, "tenant:acme", CRD_TRUE, "Ready", "list");
    expect_book(&f, CRD_TRUE, "Ready", "version");
    play_end(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_tenant_says_what_it_is_charged_by),
        cmocka_unit_test(a_book_says_what_the_ledger_says),
        cmocka_unit_test(a_refusal_is_written_once),
        cmocka_unit_test(those_beyond_the_limit_are_told),
        cmocka_unit_test(a_book_wakes_those_alone_that_name_it),
        cmocka_unit_test(a_definition_without_status_is_not_hammered),
        cmocka_unit_test(words_that_are_dropped_are_seldom_written_again),
        cmocka_unit_test(nothing_is_written_before_the_last_is_seen),
        cmocka_unit_test(a_restart_changes_nothing),
    };

    log_setup("test", LOG_LEVEL_ERROR, LOG_FORMAT_TEXT, 2);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
