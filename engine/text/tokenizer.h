/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Text to token ids and back: byte-level BPE as the Qwen2, Llama 3, GPT-2, SmolLM and DeepSeek-R1
 * families have it, read from a Hugging Face folder or from the metadata of a GGUF file. Whatever
 * the files ask for and this does not do (another model, pre-tokenizer, normalizer) is refused at
 * open, in one line.
 *
 * Immutable after open: any number of threads may use one tokenizer. Encoding takes memory in
 * proportion to the longest pretoken and time O(n log n), whatever the text.
 */
#ifndef SPATE_ENGINE_TEXT_TOKENIZER_H
#define SPATE_ENGINE_TEXT_TOKENIZER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"

struct gguf_meta;
struct tokenizer;

enum {
    TOKENIZER_FILE_BYTES_MAX = 64 << 20, /* of tokenizer.json */
    TOKENIZER_TEXT_BYTES_MAX = 16 << 20, /* of one text to encode */
    TOKENIZER_STOP_IDS_MAX = 16,
};

/* A growing list of ids with a ceiling. token_list_init does not allocate. */
struct token_list {
    int32_t *ids;
    size_t count;
    size_t cap;
    size_t max;
};
void token_list_init(struct token_list *list, size_t max);
void token_list_fini(struct token_list *list);
int token_list_add(struct token_list *list, int32_t id); /* 0, -ERR_LIMIT, -ERR_NO_MEMORY */

/* Opens a Hugging Face folder or a .gguf file. The caller owns *out. */
int tokenizer_open(struct tokenizer **out, const char *model_path, struct err *err);
void tokenizer_free(struct tokenizer *t);
void tokenizer_freep(struct tokenizer **t); /* for CLEANUP */

/* The same from bytes. All but `tokenizer` may be empty (STR_NONE); nothing is kept of them. */
struct tokenizer_files {
    struct str tokenizer;     /* tokenizer.json */
    struct str config;        /* tokenizer_config.json */
    struct str generation;    /* generation_config.json */
    struct str special_map;   /* special_tokens_map.json */
    struct str chat_template; /* chat_template.jinja */
};
int tokenizer_open_files(struct tokenizer **out, const struct tokenizer_files *files,
                         struct err *err);
int tokenizer_open_gguf(struct tokenizer **out, const struct gguf_meta *meta, struct err *err);

enum {
    TOKENIZER_ADD_SPECIAL = 1, /* BOS (and EOS) where the model's files say so. Never for rendered
                                  chats: their template writes them itself */
    TOKENIZER_PLAIN_TEXT = 2,  /* do not recognise special tokens in the text; by default they are,
                                  as Hugging Face does */
};

/* Appends the ids of `text` to `out`. Invalid UTF-8 is encoded as U+FFFD, one for each maximal
 * ill-formed part. -ERR_LIMIT: text or list too long (what was appended is removed again). */
int tokenizer_encode(const struct tokenizer *t, struct str text, int flags, struct token_list *out,
                     struct err *err);

/* Bytes of one token: they need not be whole UTF-8 characters. ptr NULL: no such id (ids may have
 * gaps). Lives as long as the tokenizer. */
struct str tokenizer_piece(const struct tokenizer *t, int32_t id);
bool tokenizer_is_special(const struct tokenizer *t, int32_t id);
/* The id of an added token by its text ("</think>"), -1 if there is none. */
int32_t tokenizer_added_id(const struct tokenizer *t, struct str text);

int32_t tokenizer_vocab_size(const struct tokenizer *t);  /* every id is below it */
size_t tokenizer_piece_max(const struct tokenizer *t);    /* bytes of the longest piece */
int32_t tokenizer_bos(const struct tokenizer *t);         /* -1: none */
int32_t tokenizer_eos(const struct tokenizer *t);         /* -1: none */
struct str tokenizer_bos_text(const struct tokenizer *t); /* empty: none; for the template */
struct str tokenizer_eos_text(const struct tokenizer *t);
/* Every id that ends an answer: EOS and those of generation_config.json. */
const int32_t *tokenizer_stop_ids(const struct tokenizer *t, int *count);
/* Source of the default chat template; ptr NULL: the model has none. */
struct str tokenizer_chat_template(const struct tokenizer *t);

/* Sampling that generation_config.json recommends; a value below 0 was not given. */
struct tokenizer_defaults {
    float temperature;
    float top_p;
    float min_p;
    float repetition_penalty;
    int32_t top_k;
};
struct tokenizer_defaults tokenizer_defaults(const struct tokenizer *t);

#endif
