/* SPDX-License-Identifier: Apache-2.0 */
/* config.json and tokenizer.json's size: accepted values are within their ranges. */
#include <stdlib.h>

#include "engine/load/model_config.h"
#include "engine/load/vocab_size.h"

#include "fuzz_target.h"

static void check(const struct model_config *c)
{
    if (c->hidden < 1 || c->hidden > MODEL_HIDDEN_MAX || c->layers < 1 ||
        c->layers > MODEL_LAYERS_MAX || c->vocab_rows < 1 || c->vocab_rows > MODEL_VOCAB_MAX)
        abort();
    if (c->heads < 1 || c->kv_heads < 1 || c->heads % c->kv_heads != 0 || c->head_dim < 2 ||
        c->head_dim % 2 != 0 || c->head_dim > MODEL_HEAD_DIM_MAX)
        abort();
    if (!(c->norm_eps > 0) || !(c->rope.theta >= 1))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct str text = {(const char *)data, size};
    struct model_config c;
    struct err err;
    int vocab_size = 0;

    if (model_config_read(&c, text, "input", &err) == 0)
        check(&c);
    if (vocab_size_read(text, "input", &vocab_size, &err) == 0 &&
        (vocab_size < 1 || vocab_size > MODEL_VOCAB_MAX))
        abort();
    return 0;
}
