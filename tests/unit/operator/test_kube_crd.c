/* SPDX-License-Identifier: Apache-2.0 */
/* Our own objects from the API: what can't be read is kept, and what was known of it is not lost.
 */
#include "cmocka_plain.h"

#include "base/json.h"
#include "base/mem.h"
#include "operator/kube/kube_crd.h"

static struct kube_custom *read_tenant(const char *namespaces)
{
    CLEANUP(buf_fini) struct buf text = {0};
    struct kube_meta meta = {0};
    struct kube_custom *custom = NULL;
    json_auto_t *tree = NULL;

    buf_init(&text, 4096);
    buf_printf(&text,
               "{\"apiVersion\":\"spate.dev/v1alpha1\",\"kind\":\"Tenant\",\"metadata\":{\"name\":"
               "\"acme\",\"uid\":\"u\",\"resourceVersion\":\"7\",\"generation\":1,"
               "\"creationTimestamp\":\"2026-11-22T00:00:00Z\"},\"spec\":{\"namespaces\":%s}}",
               namespaces);
    assert_int_equal(json_read(&tree, buf_str(&text), &json_limits_default, "test", NULL), 0);
    assert_int_equal(kube_crd_read(&custom, tree, crd_kinds[CRD_TENANT], &meta, NULL), 0);
    return custom;
}

static void an_unreadable_object_is_kept(void **state)
{
    struct kube_custom *bad = read_tenant("7");

    (void)state;
    assert_null(bad->object);
    assert_non_null(bad->fault);
    kube_crd_follow(bad, NULL);
    assert_null(kube_crd_known(bad)); /* nobody was told of it, so nobody is told that it went */
    kube_crd_free(bad);
}

static void what_was_readable_is_remembered(void **state)
{
    struct kube_custom *good = read_tenant("[\"a\"]");
    struct kube_custom *bad = read_tenant("7");
    struct kube_custom *worse = read_tenant("8");
    struct kube_custom *mended = read_tenant("[\"b\"]");

    (void)state;
    assert_ptr_equal(kube_crd_known(good), good->object);
    kube_crd_follow(bad, good);
    assert_ptr_equal(kube_crd_known(bad), good->object);
    kube_crd_follow(worse, bad); /* over any number of unreadable ones */
    assert_ptr_equal(kube_crd_known(worse), good->object);
    kube_crd_free(bad);
    kube_crd_free(good);
    assert_string_equal(kube_crd_known(worse)->name, "acme");
    kube_crd_follow(mended, worse);
    assert_ptr_equal(kube_crd_known(mended), mended->object);
    kube_crd_free(worse);
    kube_crd_free(mended);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_unreadable_object_is_kept),
        cmocka_unit_test(what_was_readable_is_remembered),
    };

    json_begin();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
