/* SPDX-License-Identifier: Apache-2.0 */
/* What must hold between the values of a configuration, whichever file they came from. */
#ifndef SPATE_ENGINE_LOAD_CONFIG_CHECK_H
#define SPATE_ENGINE_LOAD_CONFIG_CHECK_H

#include "base/err.h"
#include "engine/load/model_config.h"

int config_check(const struct model_config *c, struct err *err);

#endif
