/* SPDX-License-Identifier: Apache-2.0 */
/* Counting a tokenizer's ids: see vocab_size.h. */
#include "engine/load/vocab_size.h"

#include "base/json.h"
#include "engine/load/model_config.h"

enum { VOCAB_DEPTH_MAX = 32 };

static int raise_to(int *size, const json_t *id, const char *where, struct err *err)
{
    json_int_t value = json_is_integer(id) ? json_integer_value(id) : -1;

    if (value < 0 || value >= MODEL_VOCAB_MAX)
        return err_set(err, ERR_INVALID, "an id of %s is no integer from 0 to %d", where,
                       MODEL_VOCAB_MAX - 1);
    if ((int)value >= *size)
        *size = (int)value + 1;
    return 0;
}

static int count_vocab(int *size, json_t *root, struct err *err)
{
    json_t *model = NULL, *vocab = NULL;
    const char *piece;
    json_t *id;
    int r = json_get_object(root, "model", true, &model, err);

    if (r == 0)
        r = json_get_object(model, "vocab", true, &vocab, err);
    if (r < 0)
        return r;
    json_object_foreach (vocab, piece, id) {
        r = raise_to(size, id, "'model.vocab'", err);
        if (r < 0)
            return r;
    }
    return 0;
}

static int count_added(int *size, const json_t *root, struct err *err)
{
    json_t *added = NULL;
    int r = json_get_array(root, "added_tokens", false, &added, err);

    if (r < 0)
        return r == -ERR_NOT_FOUND ? 0 : r;
    for (size_t i = 0; i < json_array_size(added); i++) {
        r = raise_to(size, json_object_get(json_array_get(added, i), "id"), "'added_tokens'", err);
        if (r < 0)
            return r;
    }
    return 0;
}

int vocab_size_read(struct str json, const char *what, int *out, struct err *err)
{
    const struct json_limits limits = {VOCAB_FILE_BYTES_MAX, VOCAB_DEPTH_MAX};
    json_auto_t *root = NULL;
    int size = 0;
    int r = json_read(&root, json, &limits, what, err);

    if (r < 0)
        return r;
    if (!json_is_object(root))
        return err_set(err, ERR_INVALID, "%s must hold an object, not %s", what,
                       json_type_name(root));
    r = count_vocab(&size, root, err);
    if (r == 0)
        r = count_added(&size, root, err);
    if (r == 0 && size == 0)
        r = err_set(err, ERR_INVALID, "the vocabulary is empty");
    if (r < 0)
        return err_wrap(err, r, "%s", what);
    *out = size;
    return 0;
}
