/* SPDX-License-Identifier: Apache-2.0 */
/* tokenizer.json, and after a zero byte a text that is encoded where the file is accepted. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "engine/text/tokenizer.h"
#include "fuzz_target.h"

enum { IDS_MAX = 1 << 20 };

static void encode(const struct tokenizer *t, struct str text)
{
    CLEANUP(token_list_fini) struct token_list list = {0};
    struct err err;

    token_list_init(&list, IDS_MAX);
    if (tokenizer_encode(t, text, TOKENIZER_ADD_SPECIAL, &list, &err) < 0)
        return;
    for (size_t i = 0; i < list.count; i++) {
        if (list.ids[i] < 0 || list.ids[i] >= tokenizer_vocab_size(t) ||
            tokenizer_piece(t, list.ids[i]).ptr == NULL)
            abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    CLEANUP(tokenizer_freep) struct tokenizer *t = NULL;
    struct str whole = {(const char *)data, size};
    struct tokenizer_files files = {.tokenizer = str_cut(&whole, '\0'),
                                    .config = STR("{\"bos_token\": \"<s>\"}")};
    struct err err = {0};

    if (tokenizer_open_files(&t, &files, &err) < 0) {
        if (err.message[0] == '\0')
            abort();
        return 0;
    }
    encode(t, whole);
    encode(t, STR("It's  12 hello<s>\n\n \xff\xe4\xbd\xa0 e\xcc\x81!"));
    return 0;
}
