/* SPDX-License-Identifier: Apache-2.0 */
/* How many ids a tokenizer.json has: the highest of vocabulary and added tokens, plus one. */
#ifndef SPATE_ENGINE_LOAD_VOCAB_SIZE_H
#define SPATE_ENGINE_LOAD_VOCAB_SIZE_H

#include "base/err.h"
#include "base/str.h"

enum { VOCAB_FILE_BYTES_MAX = 64 << 20 };

int vocab_size_read(struct str json, const char *what, int *out, struct err *err);

#endif
