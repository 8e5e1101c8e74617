/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Encoding: see tokenizer.h. The order of things is Hugging Face's: added tokens are cut out of the
 * text as it came; what is between them is normalised; the added tokens marked `normalized` are cut
 * out of that; the rest is cut into pretokens, and each of those is merged.
 */
#include "engine/text/tokenizer.h"

#include <string.h>

#include "base/buf.h"
#include "base/file.h"
#include "base/mem.h"
#include "engine/load/gguf_meta.h"
#include "engine/text/tokenizer_parts.h"
#include "engine/text/unicode.h"

struct tokenizer *tokenizer_alloc(void)
{
    struct tokenizer *t = mem_alloc(sizeof(*t));

    if (t == NULL)
        return NULL;
    vocab_init(&t->vocab);
    t->bos = -1;
    t->eos = -1;
    t->defaults = (struct tokenizer_defaults){-1, -1, -1, -1, -1};
    return t;
}

void tokenizer_free(struct tokenizer *t)
{
    if (t == NULL)
        return;
    vocab_fini(&t->vocab);
    bpe_fini(&t->bpe);
    added_fini(&t->added);
    added_fini(&t->added_normalized);
    mem_free(t->bos_text);
    mem_free(t->eos_text);
    mem_free(t->chat_template);
    mem_free(t);
}

void tokenizer_freep(struct tokenizer **t)
{
    tokenizer_free(*t);
}

int tokenizer_add_token(struct tokenizer *t, const struct added_token *token, bool normalized,
                        struct err *err)
{
    struct str text = {token->text, token->length};
    int r;

    if (!utf8_valid(text))
        return err_set(err, ERR_INVALID, "added token %d is not valid UTF-8; correct its text",
                       (int)token->id);
    r = vocab_add_plain(&t->vocab, token->id, text, token->special, err);
    if (r < 0)
        return r;
    return added_add(normalized ? &t->added_normalized : &t->added, token, err);
}

int tokenizer_add_stop_id(struct tokenizer *t, int64_t id, struct err *err)
{
    if (id < 0 || id >= VOCAB_IDS_MAX)
        return err_set(err, ERR_INVALID, "eos_token_id %lld is not the id of a token",
                       (long long)id);
    for (int i = 0; i < t->stop_count; i++) {
        if (t->stop_ids[i] == id)
            return 0;
    }
    if (t->stop_count == TOKENIZER_STOP_IDS_MAX)
        return err_set(err, ERR_LIMIT, "there are more than %d different eos_token_id",
                       TOKENIZER_STOP_IDS_MAX);
    t->stop_ids[t->stop_count++] = (int32_t)id;
    return 0;
}

int tokenizer_set_chat_template(struct tokenizer *t, struct str source, struct err *err)
{
    char *copy = mem_strndup(source.ptr == NULL ? "" : source.ptr, source.len);

    if (copy == NULL)
        return err_no_memory(err);
    mem_free(t->chat_template);
    t->chat_template = copy;
    t->chat_template_len = source.len;
    return 0;
}

/* The files of a folder, in the order of struct tokenizer_files. */
static const struct {
    const char *name;
    bool required;
} folder_files[] = {
    {"tokenizer.json", true},          {"tokenizer_config.json", false},
    {"generation_config.json", false}, {"special_tokens_map.json", false},
    {"chat_template.jinja", false},
};
enum { FOLDER_FILES = ARRAY_COUNT(folder_files) };

static int read_folder_file(const char *folder, size_t index, struct buf *out, struct err *err)
{
    CLEANUP(mem_freep) char *path = path_join(folder, folder_files[index].name);

    if (path == NULL)
        return err_no_memory(err);
    if (!folder_files[index].required && !file_exists(path))
        return 0;
    return file_read(path, out, err);
}

static int open_folder(struct tokenizer **out, const char *folder, struct err *err)
{
    struct buf files[FOLDER_FILES];
    int r = 0;

    for (size_t i = 0; i < FOLDER_FILES; i++)
        buf_init(&files[i], TOKENIZER_FILE_BYTES_MAX);
    for (size_t i = 0; r >= 0 && i < FOLDER_FILES; i++)
        r = read_folder_file(folder, i, &files[i], err);
    if (r >= 0) {
        const struct tokenizer_files views = {
            .tokenizer = buf_str(&files[0]),
            .config = buf_str(&files[1]),
            .generation = buf_str(&files[2]),
            .special_map = buf_str(&files[3]),
            .chat_template = buf_str(&files[4]),
        };

        r = tokenizer_open_files(out, &views, err);
        if (r < 0)
            err_wrap(err, r, "%s", folder);
    }
    for (size_t i = 0; i < FOLDER_FILES; i++)
        buf_fini(&files[i]);
    return r;
}

static int open_gguf(struct tokenizer **out, const char *path, struct err *err)
{
    CLEANUP(gguf_meta_freep) struct gguf_meta *meta = NULL;
    CLEANUP(file_map_close) struct file_map map = {0};
    int r = file_map_open(&map, path, err);

    if (r < 0)
        return r;
    r = gguf_meta_read(&meta, map.ptr, map.size, err);
    if (r >= 0)
        r = tokenizer_open_gguf(out, meta, err);
    return r < 0 ? err_wrap(err, r, "%s", path) : 0;
}

int tokenizer_open(struct tokenizer **out, const char *model_path, struct err *err)
{
    if (str_ends(str_of(model_path), STR(".gguf")))
        return open_gguf(out, model_path, err);
    return open_folder(out, model_path, err);
}

void token_list_init(struct token_list *list, size_t max)
{
    *list = (struct token_list){.max = max};
}

void token_list_fini(struct token_list *list)
{
    mem_free(list->ids);
    *list = (struct token_list){.max = list->max};
}

int token_list_add(struct token_list *list, int32_t id)
{
    if (list->count == list->cap) {
        size_t cap = list->cap == 0 ? 64 : 2 * list->cap;
        int32_t *ids;

        if (list->count >= list->max)
            return -ERR_LIMIT;
        ids = mem_resize(list->ids, cap < list->max ? cap : list->max, sizeof(*ids));
        if (ids == NULL)
            return -ERR_NO_MEMORY;
        list->ids = ids;
        list->cap = cap < list->max ? cap : list->max;
    }
    list->ids[list->count++] = id;
    return 0;
}

/* One encoding: what its steps share. */
struct encoding {
    const struct tokenizer *t;
    bool plain;
    struct bpe_scratch scratch;
    struct token_list *out;
};

static int encode_pretoken(void *context, struct str pretoken)
{
    struct encoding *e = context;

    return bpe_encode(&e->t->bpe, pretoken, &e->scratch, e->out);
}

static int encode_words(struct encoding *e, struct str text)
{
    return pretokenize(&e->t->pretokenizer, text, encode_pretoken, e);
}

/* Cuts the tokens of `list` out of the text and hands what is between to `rest`. */
static int cut_added(struct encoding *e, const struct added *list, struct str text,
                     int (*rest)(struct encoding *, struct str))
{
    size_t at = 0;
    size_t start;
    size_t end;
    int r = 0;

    while (r >= 0 && at < text.len) {
        const struct added_token *token = added_next(list, text, at, e->plain, &start, &end);

        if (token == NULL)
            return rest(e, str_slice(text, at, text.len));
        if (start > at)
            r = rest(e, str_slice(text, at, start));
        if (r >= 0)
            r = token_list_add(e->out, token->id);
        at = end;
    }
    return r;
}

static int encode_normalized(struct encoding *e, struct str text)
{
    if (e->t->added_normalized.count == 0)
        return encode_words(e, text);
    return cut_added(e, &e->t->added_normalized, text, encode_words);
}

static int encode_between(struct encoding *e, struct str text)
{
    CLEANUP(buf_fini) struct buf normal = {.max = (size_t)4 * TOKENIZER_TEXT_BYTES_MAX};
    int r;

    if (!e->t->nfc || !unicode_needs_nfc(text))
        return encode_normalized(e, text);
    r = unicode_nfc(text, &normal);
    return r < 0 ? r : encode_normalized(e, buf_str(&normal));
}

static int encode_framed(struct encoding *e, struct str text, bool frame)
{
    int r = 0;

    for (int i = 0; r >= 0 && frame && i < e->t->prefix_count; i++)
        r = token_list_add(e->out, e->t->prefix[i]);
    if (r >= 0)
        r = cut_added(e, &e->t->added, text, encode_between);
    for (int i = 0; r >= 0 && frame && i < e->t->suffix_count; i++)
        r = token_list_add(e->out, e->t->suffix[i]);
    return r;
}

/* How many bytes at the front form one ill-formed part: the longest beginning of a character. */
static size_t ill_formed(struct str s)
{
    size_t length = s.len < 3 ? s.len : 3;

    while (length > 1 && utf8_length(str_slice(s, 0, length)) != -1)
        length--;
    return length;
}

static int replace_ill_formed(struct str text, struct buf *out)
{
    while (text.len > 0) {
        int length = utf8_length(text);
        size_t used = length > 0 ? (size_t)length : ill_formed(text);

        if (length > 0)
            buf_append(out, text.ptr, used);
        else
            buf_append_text(out, "\xef\xbf\xbd");
        text = str_slice(text, used, text.len);
    }
    return out->failed ? -ERR_NO_MEMORY : 0;
}

static int encode_failed(const struct token_list *out, int r, struct err *err)
{
    if (r == -ERR_LIMIT)
        return err_set(err, ERR_LIMIT, "the text has more than %zu tokens; make it shorter",
                       out->max);
    return r == -ERR_NO_MEMORY ? err_no_memory(err) : r;
}

int tokenizer_encode(const struct tokenizer *t, struct str text, int flags, struct token_list *out,
                     struct err *err)
{
    struct encoding e = {.t = t, .plain = (flags & TOKENIZER_PLAIN_TEXT) != 0, .out = out};
    CLEANUP(buf_fini) struct buf repaired = {0};
    size_t before = out->count;
    int r = 0;

    buf_init(&repaired, (size_t)3 * TOKENIZER_TEXT_BYTES_MAX + 1);
    if (text.len > TOKENIZER_TEXT_BYTES_MAX)
        return err_set(err, ERR_LIMIT, "the text has %zu bytes; the limit is %d", text.len,
                       TOKENIZER_TEXT_BYTES_MAX);
    if (!utf8_valid(text)) {
        r = replace_ill_formed(text, &repaired);
        text = buf_str(&repaired);
    }
    if (r >= 0)
        r = encode_framed(&e, text, (flags & TOKENIZER_ADD_SPECIAL) != 0);
    bpe_scratch_fini(&e.scratch);
    if (r < 0) {
        out->count = before;
        return encode_failed(out, r, err);
    }
    return 0;
}

struct str tokenizer_piece(const struct tokenizer *t, int32_t id)
{
    return vocab_bytes(&t->vocab, id);
}

bool tokenizer_is_special(const struct tokenizer *t, int32_t id)
{
    return id >= 0 && id < t->vocab.size && t->vocab.pieces[id].special;
}

int32_t tokenizer_added_id(const struct tokenizer *t, struct str text)
{
    const struct added_token *token = added_find(&t->added, text);

    if (token == NULL)
        token = added_find(&t->added_normalized, text);
    return token == NULL ? -1 : token->id;
}

int32_t tokenizer_vocab_size(const struct tokenizer *t)
{
    return t->vocab.size;
}

size_t tokenizer_piece_max(const struct tokenizer *t)
{
    return t->vocab.piece_max;
}

int32_t tokenizer_bos(const struct tokenizer *t)
{
    return t->bos;
}

int32_t tokenizer_eos(const struct tokenizer *t)
{
    return t->eos;
}

struct str tokenizer_bos_text(const struct tokenizer *t)
{
    return str_of(t->bos_text);
}

struct str tokenizer_eos_text(const struct tokenizer *t)
{
    return str_of(t->eos_text);
}

const int32_t *tokenizer_stop_ids(const struct tokenizer *t, int *count)
{
    *count = t->stop_count;
    return t->stop_ids;
}

struct str tokenizer_chat_template(const struct tokenizer *t)
{
    return (struct str){t->chat_template, t->chat_template_len};
}

struct tokenizer_defaults tokenizer_defaults(const struct tokenizer *t)
{
    return t->defaults;
}
