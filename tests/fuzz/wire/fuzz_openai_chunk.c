/* SPDX-License-Identifier: Apache-2.0 */
/* Chunks of an agent, one a line, into a whole answer: JSON, or refused. The first byte chooses the
 * endpoint. */
#include <stdlib.h>

#include "base/mem.h"
#include "fuzz_target.h"
#include "wire/openai.h"

enum { ANSWER_BYTES = 4096 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    enum openai_endpoint endpoint = size > 0 && data[0] % 2 == 1 ? OPENAI_COMPLETIONS : OPENAI_CHAT;
    struct openai_assembler *a = NULL;
    json_auto_t *tree = NULL;
    struct str rest = {(const char *)data + 1, size - 1};
    struct buf text;
    bool failed = false;

    if (size == 0)
        return 0;
    if (openai_assembler_new(&a, endpoint, ANSWER_BYTES, NULL) < 0)
        abort();
    while (rest.ptr != NULL)
        failed = openai_assembler_add(a, str_cut(&rest, '\n'), NULL) < 0 || failed;
    buf_init(&text, 1 << 20);
    if (openai_assembler_is_broken(a) != failed)
        abort();
    if (openai_assembler_write(a, &text, NULL) == 0) {
        if (failed || json_read(&tree, buf_str(&text), &json_limits_default, "answer", NULL) < 0)
            abort();
    }
    buf_fini(&text);
    openai_assembler_free(a);
    return 0;
}
