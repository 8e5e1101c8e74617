/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Renders chat templates for the parity scripts: one JSON object a line on standard input, with
 * template, messages, and optionally tools, extra, add_generation_prompt, bos_token, eos_token and
 * now_ms. Writes one line for each: {"text": ...} or {"error": ...}.
 */
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "engine/text/template.h"

enum { LINE_BYTES_MAX = 32 << 20, TEXT_BYTES_MAX = 32 << 20 };

static int render(const json_t *c, struct buf *out, struct err *err)
{
    CLEANUP(template_freep) struct template *t = NULL;
    struct clock_manual clock;
    struct template_input input = {
        .messages = json_object_get(c, "messages"),
        .tools = json_object_get(c, "tools"),
        .extra = json_object_get(c, "extra"),
        .add_generation_prompt = json_is_true(json_object_get(c, "add_generation_prompt")),
        .bos_token = json_str(json_object_get(c, "bos_token")),
        .eos_token = json_str(json_object_get(c, "eos_token")),
        .clock = json_object_get(c, "now_ms") == NULL ? NULL : &clock.clock,
    };
    int r = template_compile(&t, json_str(json_object_get(c, "template")), "template", err);

    clock_manual_init(&clock, json_integer_value(json_object_get(c, "now_ms")));
    return r < 0 ? r : template_render(t, &input, out, err);
}

static int answer(struct str line)
{
    CLEANUP(buf_fini) struct buf text = {0};
    CLEANUP(buf_fini) struct buf reply = {0};
    json_auto_t *c = NULL;
    struct json_writer w;
    struct err err = {0};
    int r = json_read(&c, line, &json_limits_default, "standard input", &err);

    buf_init(&text, TEXT_BYTES_MAX);
    buf_init(&reply, 2 * (size_t)TEXT_BYTES_MAX);
    if (r >= 0)
        r = render(c, &text, &err);
    json_writer_init(&w, &reply);
    json_open(&w, '{');
    if (r < 0)
        json_put_text(&w, "error", err_message(&err));
    else
        json_put_str(&w, "text", buf_str(&text));
    json_close(&w, '}');
    if (reply.failed)
        return -1;
    printf("%.*s\n", STR_ARG(buf_str(&reply)));
    return 0;
}

int main(void)
{
    char *line = NULL; /* getline's own */
    size_t cap = 0;
    ssize_t length;

    while ((length = getline(&line, &cap, stdin)) > 0) {
        if (length > LINE_BYTES_MAX || answer(str_trim((struct str){line, (size_t)length})) < 0) {
            fprintf(stderr, "spate-render: a line is too long\n");
            return 1;
        }
    }
    return 0;
}
