/* SPDX-License-Identifier: Apache-2.0 */
/* The source of a chat template: compiled, and rendered where that succeeds. */
#include <stdlib.h>

#include "base/json.h"
#include "base/mem.h"
#include "engine/text/template.h"
#include "fuzz_target.h"

enum { OUTPUT_MAX = 1 << 20 };

static const char messages_json[] =
    "[{\"role\": \"system\", \"content\": \"S\"}, {\"role\": \"user\", \"content\": \" hi "
    "\\u00e9\"},"
    " {\"role\": \"assistant\", \"content\": \"<think>a</think>b\", \"tool_calls\": [{\"function\":"
    " {\"name\": \"f\", \"arguments\": {\"x\": [1, 2.5, null, true]}}}]}]";

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    CLEANUP(template_freep) struct template *t = NULL;
    CLEANUP(buf_fini) struct buf out = {0};
    json_auto_t *messages = NULL;
    struct clock_manual clock;
    struct err err = {0};

    buf_init(&out, OUTPUT_MAX);
    clock_manual_init(&clock, 1795359845123);
    if (template_compile(&t, (struct str){(const char *)data, size}, "template", &err) < 0) {
        if (err.message[0] == '\0')
            abort();
        return 0;
    }
    if (json_read(&messages, STR(messages_json), &json_limits_default, "messages", &err) < 0)
        return 0;
    struct template_input input = {.messages = messages,
                                   .tools = messages,
                                   .add_generation_prompt = true,
                                   .bos_token = STR("<s>"),
                                   .eos_token = STR("</s>"),
                                   .clock = &clock.clock};

    if (template_render(t, &input, &out, &err) == 0 && !utf8_valid(buf_str(&out)))
        abort();
    return 0;
}
