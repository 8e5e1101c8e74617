/* SPDX-License-Identifier: Apache-2.0 */
/* The head of a GGUF file, and the tokenizer in it. */
#include <stdlib.h>

#include "base/mem.h"
#include "engine/load/gguf_meta.h"
#include "engine/text/tokenizer.h"
#include "fuzz_target.h"

/* Walks over all that the reader promised to be there. */
static uint64_t touch(const struct gguf_meta *meta)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < meta->value_count; i++) {
        const struct gguf_value *v = &meta->values[i];
        size_t at = 0;

        for (size_t k = 0; k < v->size; k++)
            sum += v->data[k];
        for (uint64_t k = 0; v->type == GGUF_STRING && k < v->count; k++)
            sum += gguf_next_string(v, &at).len;
        if (v->type == GGUF_STRING && at != v->size)
            abort();
    }
    return sum;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    CLEANUP(gguf_meta_freep) struct gguf_meta *meta = NULL;
    CLEANUP(tokenizer_freep) struct tokenizer *t = NULL;
    struct err err = {0};
    volatile uint64_t sum;

    if (gguf_meta_read(&meta, data, size, &err) < 0) {
        if (err.message[0] == '\0')
            abort();
        return 0;
    }
    sum = touch(meta);
    (void)sum;
    for (size_t i = 0; i < meta->tensor_count; i++) {
        if (meta->tensors[i].offset >= size || meta->tensors[i].elements == 0)
            abort();
    }
    if (tokenizer_open_gguf(&t, meta, &err) == 0) {
        CLEANUP(token_list_fini) struct token_list list = {0};

        token_list_init(&list, 1024);
        (void)tokenizer_encode(t, STR("hello 123"), TOKENIZER_ADD_SPECIAL, &list, &err);
    }
    return 0;
}
