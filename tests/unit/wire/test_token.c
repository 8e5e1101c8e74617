/* SPDX-License-Identifier: Apache-2.0 */
/* Internal tokens: one that holds, and every way in which one must not. */
#include "cmocka_plain.h"

#include <string.h>

#include "base/mem.h"
#include "wire/token.h"

static const struct token_claims claims = {
    .audience = "agent", .subject = "gateway/gateway-0", .issued_s = 1000, .expires_s = 2000};

static void a_token_is_accepted_within_its_time(void **state)
{
    struct token_key key;
    struct token_claims back;
    struct buf token;
    struct err err;

    (void)state;
    buf_init(&token, TOKEN_TEXT_MAX);
    assert_int_equal(token_key_make(&key, &err), 0);
    assert_int_equal(token_sign(&token, &key, &claims, &err), 0);
    assert_int_equal(token_verify(&back, buf_str(&token), key.public_key, "agent", 1500, &err), 0);
    assert_string_equal(back.subject, "gateway/gateway-0");
    assert_int_equal(token_verify(&back, buf_str(&token), key.public_key, "ledger", 1500, &err),
                     -ERR_DENIED);
    assert_int_equal(token_verify(&back, buf_str(&token), key.public_key, "agent", 2061, &err),
                     -ERR_DENIED);
    assert_int_equal(token_verify(&back, buf_str(&token), key.public_key, "agent", 900, &err),
                     -ERR_DENIED);
    buf_fini(&token);
}

static void any_changed_character_is_refused(void **state)
{
    struct token_key key;
    struct token_claims back;
    struct buf token;
    struct err err;

    (void)state;
    buf_init(&token, TOKEN_TEXT_MAX);
    assert_int_equal(token_key_make(&key, &err), 0);
    assert_int_equal(token_sign(&token, &key, &claims, &err), 0);
    for (size_t i = 0; i < token.len; i++) {
        char kept = token.ptr[i];

        token.ptr[i] = kept == 'A' ? 'B' : 'A';
        assert_int_equal(token_verify(&back, buf_str(&token), key.public_key, "agent", 1500, &err),
                         -ERR_DENIED);
        token.ptr[i] = kept;
    }
    for (size_t cut = 0; cut < token.len; cut++)
        assert_int_equal(token_verify(&back, str_slice(buf_str(&token), 0, cut), key.public_key,
                                      "agent", 1500, &err),
                         -ERR_DENIED);
    buf_fini(&token);
}

static void another_key_is_refused(void **state)
{
    struct token_key key;
    struct token_key other;
    struct token_claims back;
    struct buf token;
    struct err err;

    (void)state;
    buf_init(&token, TOKEN_TEXT_MAX);
    assert_int_equal(token_key_make(&key, &err), 0);
    assert_int_equal(token_key_make(&other, &err), 0);
    assert_int_equal(token_sign(&token, &key, &claims, &err), 0);
    assert_int_equal(token_verify(&back, buf_str(&token), other.public_key, "agent", 1500, &err),
                     -ERR_DENIED);
    assert_null(strstr(err.message, buf_cstr(&token)));
    buf_fini(&token);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_token_is_accepted_within_its_time),
        cmocka_unit_test(any_changed_character_is_refused),
        cmocka_unit_test(another_key_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
