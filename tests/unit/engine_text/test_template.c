/* SPDX-License-Identifier: Apache-2.0 */
/* The template interpreter: what it does, what it refuses, and that it always ends. */
#include <string.h>

#include "cmocka_plain.h"

#include "base/json.h"
#include "base/mem.h"
#include "engine/text/template.h"

enum { OUTPUT_MAX = 1 << 20 };

static const char input_json[] =
    "{\"messages\": [{\"role\": \"user\", \"content\": \" hi \\u00e9 \"},"
    " {\"role\": \"assistant\", \"content\": \"<think>a</think>b\", \"n\": 3,"
    "  \"tool_calls\": [{\"name\": \"f\", \"args\": {\"x\": [1, 2.5, null, true, \"q\\\"\"]}}]}],"
    " \"extra\": {\"flag\": true, \"word\": \"abc\", \"list\": [3, 1, 2], \"map\": {\"k\": "
    "\"v\"}}}";

static int render(struct str source, struct buf *out, struct err *err)
{
    CLEANUP(template_freep) struct template *t = NULL;
    json_auto_t *root = NULL;
    struct clock_manual clock;
    struct template_input input;
    int r = json_read(&root, STR(input_json), &json_limits_default, "input", err);

    clock_manual_init(&clock, 1795359845123); /* 2026-11-22T15:04:05Z */
    assert_true(r == 0 || r == -ERR_NO_MEMORY || r == -ERR_SYNTAX);
    if (r < 0)
        return -ERR_NO_MEMORY;
    r = template_compile(&t, source, "chat template", err);
    if (r < 0)
        return r;
    input = (struct template_input){
        .messages = json_object_get(root, "messages"),
        .extra = json_object_get(root, "extra"),
        .add_generation_prompt = true,
        .bos_token = STR("<s>"),
        .clock = &clock.clock,
    };
    return template_render(t, &input, out, err);
}

static void renderings_are_jinjas(void **state)
{
    static const struct {
        const char *source;
        const char *expected;
    } cases[] = {
        {"", ""},
        {"plain\n", "plain"},
        {"a\r\nb\n\n", "a\nb\n"},
        {"{{ bos_token }}{{ missing }}.", "<s>."},
        /* white space */
        {"a\n  {% if flag %}\n  b\n  {% endif %}\nc", "a\n  b\nc"},
        {"a\n  {%- if flag -%}\n  b\n  {%- endif %}\nc", "abc"},
        {"a \n {{- 1 -}} \n b", "a1b"},
        {"a\n  {# note #}\nb", "a\nb"},
        {"a {# x -#}  b", "a b"},
        {"  {%+ if flag %}x{% endif +%}\ny", "  x\ny"},
        {"x {% if flag %} y{% endif %}", "x  y"},
        {"{% if flag %}\n\n{% endif %}|", "\n|"},
        /* literals and operators */
        {"{{ 'a\\n\\'b\\u00e9\\x41\\d' }}", "a\n'b\xc3\xa9"
                                            "A\\d"},
        {"{{ 'a' \"b\" }}", "ab"},
        {"{{ 1 + 2 * 3 - 4 // 3 }} {{ 7 % 4 }} {{ -7 // 2 }} {{ 7 / 2 }}", "6 3 -4 3.5"},
        {"{{ 1 ~ 'a' ~ none ~ true }}", "1aNoneTrue"},
        {"{{ [1, 'a', none, 2.0] }} {{ (1,) }} {{ {'a': 1} }}",
         "[1, 'a', None, 2.0] (1,) {'a': 1}"},
        {"{{ 1 < 2 < 3 and not 2 > 3 }} {{ 'a' in word }} {{ 9 not in list }}", "True True True"},
        {"{{ 'x' if flag else 'y' }}{{ 'z' if not flag }}", "x"},
        {"{{ 0 or 'd' }} {{ '' and 1 }}", "d "},
        {"{{ list[-1] }} {{ list[1:] }} {{ list[::-1] }} {{ word[1:] }} {{ word[-1] }}",
         "2 [1, 2] [2, 1, 3] bc c"},
        {"{{ map.k }} {{ map['k'] }} {{ map.z is defined }}", "v v False"},
        {"{{ messages[0].content | trim | length }}", "4"},
        {"{{ not missing is defined }}", "True"},
        /* blocks */
        {"{% for m in messages %}{{ loop.index }}{{ m.role[0] }}{{ loop.last }} {% endfor %}",
         "1uFalse 2aTrue "},
        {"{% for x in list if x > 1 %}{{ x }}{{ loop.length }}{% endfor %}", "3222"},
        {"{% for x in [] %}a{% else %}none{% endfor %}", "none"},
        {"{% for k, v in map.items() %}{{ k }}={{ v }}{% endfor %}", "k=v"},
        {"{% for x in list %}{% if x == 1 %}{% continue %}{% endif %}{{ x }}"
         "{% if x == 2 %}{% break %}{% endif %}{% endfor %}",
         "32"},
        {"{% set x = 1 %}{% for i in list %}{% set x = 2 %}{% endfor %}{{ x }}", "1"},
        {"{% set ns = namespace(n=0) %}{% for i in list %}{% set ns.n = ns.n + i %}{% endfor %}"
         "{{ ns.n }}",
         "6"},
        {"{% set x %}a{{ 1 }}{% endset %}[{{ x }}]", "[a1]"},
        {"{% set a, b = [1, 2] %}{{ b }}{{ a }}", "21"},
        {"{% if missing %}a{% elif flag %}b{% else %}c{% endif %}", "b"},
        {"{% macro f(a, b='x') %}<{{ a }}{{ b }}>{% endmacro %}{{ f(1) }}{{ f(2, b=3) }}",
         "<1x><23>"},
        {"{% macro f() -%} y {%- endmacro %}{{ f() + 'z' }}", "yz"},
        /* filters, tests, methods */
        {"{{ messages[1].content.split('</think>')[-1] }}", "b"},
        {"{{ ' a b '.strip() }}|{{ 'xxaxx'.strip('x') }}|{{ 'a b  c'.split() }}",
         "a b|a|['a', 'b', 'c']"},
        {"{{ 'abc'.startswith('ab') }} {{ 'abc'.endswith(('x', 'c')) }}", "True True"},
        {"{{ 'aXbX'.replace('X', '--') }} {{ 'ab' | upper }} {{ 'ab cd' | title }}",
         "a--b-- AB Ab Cd"},
        {"{{ messages[1].tool_calls[0].args | tojson }}",
         "{\"x\": [1, 2.5, null, true, \"q\\\"\"]}"},
        {"{{ {'a': [], 'b': {}, 'c': [1]} | tojson(indent=2) }}",
         "{\n  \"a\": [],\n  \"b\": {},\n  \"c\": [\n    1\n  ]\n}"},
        {"{{ missing | default('d') }} {{ '' | default('e', true) }}", "d e"},
        {"{{ list | join('-') }} {{ list | first }} {{ list | last }}", "3-1-2 3 2"},
        {"{{ messages | selectattr('role', 'equalto', 'user') | list | length }}", "1"},
        {"{{ messages | map(attribute='role') | join(',') }}", "user,assistant"},
        {"{{ list | reject('equalto', 1) | join }}", "32"},
        {"{{ word is string }} {{ list is string }} {{ map is mapping }} {{ 3 is odd }}",
         "True False True True"},
        {"{{ none is none }} {{ flag is true }} {{ messages is iterable }} {{ tools is not none }}",
         "True True True False"},
        {"{{ strftime_now('%d %b %Y %H:%M:%S %A %j') }}", "22 Nov 2026 15:04:05 Sunday 326"},
        {"{% for i in range(3) %}{{ i }}{% endfor %}", "012"},
        {"{% generation %}x{% endgeneration %}", "x"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        CLEANUP(buf_fini) struct buf out = {0};
        struct err err = {0};

        buf_init(&out, OUTPUT_MAX);
        if (render(str_of(cases[i].source), &out, &err) < 0)
            fail_msg("%s: %s", cases[i].source, err.message);
        if (!str_is(buf_str(&out), cases[i].expected))
            fail_msg("%s: '%s', not '%s'", cases[i].source, buf_cstr(&out), cases[i].expected);
    }
}

struct refusal {
    const char *source;
    int code;
    const char *says;
};

static void refuse_all(const struct refusal *cases, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        CLEANUP(buf_fini) struct buf out = {0};
        struct err err = {0};
        int r;

        buf_init(&out, OUTPUT_MAX);
        r = render(str_of(cases[i].source), &out, &err);
        if (r != -cases[i].code || strstr(err.message, cases[i].says) == NULL ||
            strstr(err.message, "chat template") == NULL || strchr(err.message, '\n') != NULL)
            fail_msg("%s: %d %s", cases[i].source, r, err.message);
    }
}

static void what_is_outside_is_refused_with_its_line(void **state)
{
    static const struct refusal cases[] = {
        {"\n\n{% include 'x' %}", ERR_UNSUPPORTED, "line 3: block 'include' is not supported"},
        {"{% extends 'x' %}", ERR_UNSUPPORTED, "line 1: block 'extends'"},
        {"{% import 'os' as os %}", ERR_UNSUPPORTED, "block 'import'"},
        {"{{ x | attr('y') }}", ERR_UNSUPPORTED, "filter 'attr' is not supported"},
        {"{{ x is callable }}", ERR_UNSUPPORTED, "test 'callable' is not supported"},
        {"{{ x.__class__() }}", ERR_UNSUPPORTED, "method .__class__() is not supported"},
        {"{{ cycler() }}", ERR_UNSUPPORTED, "function 'cycler' is not supported"},
        {"{{ x()() }}", ERR_UNSUPPORTED, "calling the result"},
        {"{{ f(*x) }}", ERR_UNSUPPORTED, "unpacking"},
        {"{{ 2 ** 3 }}", ERR_UNSUPPORTED, "operator **"},
        {"{% for x in y recursive %}{% endfor %}", ERR_UNSUPPORTED, "recursive"},
        {"{% if x %}", ERR_SYNTAX, "'endif' is missing"},
        {"{% for x in y %}{% endif %}", ERR_SYNTAX, "'endif' has no block"},
        {"{% for in y %}{% endfor %}", ERR_SYNTAX, "line 1"},
        {"{% endfor %}", ERR_SYNTAX, "'endfor' has no block"},
        {"{% break %}", ERR_SYNTAX, "'break' stands outside of a loop"},
        {"{{ 'x }}", ERR_SYNTAX, "never closed"},
        {"{{ x ", ERR_SYNTAX, "ends within a tag"},
        {"{# x ", ERR_SYNTAX, "the comment is never closed"},
        {"{{ (1, 2 }}", ERR_SYNTAX, "line 1"},
        {"{{ 1 + }}", ERR_SYNTAX, "a value is expected, not the end of the tag"},
        {"{{ a b }}", ERR_SYNTAX, "}} is expected, not 'b'"},
        {"{{ a ? b }}", ERR_SYNTAX, "character 0x3f"},
        {"{{ 99999999999999999999 }}", ERR_SYNTAX, "out of range"},
        {"{% set 1 = 2 %}", ERR_SYNTAX, "a name is expected, not '1'"},
        {"\xff", ERR_SYNTAX, "not valid UTF-8"},
    };

    (void)state;
    refuse_all(cases, ARRAY_COUNT(cases));
}

static void faults_of_rendering_have_their_line(void **state)
{
    static const struct refusal cases[] = {
        {"{{ raise_exception('no ' ~ 'way') }}", ERR_INVALID, "refuses the messages: no way"},
        {"\n{{ missing.x }}", ERR_INVALID, "line 2: 'missing' is undefined"},
        {"{{ messages[9].role }}", ERR_INVALID, "undefined"},
        {"{{ 'a' + 1 }}", ERR_INVALID, "a string + a number is not possible"},
        {"{{ 'a' + messages[0].nothing }}", ERR_INVALID, "'nothing' is undefined"},
        {"{{ 1 // 0 }}", ERR_INVALID, "division by zero"},
        {"{{ 9223372036854775807 + 1 }}", ERR_INVALID, "too large"},
        {"{{ list[::0] }}", ERR_INVALID, "must not be 0"},
        {"{{ 1 | join }}", ERR_INVALID, "cannot be gone through"},
        {"{% set word.x = 1 %}", ERR_INVALID, "no namespace"},
        {"{{ loop.index }}", ERR_INVALID, "'loop' is used outside"},
        {"{{ strftime_now('%Q') }}", ERR_UNSUPPORTED, "'%Q'"},
        {"{{ missing() if false else word() }}", ERR_UNSUPPORTED, "function 'missing'"},
    };

    (void)state;
    refuse_all(cases, ARRAY_COUNT(cases));
}

/* Whatever the template says, a rendering ends: time, memory, depth and output have limits. */
static void endless_templates_end(void **state)
{
    static const struct refusal cases[] = {
        {"{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", ERR_LIMIT, "does a macro call itself"},
        {"{% set r = range(60000) %}{% for a in r %}{% for b in r %}{% endfor %}{% endfor %}",
         ERR_LIMIT, "steps"},
        {"{% set r = range(60000) %}{% for a in r %}{{ r | reject('==', -1) | length }}{% endfor "
         "%}",
         ERR_LIMIT, ""},
        {"{{ range(99999999) }}", ERR_LIMIT, "range has more than"},
        {"{% set ns = namespace(s='aaaaaaaaaaaaaaaa') %}{% for a in range(60) %}"
         "{% set ns.s = ns.s + ns.s %}{% endfor %}",
         ERR_LIMIT, "need more than"},
        {"{% for a in range(60000) %}{% for b in range(60000) %}aaaaaaaaaaaaaaaaaaaaaaaaaaa"
         "{% endfor %}{% endfor %}",
         ERR_LIMIT, ""},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        CLEANUP(buf_fini) struct buf out = {0};
        struct err err = {0};

        buf_init(&out, OUTPUT_MAX);
        if (render(str_of(cases[i].source), &out, &err) != -ERR_LIMIT ||
            strstr(err.message, cases[i].says) == NULL)
            fail_msg("%s: %s", cases[i].source, err.message);
    }
}

static void deep_templates_are_refused(void **state)
{
    static const struct {
        const char *begin;
        const char *repeated;
    } cases[] = {
        {"{{ ", "("},       {"{{ ", "["},    {"{{ ", "not "}, {"{{ ", "-"},
        {"{{ ", "{1:"},     {"{{ ", "1 + "}, {"{{ ", "a.b["}, {"{{ ", "x if 1 else "},
        {"", "{% if 1 %}"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        CLEANUP(buf_fini) struct buf source = {0};
        CLEANUP(buf_fini) struct buf out = {0};
        struct err err = {0};

        buf_init(&source, TEMPLATE_SOURCE_BYTES_MAX);
        buf_init(&out, OUTPUT_MAX);
        buf_append_text(&source, cases[i].begin);
        for (int k = 0; k < 50000; k++)
            buf_append_text(&source, cases[i].repeated);
        buf_append_text(&source, "1 }}");
        if (render(buf_str(&source), &out, &err) != -ERR_LIMIT)
            fail_msg("%s: %s", cases[i].repeated, err.message);
    }
}

static void every_failing_allocation_is_survived(void **state)
{
    static const char source[] =
        "{% macro f(a) %}{{ a | tojson }}{% endmacro %}{% set ns = namespace(x=1) %}"
        "{% for m in messages %}{% set ns.y = m.content.split('a') %}{{ f(m) }}{{ ns.y | join }}"
        "{{ [1, {'a': 'b' + m.role}] }}{% endfor %}{{ 'a' 'b' | upper }}";

    (void)state;
    for (int64_t n = 0;; n++) {
        CLEANUP(buf_fini) struct buf out = {0};
        struct err err = {0};
        int r;

        buf_init(&out, OUTPUT_MAX);
        mem_fail_after(n);
        r = render(STR(source), &out, &err);
        mem_fail_after(-1);
        /* A buffer does not say which of the two stopped it. */
        if (r != 0 && r != -ERR_NO_MEMORY && r != -ERR_LIMIT)
            fail_msg("allocation %d: %s", (int)n, err.message);
        if (r == 0) {
            assert_true(n > 4);
            return;
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(renderings_are_jinjas),
        cmocka_unit_test(what_is_outside_is_refused_with_its_line),
        cmocka_unit_test(faults_of_rendering_have_their_line),
        cmocka_unit_test(endless_templates_end),
        cmocka_unit_test(deep_templates_are_refused),
        cmocka_unit_test(every_failing_allocation_is_survived),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
