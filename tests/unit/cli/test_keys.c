/* SPDX-License-Identifier: Apache-2.0 */
/* API keys: their form, and adding and removing them in a Tenant. */
#include <string.h>

#include "base/mem.h"
#include "cli/keys.h"
#include "cmocka_plain.h"

static void keys_have_their_form(void **state)
{
    struct rng_seeded rng;
    struct key key;
    struct key again;

    (void)state;
    rng_seeded_init(&rng, 1);
    assert_int_equal(key_make(&key, &rng.rng, NULL), 0);
    assert_int_equal(strlen(key.text), strlen("sk-spate-") + 43);
    assert_int_equal(strncmp(key.text, "sk-spate-", 9), 0);
    assert_int_equal(strlen(key.sha256), SHA256_HEX_LEN);
    key_of_text(&again, key.text);
    assert_string_equal(again.sha256, key.sha256);
    assert_int_equal(key_make(&again, &rng.rng, NULL), 0);
    assert_string_not_equal(again.text, key.text);
    key_of_text(&again, "abc");
    assert_string_equal(again.sha256,
                        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

static void tenants_hold_keys(void **state)
{
    json_auto_t *tenant = json_pack("{s:{}}", "spec");

    (void)state;
    assert_false(key_is_listed(tenant, "aa"));
    assert_int_equal(key_add(tenant, "one", "aa", NULL), 0);
    assert_int_equal(key_add(tenant, "two", "bb", NULL), 0);
    assert_int_equal(key_add(tenant, "one", "cc", NULL), -ERR_EXISTS);
    assert_true(key_is_listed(tenant, "aa"));
    assert_int_equal(key_remove(tenant, "one", NULL), 0);
    assert_false(key_is_listed(tenant, "aa"));
    assert_true(key_is_listed(tenant, "bb"));
    assert_int_equal(key_remove(tenant, "one", NULL), -ERR_NOT_FOUND);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_have_their_form),
        cmocka_unit_test(tenants_hold_keys),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
