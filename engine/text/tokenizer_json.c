/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading tokenizer.json. Each part of it is either known and obeyed or refused with its name:
 * nothing is guessed and nothing passed over in silence.
 */
#include <inttypes.h>

#include "base/json.h"
#include "base/mem.h"
#include "engine/text/tokenizer_parts.h"

enum { ID_SPARE = 1024 }; /* ids may exceed twice the number of tokens by this much */

const struct json_limits tokenizer_file_limits = {.max_bytes = TOKENIZER_FILE_BYTES_MAX,
                                                  .max_depth = 32};

static int refused(struct err *err, const char *place, const char *what, struct str value)
{
    return err_set(err, ERR_UNSUPPORTED,
                   "tokenizer.json: %s: %s '%.*s' is not supported; use a model with a byte-level "
                   "BPE tokenizer of the Qwen2, Llama 3, GPT-2, SmolLM or DeepSeek kind",
                   place, what, STR_ARG(str_slice(value, 0, 96)));
}

static struct str type_of(const json_t *object)
{
    return json_str(json_object_get(object, "type"));
}

/* A list of parts: that of a Sequence, or the one object itself. */
static size_t part_count(const json_t *part, const char *list)
{
    if (part == NULL || json_is_null(part))
        return 0;
    return str_is(type_of(part), "Sequence") ? json_array_size(json_object_get(part, list)) : 1;
}

static const json_t *part_at(const json_t *part, const char *list, size_t i)
{
    if (!str_is(type_of(part), "Sequence"))
        return part;
    return json_array_get(json_object_get(part, list), i);
}

static int read_normalizer(struct tokenizer *t, const json_t *root, struct err *err)
{
    const json_t *normalizer = json_object_get(root, "normalizer");

    for (size_t i = 0; i < part_count(normalizer, "normalizers"); i++) {
        struct str type = type_of(part_at(normalizer, "normalizers", i));

        if (!str_is(type, "NFC"))
            return refused(err, "normalizer", "type", type);
        t->nfc = true;
    }
    return 0;
}

/* A flag whose absence means `standard`; -1 after a recorded error. */
int tokenizer_read_flag(const json_t *object, const char *key, bool standard, struct err *err)
{
    bool value = standard;
    int r = json_get_bool(object, key, false, &value, err);

    return r < 0 && r != -ERR_NOT_FOUND ? -1 : value;
}

static int read_split(const json_t *part, struct err *err)
{
    const json_t *pattern = json_object_get(part, "pattern");
    struct str regex = json_str(json_object_get(pattern, "Regex"));
    struct str behavior = json_str(json_object_get(part, "behavior"));
    int invert = tokenizer_read_flag(part, "invert", false, err);
    int stage = pretoken_stage_of_pattern(regex);

    if (invert < 0)
        return -ERR_INVALID;
    if (invert != 0 || !str_is(behavior, "Isolated"))
        return refused(err, "pre_tokenizer: Split", "behavior (inverted, or)", behavior);
    if (stage < 0)
        return refused(err, "pre_tokenizer: Split", "pattern", regex);
    return stage;
}

/* -1 means: no stage, but fine. Lower: an error. */
enum { NO_STAGE = ERR_CODE_COUNT };

static int read_byte_level(const json_t *part, bool *byte_level, struct err *err)
{
    int regex = tokenizer_read_flag(part, "use_regex", true, err);
    int space = tokenizer_read_flag(part, "add_prefix_space", true, err);

    if (regex < 0 || space < 0)
        return -ERR_INVALID;
    if (space != 0)
        return refused(err, "pre_tokenizer: ByteLevel", "option", STR("add_prefix_space"));
    *byte_level = true;
    return regex != 0 ? PRETOKEN_GPT2 : NO_STAGE;
}

static int read_stage(const json_t *part, bool *byte_level, struct err *err)
{
    struct str type = type_of(part);

    if (str_is(type, "Split"))
        return read_split(part, err);
    if (str_is(type, "ByteLevel"))
        return read_byte_level(part, byte_level, err);
    if (str_is(type, "Digits")) {
        int individual = tokenizer_read_flag(part, "individual_digits", false, err);

        if (individual < 0)
            return -ERR_INVALID;
        if (individual == 0)
            return refused(err, "pre_tokenizer: Digits", "option", STR("individual_digits=false"));
        return PRETOKEN_DIGIT;
    }
    return refused(err, "pre_tokenizer", "type", type);
}

static int read_pretokenizer(struct tokenizer *t, const json_t *root, struct err *err)
{
    const json_t *part = json_object_get(root, "pre_tokenizer");
    bool byte_level = false;

    for (size_t i = 0; i < part_count(part, "pretokenizers"); i++) {
        int stage;

        if (byte_level)
            return refused(err, "pre_tokenizer", "part after ByteLevel",
                           type_of(part_at(part, "pretokenizers", i)));
        stage = read_stage(part_at(part, "pretokenizers", i), &byte_level, err);
        if (stage < 0)
            return stage;
        if (stage == NO_STAGE)
            continue;
        if (t->pretokenizer.stage_count == PRETOKEN_STAGES_MAX)
            return refused(err, "pre_tokenizer", "number of parts over", STR("4"));
        t->pretokenizer.stages[t->pretokenizer.stage_count++] = (enum pretoken_stage)stage;
    }
    if (!byte_level)
        return refused(err, "pre_tokenizer", "kind without", STR("ByteLevel"));
    return 0;
}

static int read_decoder(const json_t *root, struct err *err)
{
    const json_t *decoder = json_object_get(root, "decoder");

    if (part_count(decoder, "decoders") != 1 ||
        !str_is(type_of(part_at(decoder, "decoders", 0)), "ByteLevel"))
        return refused(err, "decoder", "type", type_of(decoder));
    return 0;
}

static int check_model_options(const json_t *model, struct err *err)
{
    static const char *const must_be_empty[] = {"continuing_subword_prefix", "end_of_word_suffix"};
    const json_t *dropout = json_object_get(model, "dropout");
    const json_t *type = json_object_get(model, "type");
    int fallback = tokenizer_read_flag(model, "byte_fallback", false, err);

    if (type != NULL && !str_is(json_str(type), "BPE"))
        return refused(err, "model", "type", json_str(type));
    if (fallback < 0)
        return -ERR_INVALID;
    if (fallback != 0)
        return refused(err, "model", "option", STR("byte_fallback"));
    if (json_is_number(dropout) && json_number_value(dropout) > 0)
        return refused(err, "model", "option", STR("dropout"));
    for (size_t i = 0; i < ARRAY_COUNT(must_be_empty); i++) {
        if (json_str(json_object_get(model, must_be_empty[i])).len > 0)
            return refused(err, "model", "option", str_of(must_be_empty[i]));
    }
    return 0;
}

static int read_vocab(struct tokenizer *t, json_t *model, size_t added_count, struct err *err)
{
    json_t *vocab = NULL;
    int r = json_get_object(model, "vocab", true, &vocab, err);
    const char *key;
    json_t *value;
    size_t count;

    if (r < 0)
        return err_wrap(err, r, "tokenizer.json: model");
    count = json_object_size(vocab) + added_count;
    r = vocab_reserve(&t->vocab, (int64_t)(2 * count + ID_SPARE), err);
    if (r < 0)
        return err_wrap(err, r, "tokenizer.json: model.vocab");
    json_object_foreach (vocab, key, value) {
        if (!json_is_integer(value))
            return err_set(err, ERR_INVALID,
                           "tokenizer.json: model.vocab: the id of '%.64s' must be an integer, not "
                           "%s",
                           key, json_type_name(value));
        r = vocab_add(&t->vocab, json_integer_value(value), str_of(key), err);
        if (r < 0)
            return err_wrap(err, r, "tokenizer.json: model.vocab");
    }
    return 0;
}

static int read_merge(struct bpe *b, const json_t *merge, struct err *err)
{
    const json_t *left = json_array_get(merge, 0);
    const json_t *right = json_array_get(merge, 1);

    if (json_is_string(merge))
        return bpe_add_merge_line(b, json_str(merge), err);
    if (json_array_size(merge) != 2 || !json_is_string(left) || !json_is_string(right))
        return err_set(err, ERR_INVALID, "merge %" PRIu32 " must be \"a b\" or [\"a\", \"b\"]",
                       b->merge_count);
    return bpe_add_merge(b, json_str(left), json_str(right), err);
}

static int read_merges(struct tokenizer *t, const json_t *model, struct err *err)
{
    json_t *merges = NULL;
    int r = json_get_array(model, "merges", true, &merges, err);

    if (r >= 0)
        r = bpe_init(&t->bpe, &t->vocab, json_array_size(merges), err);
    for (size_t i = 0; r >= 0 && i < json_array_size(merges); i++)
        r = read_merge(&t->bpe, json_array_get(merges, i), err);
    return r < 0 ? err_wrap(err, r, "tokenizer.json: model.merges") : 0;
}

static int read_bpe_options(struct tokenizer *t, const json_t *model, struct err *err)
{
    int whole = tokenizer_read_flag(model, "ignore_merges", false, err);
    int fuse = tokenizer_read_flag(model, "fuse_unk", false, err);
    struct str unknown = json_str(json_object_get(model, "unk_token"));

    if (whole < 0 || fuse < 0)
        return -ERR_INVALID;
    t->bpe.whole_first = whole != 0;
    t->bpe.fuse_unknown = fuse != 0;
    if (unknown.len > 0) {
        t->bpe.unknown_id = vocab_find(&t->vocab, unknown);
        if (t->bpe.unknown_id < 0)
            return err_set(err, ERR_INVALID,
                           "tokenizer.json: model.unk_token '%.*s' is not in the vocabulary; "
                           "remove it or add the token",
                           STR_ARG(str_slice(unknown, 0, 64)));
    }
    return 0;
}

static int read_added_token(struct tokenizer *t, const json_t *object, struct err *err)
{
    struct added_token token = {0};
    struct str content = STR_NONE;
    int64_t id = 0;
    int single = tokenizer_read_flag(object, "single_word", false, err);
    int left = tokenizer_read_flag(object, "lstrip", false, err);
    int right = tokenizer_read_flag(object, "rstrip", false, err);
    int special = tokenizer_read_flag(object, "special", false, err);
    int normalized = tokenizer_read_flag(object, "normalized", special == 0, err);
    int r;

    if (single < 0 || left < 0 || right < 0 || special < 0 || normalized < 0)
        return -ERR_INVALID;
    r = json_get_str(object, "content", true, &content, err);
    if (r >= 0)
        r = json_get_i64(object, "id", true, 0, VOCAB_IDS_MAX - 1, &id, err);
    if (r < 0)
        return r;
    token = (struct added_token){
        .length = content.len,
        .id = (int32_t)id,
        .special = special != 0,
        .single_word = single != 0,
        .strip_left = left != 0,
        .strip_right = right != 0,
    };
    token.text = mem_strndup(content.ptr, content.len);
    if (token.text == NULL)
        return err_no_memory(err);
    r = tokenizer_add_token(t, &token, normalized != 0, err);
    mem_free(token.text);
    return r;
}

static int read_added(struct tokenizer *t, const json_t *list, struct err *err)
{
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *object = json_array_get(list, i);
        int r;

        if (!json_is_object(object))
            return err_set(err, ERR_INVALID,
                           "tokenizer.json: added_tokens[%zu] must be an object, not %s", i,
                           json_type_name(object));
        r = read_added_token(t, object, err);
        if (r < 0)
            return err_wrap(err, r, "tokenizer.json: added_tokens[%zu]", i);
    }
    added_sort(&t->added);
    added_sort(&t->added_normalized);
    return 0;
}

/* One element of a TemplateProcessing: {"SpecialToken": {"id": "<s>"}} or {"Sequence": {"id":
 * "A"}}.
 */
static int read_frame_element(struct tokenizer *t, const json_t *element, bool *after,
                              struct err *err)
{
    struct str name = json_str(json_object_get(json_object_get(element, "SpecialToken"), "id"));
    struct str sequence = json_str(json_object_get(json_object_get(element, "Sequence"), "id"));
    int32_t id = tokenizer_added_id(t, name);
    int *count = *after ? &t->suffix_count : &t->prefix_count;

    if (str_is(sequence, "A") && !*after) {
        *after = true;
        return 0;
    }
    if (id < 0 || *count == TOKENIZER_FRAME_MAX)
        return refused(err, "post_processor: TemplateProcessing", "element", name);
    (*after ? t->suffix : t->prefix)[(*count)++] = id;
    return 0;
}

static int read_post_processor(struct tokenizer *t, const json_t *root, struct err *err)
{
    const json_t *processor = json_object_get(root, "post_processor");

    for (size_t i = 0; i < part_count(processor, "processors"); i++) {
        const json_t *part = part_at(processor, "processors", i);
        const json_t *single = json_object_get(part, "single");
        bool after = false;
        int r = 0;

        if (str_is(type_of(part), "ByteLevel"))
            continue;
        if (!str_is(type_of(part), "TemplateProcessing"))
            return refused(err, "post_processor", "type", type_of(part));
        for (size_t k = 0; r >= 0 && k < json_array_size(single); k++)
            r = read_frame_element(t, json_array_get(single, k), &after, err);
        if (r < 0)
            return r;
    }
    return 0;
}

int tokenizer_read_json(struct tokenizer *t, struct str text, struct err *err)
{
    json_auto_t *root = NULL;
    json_t *model = NULL;
    json_t *added = NULL;
    int r = json_read(&root, text, &tokenizer_file_limits, "tokenizer.json", err);

    if (r < 0)
        return r;
    if (!json_is_object(root))
        return err_set(err, ERR_INVALID, "tokenizer.json must be an object, not %s",
                       json_type_name(root));
    r = json_get_object(root, "model", true, &model, err);
    if (r >= 0)
        r = json_get_array(root, "added_tokens", false, &added, err);
    if (r < 0 && r != -ERR_NOT_FOUND)
        return err_wrap(err, r, "tokenizer.json");
    r = check_model_options(model, err);
    if (r >= 0)
        r = read_normalizer(t, root, err);
    if (r >= 0)
        r = read_pretokenizer(t, root, err);
    if (r >= 0)
        r = read_decoder(root, err);
    if (r >= 0)
        r = read_vocab(t, model, json_array_size(added), err);
    if (r >= 0)
        r = read_added(t, added, err);
    if (r >= 0)
        r = vocab_index(&t->vocab, err);
    if (r >= 0)
        r = read_merges(t, model, err);
    if (r >= 0)
        r = read_bpe_options(t, model, err);
    return r < 0 ? r : read_post_processor(t, root, err);
}
