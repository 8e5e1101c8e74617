/* SPDX-License-Identifier: Apache-2.0 */
/* The store: changes told once, lists that take effect as a whole, indexes, refused objects. */
#include "cmocka_plain.h"

#include <string.h>

#include "base/mem.h"
#include "operator/kube/client/kube_store.h"

enum { LOG_MAX = 1 << 20, BY_NODE = 0, BY_COLOUR = 1 };

struct thing {
    char *node;
    char *colour;
};

struct world {
    struct kube_store *store;
    struct buf log;
    int decoded;
    int living; /* structs not released */
};

static int decode(void *user, const json_t *object, const struct kube_meta *meta, void **out,
                  struct err *err)
{
    struct world *w = user;
    struct thing *t;

    if (json_object_get(object, "bad") != NULL)
        return err_set(err, ERR_INVALID, "%.*s is bad", STR_ARG(meta->name));
    t = mem_alloc(sizeof(*t));
    assert_non_null(t);
    t->node = mem_strdup(json_string_value(json_object_get(object, "node")));
    t->colour = mem_strdup(json_string_value(json_object_get(object, "colour")));
    w->decoded++;
    w->living++;
    *out = t;
    return 0;
}

static void release(void *user, void *object)
{
    struct world *w = user;
    struct thing *t = object;

    w->living--;
    mem_free(t->node);
    mem_free(t->colour);
    mem_free(t);
}

static struct str by_node(const void *object)
{
    return str_of(((const struct thing *)object)->node);
}

static struct str by_colour(const void *object)
{
    return str_of(((const struct thing *)object)->colour);
}

static const struct kube_store_type type = {decode, release, {by_node, by_colour}};

static void on_change(void *user, enum kube_change change, const struct kube_entry *entry,
                      const void *before, bool unseen)
{
    static const char *const names[] = {"+", "~", "-"};
    struct world *w = user;
    const struct thing *t = entry->object;

    buf_printf(&w->log, "%s%.*s/%.*s@%s:%s%s%s%s;", names[change], STR_ARG(kube_entry_space(entry)),
               STR_ARG(kube_entry_name(entry)), kube_entry_version(entry), t->node,
               before != NULL ? " was " : "",
               before != NULL ? ((const struct thing *)before)->node : "", unseen ? " unseen" : "");
}

static void on_refused(void *user, const struct kube_meta *meta, const struct err *err)
{
    struct world *w = user;

    assert_int_equal(err->code, ERR_INVALID);
    buf_printf(&w->log, "!%.*s;", STR_ARG(meta->name));
}

static void begin(struct world *w)
{
    const struct kube_store_options options = {&type, w, on_change, on_refused};

    *w = (struct world){0};
    buf_init(&w->log, LOG_MAX);
    assert_int_equal(kube_store_new(&w->store, &options, NULL), 0);
}

static void end(struct world *w)
{
    kube_store_free(w->store);
    assert_int_equal(w->living, 0);
    buf_fini(&w->log);
}

static void logged(struct world *w, const char *expected)
{
    assert_string_equal(buf_cstr(&w->log), expected);
    buf_clear(&w->log);
}

/* "name uid version node colour" -> a tree; a bad one if there is no node. */
struct sample {
    const char *name, *uid, *version, *node, *colour;
};

static json_t *tree_of(const struct sample *s, struct kube_meta *meta)
{
    json_t *tree =
        s->node != NULL
            ? json_pack("{s{s:s,s:s,s:s,s:s},s:s,s:s}", "metadata", "name", s->name, "namespace",
                        "n", "uid", s->uid, "resourceVersion", s->version, "node", s->node,
                        "colour", s->colour != NULL ? s->colour : "")
            : json_pack("{s{s:s,s:s,s:s,s:s},s:b}", "metadata", "name", s->name, "namespace", "n",
                        "uid", s->uid, "resourceVersion", s->version, "bad", 1);

    assert_non_null(tree);
    assert_int_equal(kube_meta_read(meta, tree, NULL), 0);
    return tree;
}

static void put(struct world *w, struct sample s)
{
    struct kube_meta meta;
    json_auto_t *tree = tree_of(&s, &meta);

    assert_int_equal(kube_store_put(w->store, tree, &meta, NULL), 0);
}

static void removed(struct world *w, struct sample s)
{
    struct kube_meta meta;
    json_auto_t *tree = tree_of(&s, &meta);

    kube_store_remove(w->store, &meta);
}

static void list(struct world *w, struct sample s)
{
    struct kube_meta meta;
    json_auto_t *tree = tree_of(&s, &meta);

    assert_int_equal(kube_store_list_add(w->store, tree, &meta, NULL), 0);
}

static int index_count(const struct world *w, int index, const char *value)
{
    const struct kube_entry *e = kube_store_index_first(w->store, index, str_of(value));
    int count = 0;

    for (; e != NULL; e = kube_store_index_next(e, index))
        count++;
    return count;
}

static void tells_changes_once(void **state)
{
    struct world w;

    (void)state;
    begin(&w);
    put(&w, (struct sample){"a", "u1", "1", "x", NULL});
    logged(&w, "+n/a@1:x;");
    put(&w, (struct sample){"a", "u1", "1", "x", NULL}); /* a doubled event */
    logged(&w, "");
    assert_int_equal(w.decoded, 1);
    put(&w, (struct sample){"a", "u1", "2", "y", NULL});
    logged(&w, "~n/a@2:y was x;");
    put(&w, (struct sample){"a", "u2", "3", "z", NULL}); /* the name of another object now */
    logged(&w, "-n/a@2:y unseen;+n/a@3:z;");
    removed(&w, (struct sample){"a", "u1", "4", "y", NULL}); /* the end of the old one */
    logged(&w, "");
    removed(&w, (struct sample){"a", "u2", "5", "z", NULL});
    logged(&w, "-n/a@3:z;");
    removed(&w, (struct sample){"a", "u2", "5", "z", NULL});
    logged(&w, "");
    assert_int_equal(kube_store_count(w.store), 0);
    end(&w);
}

static void a_list_takes_effect_as_a_whole(void **state)
{
    struct world w;

    (void)state;
    begin(&w);
    put(&w, (struct sample){"same", "u1", "1", "x", NULL});
    put(&w, (struct sample){"changed", "u2", "2", "x", NULL});
    put(&w, (struct sample){"gone", "u3", "3", "x", NULL});
    put(&w, (struct sample){"renewed", "u4", "4", "x", NULL});
    buf_clear(&w.log);
    w.decoded = 0;
    kube_store_list_begin(w.store);
    list(&w, (struct sample){"same", "u1", "1", "x", NULL});
    list(&w, (struct sample){"changed", "u2", "7", "y", NULL});
    list(&w, (struct sample){"renewed", "u5", "8", "z", NULL});
    list(&w, (struct sample){"new", "u6", "9", "x", NULL});
    list(&w, (struct sample){"brief", "u7", "9", "x", NULL});
    list(&w, (struct sample){"new", "u6", "10", "w", NULL}); /* changed while it was listed */
    logged(&w, "");
    {
        struct kube_meta meta;
        json_auto_t *tree = tree_of(&(struct sample){"brief", "u7", "9", "x", NULL}, &meta);

        kube_store_list_remove(w.store, &meta);
    }
    assert_int_equal(kube_store_count(w.store), 4);
    assert_int_equal(kube_store_list_commit(w.store, NULL), 0);
    assert_non_null(strstr(buf_cstr(&w.log), "~n/changed@7:y was x;"));
    assert_non_null(strstr(buf_cstr(&w.log), "-n/renewed@4:x unseen;+n/renewed@8:z;"));
    assert_non_null(strstr(buf_cstr(&w.log), "+n/new@10:w;"));
    assert_non_null(strstr(buf_cstr(&w.log), "-n/gone@3:x unseen;"));
    assert_null(strstr(buf_cstr(&w.log), "same"));
    assert_null(strstr(buf_cstr(&w.log), "brief"));
    assert_int_equal(kube_store_count(w.store), 4);
    assert_int_equal(w.decoded, 5); /* "same" was not */
    end(&w);
}

static void an_aborted_list_changes_nothing(void **state)
{
    struct world w;

    (void)state;
    begin(&w);
    put(&w, (struct sample){"a", "u1", "1", "x", NULL});
    buf_clear(&w.log);
    kube_store_list_begin(w.store);
    list(&w, (struct sample){"a", "u1", "1", "x", NULL});
    list(&w, (struct sample){"b", "u2", "2", "x", NULL});
    kube_store_list_begin(w.store); /* drops it */
    list(&w, (struct sample){"c", "u3", "3", "x", NULL});
    kube_store_list_abort(w.store);
    logged(&w, "");
    assert_int_equal(kube_store_count(w.store), 1);
    assert_int_equal(w.living, 1);
    kube_store_list_begin(w.store);
    assert_int_equal(kube_store_list_commit(w.store, NULL), 0); /* an empty list empties it */
    logged(&w, "-n/a@1:x unseen;");
    end(&w);
}

static void refused_objects_are_left_out_alone(void **state)
{
    struct world w;

    (void)state;
    begin(&w);
    put(&w, (struct sample){"a", "u1", "1", NULL, NULL});
    logged(&w, "!a;");
    assert_int_equal(kube_store_count(w.store), 0);
    put(&w, (struct sample){"a", "u1", "2", "x", NULL});
    put(&w, (struct sample){"a", "u1", "3", NULL, NULL}); /* the last good view stays */
    logged(&w, "+n/a@2:x;!a;");
    kube_store_list_begin(w.store);
    list(&w, (struct sample){"a", "u1", "3", NULL, NULL});
    list(&w, (struct sample){"b", "u2", "4", "x", NULL});
    assert_int_equal(kube_store_list_commit(w.store, NULL), 0);
    logged(&w, "!a;+n/b@4:x;");
    assert_int_equal(kube_store_count(w.store), 2);
    end(&w);
}

static void indexes_follow(void **state)
{
    struct world w;

    (void)state;
    begin(&w);
    put(&w, (struct sample){"a", "u1", "1", "x", "red"});
    put(&w, (struct sample){"b", "u2", "2", "x", "blue"});
    put(&w, (struct sample){"c", "u3", "3", "y", NULL});
    assert_int_equal(index_count(&w, BY_NODE, "x"), 2);
    assert_int_equal(index_count(&w, BY_NODE, "y"), 1);
    assert_int_equal(index_count(&w, BY_COLOUR, "red"), 1);
    assert_int_equal(index_count(&w, BY_COLOUR, ""), 0);
    put(&w, (struct sample){"a", "u1", "4", "y", "blue"});
    assert_int_equal(index_count(&w, BY_NODE, "x"), 1);
    assert_int_equal(index_count(&w, BY_NODE, "y"), 2);
    assert_int_equal(index_count(&w, BY_COLOUR, "red"), 0);
    assert_int_equal(index_count(&w, BY_COLOUR, "blue"), 2);
    removed(&w, (struct sample){"b", "u2", "5", "x", "blue"});
    assert_int_equal(index_count(&w, BY_NODE, "x"), 0);
    kube_store_list_begin(w.store);
    list(&w, (struct sample){"c", "u3", "3", "y", NULL});
    assert_int_equal(kube_store_list_commit(w.store, NULL), 0);
    assert_int_equal(index_count(&w, BY_NODE, "y"), 1);
    assert_int_equal(index_count(&w, BY_COLOUR, "blue"), 0);
    end(&w);
}

static void finds_and_walks(void **state)
{
    struct world w;
    size_t at = 0;
    int count = 0;

    (void)state;
    begin(&w);
    for (int i = 0; i < 1000; i++) {
        char name[16], uid[16];

        snprintf(name, sizeof(name), "p%d", i);
        snprintf(uid, sizeof(uid), "u%d", i);
        put(&w, (struct sample){name, uid, "1", i % 2 ? "odd" : "even", NULL});
    }
    assert_non_null(kube_store_get(w.store, STR("n"), STR("p777")));
    assert_null(kube_store_get(w.store, STR("m"), STR("p777")));
    assert_null(kube_store_get(w.store, STR(""), STR("p777")));
    assert_null(kube_store_get(w.store, STR("n"), STR("")));
    while (kube_store_next(w.store, &at) != NULL)
        count++;
    assert_int_equal(count, 1000);
    assert_int_equal(index_count(&w, BY_NODE, "odd"), 500);
    end(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tells_changes_once),
        cmocka_unit_test(a_list_takes_effect_as_a_whole),
        cmocka_unit_test(an_aborted_list_changes_nothing),
        cmocka_unit_test(refused_objects_are_left_out_alone),
        cmocka_unit_test(indexes_follow),
        cmocka_unit_test(finds_and_walks),
    };

    json_begin();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
