/* SPDX-License-Identifier: Apache-2.0 */
/* The index of rows says what a walk over all of them says. */
#include "base/mem.h"
#include "cmocka_plain.h"
#include "crd/kinds.h"

static void assert_members(const struct crd_kind *kind, const char *path)
{
    struct crd_members members = crd_members(kind, str_of(path));
    const struct crd_field *row;
    size_t found = 0;

    for (size_t i = 0; (row = crd_field_at(kind, i)) != NULL; i++) {
        const char *name = crd_field_name_below(row, path);

        if (name == NULL)
            continue;
        assert_true(found < members.count);
        assert_ptr_equal(members.all[found].field, row);
        assert_string_equal(members.all[found].name, name);
        found++;
    }
    assert_int_equal(found, members.count);
}

static void each_row_is_found_with_what_is_below_it(void **state)
{
    (void)state;
    for (size_t k = 0; k < CRD_KIND_COUNT; k++) {
        const struct crd_field *row;

        assert_members(crd_kinds[k], "");
        for (size_t i = 0; (row = crd_field_at(crd_kinds[k], i)) != NULL; i++) {
            assert_ptr_equal(crd_field_find(crd_kinds[k], str_of(row->path)), row);
            assert_members(crd_kinds[k], row->path);
        }
    }
}

static void members_are_in_the_order_of_the_table(void **state)
{
    struct crd_members top = crd_members(&crd_kind_tenant, STR(""));

    (void)state;
    assert_int_equal(top.count, 5);
    assert_string_equal(top.all[0].name, "apiVersion");
    assert_string_equal(top.all[3].name, "spec");
    assert_string_equal(top.all[4].name, "status");
}

static void a_path_of_no_row_has_nothing(void **state)
{
    static const char *const paths[] = {"sp", "spec.", "spec.keys[0]", "spec.nothing",
                                        "status.pods"};

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(paths); i++) {
        assert_null(crd_field_find(&crd_kind_tenant, str_of(paths[i])));
        assert_int_equal(crd_members(&crd_kind_tenant, str_of(paths[i])).count, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_row_is_found_with_what_is_below_it),
        cmocka_unit_test(members_are_in_the_order_of_the_table),
        cmocka_unit_test(a_path_of_no_row_has_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
