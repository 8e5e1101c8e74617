/* SPDX-License-Identifier: Apache-2.0 */
/* Inside of a tokenizer, shared by its own files only: tokenizer.c and the two readers. */
#ifndef SPATE_ENGINE_TEXT_TOKENIZER_PARTS_H
#define SPATE_ENGINE_TEXT_TOKENIZER_PARTS_H

#include "base/json.h"
#include "engine/text/added.h"
#include "engine/text/bpe.h"
#include "engine/text/pretokenize.h"
#include "engine/text/tokenizer.h"
#include "engine/text/vocab.h"

enum { TOKENIZER_FRAME_MAX = 4 }; /* ids put before or after a text */

struct tokenizer {
    struct vocab vocab;
    struct bpe bpe;
    struct pretokenizer pretokenizer;
    struct added added;            /* looked for in the text as it came */
    struct added added_normalized; /* ... after NFC */
    bool nfc;
    int32_t prefix[TOKENIZER_FRAME_MAX]; /* TOKENIZER_ADD_SPECIAL puts these before the text */
    int prefix_count;
    int32_t suffix[TOKENIZER_FRAME_MAX]; /* and these after it */
    int suffix_count;
    int32_t bos;
    int32_t eos;
    char *bos_text; /* owned; NULL: none */
    char *eos_text;
    int32_t stop_ids[TOKENIZER_STOP_IDS_MAX];
    int stop_count;
    char *chat_template; /* owned; NULL: none */
    size_t chat_template_len;
    struct tokenizer_defaults defaults;
};

struct tokenizer *tokenizer_alloc(void);
/* Adds to the vocabulary and to the list that is searched. `token->text` must be valid UTF-8. */
int tokenizer_add_token(struct tokenizer *t, const struct added_token *token, bool normalized,
                        struct err *err);
int tokenizer_add_stop_id(struct tokenizer *t, int64_t id, struct err *err);
int tokenizer_set_chat_template(struct tokenizer *t, struct str source, struct err *err);
/* Reads tokenizer.json. */
int tokenizer_read_json(struct tokenizer *t, struct str text, struct err *err);
extern const struct json_limits tokenizer_file_limits;
/* A boolean member, `standard` where it is not given; negative: it is none. */
int tokenizer_read_flag(const json_t *object, const char *key, bool standard, struct err *err);
/* Reads generation_config.json. */
int tokenizer_read_generation(struct tokenizer *t, struct str text, struct err *err);

#endif
