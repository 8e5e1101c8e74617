/* SPDX-License-Identifier: Apache-2.0 */
/* What the files that read a request share; inside wire/ only. All return a negative number with
 * the error set, if they fail. */
#ifndef SPATE_WIRE_OPENAI_PARTS_H
#define SPATE_WIRE_OPENAI_PARTS_H

#include "wire/openai.h"

int openai_bad(struct openai_error *e, const char *param, const struct err *err);
int openai_no_memory(struct openai_error *e);

/* Getters in the manner of json_get_*, that turn a fault into an API error. 1: the member was there
 * (get_bool: 0 either way). */
int openai_get_bool(const json_t *tree, const char *key, bool *out, struct openai_error *e);
int openai_get_i64(const json_t *tree, const char *key, int64_t min, int64_t max, int64_t *out,
                   struct openai_error *e);
int openai_get_f64(const json_t *tree, const char *key, double min, double max, double *out,
                   struct openai_error *e);
/* A copy in the arena. */
int openai_get_text(const json_t *tree, const char *key, bool required, struct str *out,
                    struct arena *arena, struct openai_error *e);

/* null, false, or an empty list or object. */
bool openai_asks_nothing(const json_t *value);
/* Refuses what would change the answer and is not done. */
int openai_refuse(const json_t *tree, struct openai_error *e);

int openai_read_messages(struct openai_request *out, const json_t *tree, struct arena *arena,
                         struct openai_error *e);
int openai_read_prompt(struct openai_request *out, const json_t *tree, struct arena *arena,
                       struct openai_error *e);

#endif
