/* SPDX-License-Identifier: Apache-2.0 */
/* The processor as a backend: fp32 activations, weights as they are stored, kernels by ISA. */
#ifndef SPATE_ENGINE_CPU_BACKEND_CPU_H
#define SPATE_ENGINE_CPU_BACKEND_CPU_H

#include "engine/engine.h"
#include "engine/model/backend.h"

/* The kernels that `isa` stands for on this machine; AUTO picks the best. -ERR_UNSUPPORTED if this
 * processor lacks what is asked for. *name lives for ever. */
int backend_cpu_isa(enum engine_isa isa, const char **name, struct err *err);

/* `threads` includes the caller of the operations; 0: one for each core that we may use. The caller
 * owns *out and releases it by its own `close`. */
int backend_cpu_open(struct backend **out, const struct backend_shape *shape, int threads,
                     enum engine_isa isa, struct err *err);

#endif
