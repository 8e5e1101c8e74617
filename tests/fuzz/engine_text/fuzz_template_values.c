/* SPDX-License-Identifier: Apache-2.0 */
/* The values of a rendering: messages and variables of any shape in a template that asks much of
 * them. */
#include <stdlib.h>

#include "base/json.h"
#include "base/mem.h"
#include "engine/text/template.h"
#include "fuzz_target.h"

enum { OUTPUT_MAX = 1 << 20 };

static const char source[] =
    "{% macro show(v, n=3) %}{% if v is string %}{{ v | trim }}{% elif v is mapping %}"
    "{% for k, w in v | items %}{{ k }}={{ show(w) }}{% endfor %}{% else %}{{ v | tojson }}"
    "{% endif %}{% endmacro %}{% set ns = namespace(system='') %}"
    "{% for m in messages %}{% if m['role'] == 'system' %}{% set ns.system = m['content'] %}"
    "{% endif %}{{ loop.index0 }}{{ m.role }}{% set content = m.content %}"
    "{% if content is string and '</think>' in content %}"
    "{{ content.split('</think>')[-1].lstrip('\\n') }}{% else %}{{ show(content) }}{% endif %}"
    "{% for t in m.tool_calls %}{{ t.function.arguments | tojson(indent=2) }}{% endfor %}"
    "{% endfor %}{{ ns.system ~ x ~ y[1:] ~ y[::-1] ~ (y | join(',')) ~ (y | length) }}"
    "{{ x < z or x == y }}{{ messages | selectattr('role', 'eq', 'user') | list | length }}"
    "{{ x + z * 2 - z // 3 }}";

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    CLEANUP(template_freep) struct template *t = NULL;
    CLEANUP(buf_fini) struct buf out = {0};
    json_auto_t *root = NULL;
    struct err err = {0};

    buf_init(&out, OUTPUT_MAX);
    if (json_read(&root, (struct str){(const char *)data, size}, &json_limits_default, "values",
                  &err) < 0)
        return 0;
    if (template_compile(&t, STR(source), "template", &err) < 0)
        abort();
    struct template_input input = {.messages = json_object_get(root, "messages"), .extra = root};

    if (template_render(t, &input, &out, &err) == 0 && !utf8_valid(buf_str(&out)))
        abort();
    return 0;
}
