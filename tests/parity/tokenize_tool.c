/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Encodes texts for the parity scripts: spate-tokenize MODEL, records on standard input, each a
 * decimal length, a line break and so many bytes. Writes one line of ids for each.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "engine/text/tokenizer.h"

enum { RECORD_BYTES_MAX = 16 << 20 };

/* 1: a record in *text, which the caller frees; 0: the end of the input; -1: broken input. */
static int read_record(char **text, size_t *length)
{
    char line[32];
    uint64_t size;

    if (fgets(line, sizeof(line), stdin) == NULL)
        return 0;
    if (!str_to_u64(str_trim(str_of(line)), &size) || size > RECORD_BYTES_MAX)
        return -1;
    *text = mem_alloc((size_t)size + 1);
    if (*text == NULL || fread(*text, 1, (size_t)size, stdin) != size)
        return -1;
    *length = (size_t)size;
    return 1;
}

static int encode_all(const struct tokenizer *t, struct err *err)
{
    for (;;) {
        CLEANUP(token_list_fini) struct token_list ids = {0};
        CLEANUP(mem_freep) char *text = NULL;
        size_t length = 0;
        int r = read_record(&text, &length);

        token_list_init(&ids, RECORD_BYTES_MAX);
        if (r <= 0)
            return r == 0 ? 0 : err_set(err, ERR_SYNTAX, "standard input: broken record");
        r = tokenizer_encode(t, (struct str){text, length}, 0, &ids, err);
        if (r < 0)
            return r;
        for (size_t i = 0; i < ids.count; i++)
            printf("%s%" PRId32, i == 0 ? "" : " ", ids.ids[i]);
        putchar('\n');
    }
}

int main(int argc, char **argv)
{
    CLEANUP(tokenizer_freep) struct tokenizer *t = NULL;
    struct err err = {0};

    if (argc != 2) {
        fprintf(stderr, "usage: spate-tokenize MODEL < records\n");
        return 2;
    }
    if (tokenizer_open(&t, argv[1], &err) < 0 || encode_all(t, &err) < 0) {
        fprintf(stderr, "spate-tokenize: %s\n", err_message(&err));
        return 1;
    }
    return 0;
}
