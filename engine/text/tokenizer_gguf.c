/* SPDX-License-Identifier: Apache-2.0 */
/* A tokenizer from the metadata of a GGUF file. */
#include <inttypes.h>
#include <string.h>

#include "base/mem.h"
#include "engine/load/gguf_meta.h"
#include "engine/text/tokenizer_parts.h"

/* tokenizer.ggml.token_type */
enum token_type { TOKEN_CONTROL = 3, TOKEN_USER_DEFINED = 4 };

static int read_model(struct tokenizer *t, const struct gguf_meta *meta, struct err *err)
{
    struct str model = STR_NONE;
    struct str pre = STR_NONE;
    int r = gguf_get_str(meta, "tokenizer.ggml.model", true, &model, err);

    if (r >= 0)
        r = gguf_get_str(meta, "tokenizer.ggml.pre", true, &pre, err);
    if (r < 0)
        return r;
    if (!str_is(model, "gpt2"))
        return err_set(err, ERR_UNSUPPORTED,
                       "GGUF: tokenizer.ggml.model '%.*s' is not supported; use a model with a "
                       "byte-level BPE tokenizer ('gpt2')",
                       STR_ARG(str_slice(model, 0, 64)));
    if (pretokenizer_of_name(pre, &t->pretokenizer) < 0)
        return err_set(
            err, ERR_UNSUPPORTED,
            "GGUF: tokenizer.ggml.pre '%.*s' is not supported; use a model of the Qwen2, "
            "Llama 3, GPT-2, SmolLM or DeepSeek kind",
            STR_ARG(str_slice(pre, 0, 64)));
    /* What the original files of these families say and GGUF does not. */
    t->nfc = str_is(pre, "qwen2");
    t->bpe.whole_first = t->pretokenizer.stages[0] == PRETOKEN_LLAMA3;
    return 0;
}

static int add_token(struct tokenizer *t, int32_t id, struct str text, int64_t type,
                     struct err *err)
{
    struct added_token token = {.length = text.len, .id = id, .special = type == TOKEN_CONTROL};
    int r;

    if (type != TOKEN_CONTROL && type != TOKEN_USER_DEFINED)
        return vocab_add(&t->vocab, id, text, err);
    token.text = mem_strndup(text.ptr, text.len);
    if (token.text == NULL)
        return err_no_memory(err);
    r = tokenizer_add_token(t, &token, false, err);
    mem_free(token.text);
    return r;
}

static int read_tokens(struct tokenizer *t, const struct gguf_meta *meta, struct err *err)
{
    const struct gguf_value *tokens = NULL;
    const struct gguf_value *types = NULL;
    size_t at = 0;
    int r = gguf_get_array(meta, "tokenizer.ggml.tokens", true, GGUF_STRING, &tokens, err);

    if (r >= 0)
        r = gguf_get_array(meta, "tokenizer.ggml.token_type", false, GGUF_I32, &types, err);
    if (r < 0 && r != -ERR_NOT_FOUND)
        return r;
    if (tokens->count > VOCAB_IDS_MAX || (types != NULL && types->count != tokens->count))
        return err_set(err, ERR_INVALID,
                       "GGUF: %" PRIu64 " tokens with %" PRIu64
                       " token_type; they must be equally many, at most %d",
                       tokens->count, types == NULL ? 0 : types->count, VOCAB_IDS_MAX);
    r = vocab_reserve(&t->vocab, (int64_t)tokens->count, err);
    for (uint64_t id = 0; r >= 0 && id < tokens->count; id++)
        r = add_token(t, (int32_t)id, gguf_next_string(tokens, &at),
                      types == NULL ? 0 : gguf_int_at(types, id), err);
    if (r < 0)
        return err_wrap(err, r, "GGUF: tokenizer.ggml.tokens");
    added_sort(&t->added);
    return vocab_index(&t->vocab, err);
}

static int read_merges(struct tokenizer *t, const struct gguf_meta *meta, struct err *err)
{
    const struct gguf_value *merges = NULL;
    bool whole_first = t->bpe.whole_first;
    size_t at = 0;
    int r = gguf_get_array(meta, "tokenizer.ggml.merges", true, GGUF_STRING, &merges, err);

    if (r < 0)
        return r;
    r = bpe_init(&t->bpe, &t->vocab, (size_t)merges->count, err);
    t->bpe.whole_first = whole_first;
    for (uint64_t i = 0; r >= 0 && i < merges->count; i++)
        r = bpe_add_merge_line(&t->bpe, gguf_next_string(merges, &at), err);
    return r < 0 ? err_wrap(err, r, "GGUF: tokenizer.ggml.merges") : 0;
}

/* Reads one special id and the text of its token. */
static int read_special(struct tokenizer *t, const struct gguf_meta *meta, const char *key,
                        int32_t *id, char **text, struct err *err)
{
    int64_t value = 0;
    struct str piece;
    int r = gguf_get_i64(meta, key, false, 0, t->vocab.size - 1, &value, err);

    if (r == -ERR_NOT_FOUND)
        return 0;
    if (r < 0)
        return r;
    piece = vocab_bytes(&t->vocab, (int32_t)value);
    *text = mem_strndup(piece.ptr, piece.len);
    if (*text == NULL)
        return err_no_memory(err);
    *id = (int32_t)value;
    return 0;
}

static int read_specials(struct tokenizer *t, const struct gguf_meta *meta, struct err *err)
{
    bool add_bos = t->bpe.whole_first; /* the default for Llama 3 */
    bool add_eos = false;
    int64_t eot = 0;
    int r = read_special(t, meta, "tokenizer.ggml.bos_token_id", &t->bos, &t->bos_text, err);

    if (r >= 0)
        r = read_special(t, meta, "tokenizer.ggml.eos_token_id", &t->eos, &t->eos_text, err);
    if (r >= 0)
        r = gguf_get_bool(meta, "tokenizer.ggml.add_bos_token", false, &add_bos, err);
    if (r >= 0 || r == -ERR_NOT_FOUND)
        r = gguf_get_bool(meta, "tokenizer.ggml.add_eos_token", false, &add_eos, err);
    if (r < 0 && r != -ERR_NOT_FOUND)
        return r;
    if (add_bos && t->bos >= 0)
        t->prefix[t->prefix_count++] = t->bos;
    if (add_eos && t->eos >= 0)
        t->suffix[t->suffix_count++] = t->eos;
    if (t->eos >= 0)
        r = tokenizer_add_stop_id(t, t->eos, err);
    if (r < 0 && r != -ERR_NOT_FOUND)
        return r;
    r = gguf_get_i64(meta, "tokenizer.ggml.eot_token_id", false, 0, t->vocab.size - 1, &eot, err);
    if (r >= 0)
        r = tokenizer_add_stop_id(t, eot, err);
    return r == -ERR_NOT_FOUND ? 0 : r;
}

static int read_template(struct tokenizer *t, const struct gguf_meta *meta, struct err *err)
{
    struct str source = STR_NONE;
    int r = gguf_get_str(meta, "tokenizer.chat_template", false, &source, err);

    if (r == -ERR_NOT_FOUND)
        return 0;
    return r < 0 ? r : tokenizer_set_chat_template(t, source, err);
}

int tokenizer_open_gguf(struct tokenizer **out, const struct gguf_meta *meta, struct err *err)
{
    CLEANUP(tokenizer_freep) struct tokenizer *t = tokenizer_alloc();
    int r;

    if (t == NULL)
        return err_no_memory(err);
    r = read_model(t, meta, err);
    if (r >= 0)
        r = read_tokens(t, meta, err);
    if (r >= 0)
        r = read_merges(t, meta, err);
    if (r >= 0)
        r = read_specials(t, meta, err);
    if (r >= 0)
        r = read_template(t, meta, err);
    if (r < 0)
        return r;
    *out = STEAL(t);
    return 0;
}
