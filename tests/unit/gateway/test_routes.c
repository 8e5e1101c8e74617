/* SPDX-License-Identifier: Apache-2.0 */
/* Routes in the table: who may use them, how weights share out requests, which fallback is next. */
#include "cmocka_plain.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "gateway/table.h"

enum { DRAWS = 20000 };

/* What each of the three models is like; the route leads to a and b, and falls back to c. */
struct world {
    const char *a, *b, *c;
    const char *weights[2]; /* of a and b; NULL: 3 and 1 */
    const char *acme_models;
};

#define READY                                                                               \
    "\"can_wake\":true,\"hold_reason\":\"\",\"pods\":[{\"name\":\"p-%s\",\"uid\":\"u-%s\"," \
    "\"address\":\"127.0.0.1:1\",\"draining\":false,\"slots\":2,\"digest\":\"d\"}]"
#define DRAINING                                                                            \
    "\"can_wake\":true,\"hold_reason\":\"\",\"pods\":[{\"name\":\"p-%s\",\"uid\":\"u-%s\"," \
    "\"address\":\"127.0.0.1:1\",\"draining\":true,\"slots\":2,\"digest\":\"d\"}]"
#define ASLEEP "\"can_wake\":true,\"hold_reason\":\"\",\"pods\":[]"
#define OFF    "\"can_wake\":false,\"hold_reason\":\"\",\"pods\":[]"
#define BROKEN "\"can_wake\":true,\"hold_reason\":\"no weights\",\"pods\":[]"
#define ABSENT NULL

static void write_model(struct buf *out, const char *name, const char *like)
{
    if (like == ABSENT)
        return;
    buf_printf(out, "%s{\"name\":\"%s\",\"short_name\":\"\",\"created\":1,\"context_max\":0,",
               out->ptr[out->len - 1] == '}' ? "," : "", name);
    if (strstr(like, "%s") == NULL) {
        buf_append_text(out, like);
    } else {
        struct str rest = str_of(like);

        while (rest.ptr != NULL) { /* each %s becomes the name */
            struct str part = str_cut(&rest, '%');

            buf_append_str(out, part);
            if (rest.ptr != NULL) {
                buf_append_text(out, name);
                rest = str_slice(rest, 1, rest.len);
            }
        }
    }
    buf_append_char(out, '}');
}

static void apply(struct table *t, int counter, const struct world *w)
{
    static const char more[] = "\"priority\":0,\"requests_per_minute\":0,\"concurrency\":0,"
                               "\"price_version\":1";
    char key[SHA256_HEX_LEN + 1];
    json_auto_t *tree = NULL;
    struct routes *routes = NULL;
    struct err err = {0};
    struct buf text;

    sha256_hex(STR("sk-acme"), key);
    buf_init(&text, 65536);
    buf_printf(&text, "{\"version\":\"inst:1:%d\",\"models\":[", counter);
    write_model(&text, "team/a", w->a);
    write_model(&text, "other/b", w->b);
    write_model(&text, "team/c", w->c);
    buf_printf(&text,
               "],\"routes\":[{\"name\":\"team/chat\",\"short_name\":\"chat\",\"created\":2,"
               "\"targets\":[{\"model\":\"team/a\",\"weight\":%s},{\"model\":\"other/b\","
               "\"weight\":%s}],\"fallbacks\":[\"team/gone\",\"team/c\",\"team/a\"],"
               "\"fallback_after_ms\":5000}],\"tenants\":[",
               w->weights[0] == NULL ? "3" : w->weights[0],
               w->weights[1] == NULL ? "1" : w->weights[1]);
    buf_printf(&text,
               "{\"name\":\"acme\",%s,\"namespaces\":[\"team\"],\"models\":[%s],\"keys\":[{"
               "\"id\":\"k\",\"sha256\":\"%s\"}]},",
               more, w->acme_models == NULL ? "" : w->acme_models, key);
    sha256_hex(STR("sk-other"), key);
    buf_printf(&text,
               "{\"name\":\"stranger\",%s,\"namespaces\":[\"other\"],\"models\":[],\"keys\":[{"
               "\"id\":\"k\",\"sha256\":\"%s\"}]}]}",
               more, key);
    if (json_read(&tree, buf_str(&text), &json_limits_default, "snapshot", &err) < 0 ||
        routes_read(&routes, tree, &err) < 0 || table_apply(t, routes, &err) != 1)
        fail_msg("%s: %s", err_message(&err), buf_cstr(&text));
    buf_fini(&text);
}

static const struct gw_tenant *tenant(const struct table *t, const char *secret)
{
    const struct gw_key *key = table_key(t, str_of(secret));

    assert_non_null(key);
    return key->tenant;
}

static struct id128 request_of(uint32_t number)
{
    struct id128 id = {{0}};

    memcpy(id.bytes, &number, sizeof(number));
    return id;
}

/* How many of DRAWS requests go to the model; all others go to one of the rest. */
static int share(const struct table *t, const char *name)
{
    const struct routes_route *route = table_route(t, tenant(t, "sk-acme"), STR("chat"));
    int count = 0;

    for (uint32_t i = 0; i < DRAWS; i++) {
        const struct gw_model *m = table_route_pick(t, route, request_of(i));

        assert_non_null(m);
        assert_ptr_equal(m, table_route_pick(t, route, request_of(i))); /* fixed by the id */
        count += strcmp(m->name, name) == 0;
    }
    return count;
}

static void names_and_permissions(void **state)
{
    static const struct world open = {.a = READY, .b = READY, .c = READY};
    static const struct world listed = {.a = READY, .acme_models = "\"team/chat\""};
    static const struct world unlisted = {.a = READY, .acme_models = "\"team/a\""};
    struct table t;
    struct buf names;

    (void)state;
    assert_int_equal(table_init(&t), 0);
    apply(&t, 1, &open);
    assert_non_null(table_route(&t, tenant(&t, "sk-acme"), STR("chat")));
    assert_non_null(table_route(&t, tenant(&t, "sk-acme"), STR("team/chat")));
    assert_null(table_route(&t, tenant(&t, "sk-acme"), STR("Chat")));
    assert_null(table_route(&t, tenant(&t, "sk-other"), STR("chat")));
    assert_null(table_route(&t, tenant(&t, "sk-other"), STR("team/chat")));
    buf_init(&names, 1024);
    table_list_names(&t, tenant(&t, "sk-acme"), 10, &names);
    assert_non_null(strstr(buf_cstr(&names), "chat"));
    buf_fini(&names);
    apply(&t, 2, &listed);
    assert_non_null(table_route(&t, tenant(&t, "sk-acme"), STR("chat")));
    apply(&t, 3, &unlisted);
    assert_null(table_route(&t, tenant(&t, "sk-acme"), STR("chat")));
    table_fini(&t);
}

static void weights_share_out_the_requests(void **state)
{
    static const struct world both = {.a = READY, .b = READY};
    static const struct world one = {.a = READY, .b = READY, .weights = {"1000", "0"}};
    struct table t;
    int to_a;

    (void)state;
    assert_int_equal(table_init(&t), 0);
    apply(&t, 1, &both);
    to_a = share(&t, "team/a"); /* three quarters; 1 % is more than three times the deviation */
    assert_true(to_a > DRAWS * 74 / 100 && to_a < DRAWS * 76 / 100);
    assert_int_equal(share(&t, "other/b"), DRAWS - to_a);
    apply(&t, 2, &one);
    assert_int_equal(share(&t, "team/a"), DRAWS);
    table_fini(&t);
}

/* One that sleeps has its share: it is woken. One that can not serve has none. */
static void only_targets_that_can_serve_have_a_share(void **state)
{
    static const struct {
        struct world world;
        bool both;
    } cases[] = {
        {{.a = READY, .b = ASLEEP}, true},  {{.a = READY, .b = DRAINING}, true},
        {{.a = READY, .b = OFF}, false},    {{.a = READY, .b = BROKEN}, false},
        {{.a = READY, .b = ABSENT}, false}, {{.a = ASLEEP, .b = BROKEN}, false},
        {{.a = ASLEEP, .b = ASLEEP}, true},
    };
    struct table t;

    (void)state;
    assert_int_equal(table_init(&t), 0);
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        apply(&t, (int)i + 1, &cases[i].world);
        if ((share(&t, "team/a") < DRAWS) != cases[i].both)
            fail_msg("case %zu", i);
    }
    table_fini(&t);
}

static void fallbacks_come_in_their_order(void **state)
{
    static const struct {
        struct world world;
        bool ready_only;
        const char *first, *second; /* NULL: none */
    } cases[] = {
        {{.a = READY, .b = READY, .c = READY}, true, "team/c", "team/a"},
        {{.a = READY, .b = READY, .c = ASLEEP}, true, "team/a", NULL},
        {{.a = READY, .b = READY, .c = ASLEEP}, false, "team/c", "team/a"},
        {{.a = OFF, .b = READY, .c = BROKEN}, false, NULL, NULL},
        {{.a = ABSENT, .b = READY, .c = DRAINING}, true, NULL, NULL},
    };
    struct table t;

    (void)state;
    assert_int_equal(table_init(&t), 0);
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        const struct routes_route *route;
        const char *expected[] = {cases[i].first, cases[i].second};
        int next = 0;

        apply(&t, (int)i + 1, &cases[i].world);
        route = table_route(&t, tenant(&t, "sk-acme"), STR("chat"));
        for (size_t k = 0; k < 2; k++) {
            const struct gw_model *m = table_route_fallback(&t, route, cases[i].ready_only, &next);

            if (expected[k] == NULL ? m != NULL : m == NULL || strcmp(m->name, expected[k]) != 0)
                fail_msg("case %zu, fallback %zu: %s", i, k, m == NULL ? "none" : m->name);
        }
    }
    table_fini(&t);
}

static void no_target_is_no_pick(void **state)
{
    static const struct world none = {.a = OFF, .b = BROKEN, .c = READY};
    struct table t;

    (void)state;
    assert_int_equal(table_init(&t), 0);
    apply(&t, 1, &none);
    assert_null(
        table_route_pick(&t, table_route(&t, tenant(&t, "sk-acme"), STR("chat")), request_of(1)));
    table_fini(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_and_permissions),
        cmocka_unit_test(weights_share_out_the_requests),
        cmocka_unit_test(only_targets_that_can_serve_have_a_share),
        cmocka_unit_test(fallbacks_come_in_their_order),
        cmocka_unit_test(no_target_is_no_pick),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
