/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A tokenizer from the files of a Hugging Face folder: what stands beside tokenizer.json (special
 * tokens, the chat template, recommended sampling), and all of them together.
 */
#include "base/json.h"
#include "base/mem.h"
#include "engine/text/tokenizer_parts.h"

/* A special token in a configuration: its text, or an object with it; ptr NULL: not given. */
static struct str special_text(const json_t *config, const json_t *map, const char *key)
{
    const json_t *sources[] = {config, map};

    for (size_t i = 0; i < ARRAY_COUNT(sources); i++) {
        const json_t *value = json_object_get(sources[i], key);

        if (json_is_object(value))
            value = json_object_get(value, "content");
        if (json_is_string(value))
            return json_str(value);
    }
    return STR_NONE;
}

static int set_special(struct tokenizer *t, struct str text, int32_t *id, char **copy,
                       struct err *err)
{
    if (text.ptr == NULL)
        return 0;
    *id = tokenizer_added_id(t, text);
    if (*id < 0)
        *id = vocab_find(&t->vocab, text);
    *copy = mem_strndup(text.ptr, text.len);
    return *copy == NULL ? err_no_memory(err) : 0;
}

/* add_bos_token and add_eos_token override what the post-processor says. */
static int read_frame_flags(struct tokenizer *t, const json_t *config, struct err *err)
{
    int bos = tokenizer_read_flag(config, "add_bos_token", t->prefix_count > 0, err);
    int eos = tokenizer_read_flag(config, "add_eos_token", t->suffix_count > 0, err);

    if (bos < 0 || eos < 0)
        return err_wrap(err, -ERR_INVALID, "tokenizer_config.json");
    if (bos == 0)
        t->prefix_count = 0;
    if (eos == 0)
        t->suffix_count = 0;
    if (bos != 0 && t->prefix_count == 0 && t->bos >= 0)
        t->prefix[t->prefix_count++] = t->bos;
    if (eos != 0 && t->suffix_count == 0 && t->eos >= 0)
        t->suffix[t->suffix_count++] = t->eos;
    return 0;
}

/* chat_template: a text, or a list of named ones of which "default" is taken. */
static int read_chat_template(struct tokenizer *t, const json_t *config, struct str file,
                              struct err *err)
{
    const json_t *given = json_object_get(config, "chat_template");

    if (file.len > 0)
        return tokenizer_set_chat_template(t, file, err);
    if (json_is_string(given))
        return tokenizer_set_chat_template(t, json_str(given), err);
    for (size_t i = 0; i < json_array_size(given); i++) {
        const json_t *named = json_array_get(given, i);

        if (str_is(json_str(json_object_get(named, "name")), "default"))
            return tokenizer_set_chat_template(t, json_str(json_object_get(named, "template")),
                                               err);
    }
    return 0;
}

/* An optional file that must be an object where it is given. */
static int read_object(json_t **out, struct str text, const char *name, struct err *err)
{
    int r;

    if (text.len == 0)
        return 0;
    r = json_read(out, text, &tokenizer_file_limits, name, err);
    if (r >= 0 && !json_is_object(*out))
        return err_set(err, ERR_INVALID, "%s must be an object, not %s", name,
                       json_type_name(*out));
    return r;
}

static int read_config(struct tokenizer *t, const struct tokenizer_files *files, struct err *err)
{
    json_auto_t *config = NULL;
    json_auto_t *map = NULL;
    int r = read_object(&config, files->config, "tokenizer_config.json", err);

    if (r >= 0)
        r = read_object(&map, files->special_map, "special_tokens_map.json", err);
    if (r >= 0)
        r = set_special(t, special_text(config, map, "bos_token"), &t->bos, &t->bos_text, err);
    if (r >= 0)
        r = set_special(t, special_text(config, map, "eos_token"), &t->eos, &t->eos_text, err);
    if (r >= 0)
        r = read_frame_flags(t, config, err);
    if (r >= 0)
        r = read_chat_template(t, config, files->chat_template, err);
    return r;
}

static int read_default(const json_t *root, const char *key, double max, float *out,
                        struct err *err)
{
    double value;
    int r = json_get_f64(root, key, false, 0, max, &value, err);

    if (r >= 0)
        *out = (float)value;
    return r == -ERR_NOT_FOUND ? 0 : r;
}

static int read_eos_ids(struct tokenizer *t, const json_t *eos, struct err *err)
{
    int r = 0;

    if (json_is_integer(eos))
        return tokenizer_add_stop_id(t, json_integer_value(eos), err);
    for (size_t i = 0; r >= 0 && i < json_array_size(eos); i++) {
        const json_t *id = json_array_get(eos, i);

        r = tokenizer_add_stop_id(t, json_is_integer(id) ? json_integer_value(id) : -1, err);
    }
    return r;
}

int tokenizer_read_generation(struct tokenizer *t, struct str text, struct err *err)
{
    json_auto_t *root = NULL;
    struct tokenizer_defaults *d = &t->defaults;
    int64_t top_k = -1;
    int r = read_object(&root, text, "generation_config.json", err);

    if (r < 0)
        return r;
    r = read_eos_ids(t, json_object_get(root, "eos_token_id"), err);
    if (r >= 0)
        r = read_default(root, "temperature", 100, &d->temperature, err);
    if (r >= 0)
        r = read_default(root, "top_p", 1, &d->top_p, err);
    if (r >= 0)
        r = read_default(root, "min_p", 1, &d->min_p, err);
    if (r >= 0)
        r = read_default(root, "repetition_penalty", 100, &d->repetition_penalty, err);
    if (r >= 0)
        r = json_get_i64(root, "top_k", false, 0, INT32_MAX, &top_k, err);
    if (r < 0 && r != -ERR_NOT_FOUND)
        return err_wrap(err, r, "generation_config.json");
    d->top_k = (int32_t)top_k;
    return 0;
}

int tokenizer_open_files(struct tokenizer **out, const struct tokenizer_files *files,
                         struct err *err)
{
    CLEANUP(tokenizer_freep) struct tokenizer *t = tokenizer_alloc();
    int r;

    if (t == NULL)
        return err_no_memory(err);
    r = tokenizer_read_json(t, files->tokenizer, err);
    if (r >= 0)
        r = read_config(t, files, err);
    if (r >= 0 && t->eos >= 0)
        r = tokenizer_add_stop_id(t, t->eos, err);
    if (r >= 0)
        r = tokenizer_read_generation(t, files->generation, err);
    if (r < 0)
        return r;
    *out = STEAL(t);
    return 0;
}
