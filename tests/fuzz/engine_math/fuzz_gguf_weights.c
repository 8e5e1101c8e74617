/* SPDX-License-Identifier: Apache-2.0 */
/* A GGUF file as a model: names, shapes, sizes; accepted ones are dequantised whole. */
#include "base/mem.h"
#include "engine/load/weights.h"
#include "engine/model/transformer.h"

#include "fuzz_target.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    CLEANUP(weights_closep) struct weights *w = NULL;
    const struct model_config *c;
    struct tensor t;
    struct err err;

    if (weights_open_bytes(&w, data, size, &err) < 0)
        return 0;
    c = weights_config(w);
    (void)weights_take(w, "model.layers.0.self_attn.q_proj.weight", 2,
                       (const int64_t[]){c->heads * (int64_t)c->head_dim, c->hidden}, &t, &err);
    (void)weights_take(w, "model.layers.0.self_attn.v_proj.weight", 2,
                       (const int64_t[]){c->kv_heads * (int64_t)c->head_dim, c->hidden}, &t, &err);
    (void)transformer_check(w, NULL, &err);
    return 0;
}
