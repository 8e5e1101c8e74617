/* SPDX-License-Identifier: Apache-2.0 */
/* Tests: what may stand behind "is", and in select and its kin. */
#include "base/mem.h"
#include "engine/text/template_calls.h"

enum test_name {
    TEST_DEFINED,
    TEST_UNDEFINED,
    TEST_NONE,
    TEST_STRING,
    TEST_NUMBER,
    TEST_INTEGER,
    TEST_FLOAT,
    TEST_BOOLEAN,
    TEST_MAPPING,
    TEST_ITERABLE,
    TEST_SEQUENCE,
    TEST_TRUE,
    TEST_FALSE,
    TEST_EQUAL,
    TEST_NOT_EQUAL,
    TEST_IN,
    TEST_ODD,
    TEST_EVEN,
};

static const struct {
    const char *name;
    enum test_name test;
} tests[] = {
    {"defined", TEST_DEFINED},
    {"undefined", TEST_UNDEFINED},
    {"none", TEST_NONE},
    {"string", TEST_STRING},
    {"number", TEST_NUMBER},
    {"integer", TEST_INTEGER},
    {"float", TEST_FLOAT},
    {"boolean", TEST_BOOLEAN},
    {"mapping", TEST_MAPPING},
    {"iterable", TEST_ITERABLE},
    {"sequence", TEST_SEQUENCE},
    {"true", TEST_TRUE},
    {"false", TEST_FALSE},
    {"equalto", TEST_EQUAL},
    {"eq", TEST_EQUAL},
    {"==", TEST_EQUAL},
    {"ne", TEST_NOT_EQUAL},
    {"!=", TEST_NOT_EQUAL},
    {"in", TEST_IN},
    {"odd", TEST_ODD},
    {"even", TEST_EVEN},
};

static int test_by_type(struct run *run, const struct node *at, enum test_name test, struct value v,
                        bool *out)
{
    switch (test) {
    case TEST_DEFINED:
        *out = v.type != VALUE_UNDEFINED;
        return 0;
    case TEST_UNDEFINED:
        *out = v.type == VALUE_UNDEFINED;
        return 0;
    case TEST_NONE:
        *out = v.type == VALUE_NONE;
        return 0;
    case TEST_STRING:
        *out = v.type == VALUE_TEXT;
        return 0;
    case TEST_NUMBER: /* Python counts booleans among them */
        *out = v.type == VALUE_INT || v.type == VALUE_REAL || v.type == VALUE_BOOL;
        return 0;
    case TEST_INTEGER:
        *out = v.type == VALUE_INT;
        return 0;
    case TEST_FLOAT:
        *out = v.type == VALUE_REAL;
        return 0;
    case TEST_BOOLEAN:
        *out = v.type == VALUE_BOOL;
        return 0;
    case TEST_MAPPING:
        *out = v.type == VALUE_DICT;
        return 0;
    case TEST_ITERABLE:
    case TEST_SEQUENCE:
        *out = v.type == VALUE_LIST || v.type == VALUE_DICT || v.type == VALUE_TEXT ||
               v.type == VALUE_UNDEFINED;
        return 0;
    case TEST_TRUE:
        *out = v.type == VALUE_BOOL && v.boolean;
        return 0;
    case TEST_FALSE:
        *out = v.type == VALUE_BOOL && !v.boolean;
        return 0;
    case TEST_ODD:
    case TEST_EVEN:
        if (v.type != VALUE_INT)
            break;
        *out = (v.integer % 2 != 0) == (test == TEST_ODD);
        return 0;
    default:
        break;
    }
    return run_fault(run, at, ERR_INVALID, "odd and even need an integer, not %s",
                     value_type_name(v));
}

bool template_knows_test(struct str name)
{
    for (size_t i = 0; i < ARRAY_COUNT(tests); i++) {
        if (str_is(name, tests[i].name))
            return true;
    }
    return false;
}

int run_test(struct run *run, const struct node *at, struct str name, struct value subject,
             const struct arguments *args, bool *out)
{
    const struct value *other = argument_get(args, 0, NULL);

    for (size_t i = 0; i < ARRAY_COUNT(tests); i++) {
        enum test_name test = tests[i].test;

        if (!str_is(name, tests[i].name))
            continue;
        if (test != TEST_EQUAL && test != TEST_NOT_EQUAL && test != TEST_IN)
            return test_by_type(run, at, test, subject, out);
        if (other == NULL)
            return run_fault(run, at, ERR_INVALID, "test '%.*s' needs an argument", STR_ARG(name));
        if (test == TEST_IN)
            return run_in(run, at, subject, *other, out);
        *out = value_equal(subject, *other, &run->steps) == (test == TEST_EQUAL);
        return run_charge(run, at, 0);
    }
    return run_fault(run, at, ERR_UNSUPPORTED, "test '%.*s' is not supported",
                     STR_ARG(str_slice(name, 0, 64)));
}
