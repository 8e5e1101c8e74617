/* SPDX-License-Identifier: Apache-2.0 */
/* Records of pods: every text comes back, none is kept twice, and the last reference frees. */
#include "memory_check.h"

#include <string.h>

#include "operator/platform.h"

static const struct pod_facts usual = {
    .name_space = STR("team"),
    .name = STR("brook-0123456789-7"),
    .uid = STR("0b992dcb-0ab2"),
    .owner_name = STR("brook"),
    .owner_uid = STR("8d2c"),
    .template_hash = STR("0123456789"),
    .address = STR("10.77.1.5:8000"),
    .ordinal = 7,
    .created_ms = 1795341600000,
    .restarts = 2,
};

static void is(const struct pod_record *record, enum pod_text which, struct str text)
{
    if (!str_eq(pod_record_text(record, which), text))
        fail_msg("text %d: '%.*s'", (int)which, STR_ARG(pod_record_text(record, which)));
}

static void is_all(const struct pod_record *record, const struct pod_facts *facts)
{
    is(record, POD_NAME_SPACE, facts->name_space);
    is(record, POD_NAME, facts->name);
    is(record, POD_UID, facts->uid);
    is(record, POD_OWNER_UID, facts->owner_uid);
    is(record, POD_TEMPLATE_HASH, facts->template_hash);
    is(record, POD_ADDRESS, facts->address);
    assert_true(str_eq(pod_record_owner_name(record), facts->owner_name));
    assert_int_equal(record->ordinal, facts->ordinal);
    assert_int_equal(record->created_ms, facts->created_ms);
    assert_int_equal(record->restarts, facts->restarts);
}

static size_t bytes_of(const struct pod_record *record)
{
    size_t end = 0;

    for (int i = 0; i < POD_TEXT_COUNT; i++) {
        if ((size_t)record->parts[i].at + record->parts[i].len > end)
            end = (size_t)record->parts[i].at + record->parts[i].len;
    }
    return end;
}

static void every_text_comes_back(void **state)
{
    struct pod_record *record = NULL;

    (void)state;
    assert_int_equal(pod_record_new(&record, &usual, NULL), 0);
    is_all(record, &usual);
    is(record, POD_OWNER_KEY, STR("team/brook"));
    assert_int_equal(bytes_of(record), strlen("team/brook-0123456789-7"
                                              "0b992dcb-0ab2"
                                              "8d2c"
                                              "10.77.1.5:8000"));
    pod_record_unref(record);
}

/* Names that do not follow from each other, and texts that are not there. */
static void unusual_pods_are_as_good(void **state)
{
    struct pod_facts rows[] = {usual, usual, {.name = STR("p")}, {.name_space = STR("t")}};

    (void)state;
    rows[0].name = STR("by-hand");
    rows[1].owner_name = STR_NONE;
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct pod_record *record = NULL;

        assert_int_equal(pod_record_new(&record, &rows[i], NULL), 0);
        is_all(record, &rows[i]);
        assert_int_equal(pod_record_text(record, POD_OWNER_KEY).len == 0,
                         rows[i].owner_name.len == 0);
        pod_record_unref(record);
    }
}

static void the_last_reference_frees(void **state)
{
    struct pod_record *record = NULL;

    (void)state;
    assert_int_equal(pod_record_new(&record, &usual, NULL), 0);
    assert_int_equal(record->references, 1);
    assert_ptr_equal(pod_record_ref(record), record);
    pod_record_unref(record);
    is_all(record, &usual); /* ASan sees it if this one is gone, or the next one stays */
    pod_record_unref(record);
    pod_record_unref(NULL);
}

static void the_longest_texts_come_back(void **state)
{
    static char texts[7][POD_RECORD_TEXT_MAX + 1];
    struct pod_record *record = NULL;
    struct pod_facts facts = {.ordinal = 1};
    struct str *places[] = {&facts.name_space, &facts.name,      &facts.uid,
                            &facts.owner_name, &facts.owner_uid, &facts.template_hash,
                            &facts.address};

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(places); i++) {
        memset(texts[i], 'a' + (int)i, POD_RECORD_TEXT_MAX);
        *places[i] = str_of(texts[i]);
    }
    assert_int_equal(pod_record_new(&record, &facts, NULL), 0);
    is_all(record, &facts);
    pod_record_unref(record);
}

static void too_long_a_text_is_refused(void **state)
{
    static char text[POD_RECORD_TEXT_MAX + 2];
    struct pod_facts facts;
    const struct {
        struct str *place;
        const char *fault;
    } rows[] = {
        {&facts.name_space, "the namespace of a pod is longer than 253 bytes"},
        {&facts.name, "the name of a pod is longer than 253 bytes"},
        {&facts.uid, "the uid of a pod is longer than 253 bytes"},
        {&facts.owner_name, "the owner's name of a pod is longer than 253 bytes"},
        {&facts.owner_uid, "the owner's uid of a pod is longer than 253 bytes"},
        {&facts.template_hash, "the template hash of a pod is longer than 253 bytes"},
        {&facts.address, "the address of a pod is longer than 253 bytes"},
    };

    (void)state;
    memset(text, 'x', sizeof(text) - 1);
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct pod_record *record = NULL;
        struct err err = {0};

        facts = usual;
        *rows[i].place = str_of(text);
        assert_int_equal(pod_record_new(&record, &facts, &err), -ERR_LIMIT);
        assert_string_equal(err_message(&err), rows[i].fault);
        assert_null(record);
    }
}

static int make(struct err *err)
{
    struct pod_record *record = NULL;
    int r = pod_record_new(&record, &usual, err);

    pod_record_unref(record);
    return r;
}

static void memory_may_run_out(void **state)
{
    (void)state;
    memory_check("pod_record", make);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_text_comes_back),       cmocka_unit_test(unusual_pods_are_as_good),
        cmocka_unit_test(the_last_reference_frees),    cmocka_unit_test(too_long_a_text_is_refused),
        cmocka_unit_test(the_longest_texts_come_back), cmocka_unit_test(memory_may_run_out),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
