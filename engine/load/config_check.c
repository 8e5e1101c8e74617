/* SPDX-License-Identifier: Apache-2.0 */
/* Relations between configuration values: see config_check.h. */
#include "engine/load/config_check.h"

int config_check(const struct model_config *c, struct err *err)
{
    if (c->heads % c->kv_heads != 0)
        return err_set(err, ERR_INVALID,
                       "%d attention heads cannot share %d key/value heads evenly", c->heads,
                       c->kv_heads);
    if (c->head_dim % 2 != 0)
        return err_set(err, ERR_INVALID, "head dimension %d is odd; rotary embedding needs pairs",
                       c->head_dim);
    if ((int64_t)c->heads * c->head_dim > 4 * (int64_t)MODEL_HIDDEN_MAX)
        return err_set(err, ERR_LIMIT, "%d heads of %d values are more than %d in all", c->heads,
                       c->head_dim, 4 * MODEL_HIDDEN_MAX);
    return 0;
}
