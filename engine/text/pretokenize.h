/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Cutting text into pretokens, inside which BPE then merges. A pre-tokenizer is a sequence of
 * stages; each cuts the pieces of the one before ("isolated" splits: matches and the gaps between
 * them both become pieces). The patterns are known ones, matched by hand in linear time; their text
 * is recognised letter by letter. Pure; thread-safe.
 */
#ifndef SPATE_ENGINE_TEXT_PRETOKENIZE_H
#define SPATE_ENGINE_TEXT_PRETOKENIZE_H

#include <stddef.h>

#include "base/str.h"

enum pretoken_stage {
    PRETOKEN_GPT2,     /* the pattern of GPT-2 */
    PRETOKEN_LLAMA3,   /* numbers by up to three digits */
    PRETOKEN_QWEN2,    /* the same, numbers by one digit */
    PRETOKEN_DIGIT,    /* each numeric character alone (SmolLM's first stage) */
    PRETOKEN_DIGITS3,  /* DeepSeek-V3 and R1, first stage */
    PRETOKEN_CJK,      /* second */
    PRETOKEN_DEEPSEEK, /* third */
    PRETOKEN_STAGE_COUNT
};

enum { PRETOKEN_STAGES_MAX = 4 };

struct pretokenizer {
    enum pretoken_stage stages[PRETOKEN_STAGES_MAX];
    int stage_count;
};

/* The stage whose regular expression this is, or -1. */
int pretoken_stage_of_pattern(struct str pattern);
/* The stages that GGUF's tokenizer.ggml.pre names; -1: unknown. */
int pretokenizer_of_name(struct str name, struct pretokenizer *out);

/* Called for each pretoken in order; a negative result ends the cutting and is returned. */
typedef int (*pretoken_fn)(void *context, struct str pretoken);
/* `text` must be valid UTF-8. */
int pretokenize(const struct pretokenizer *p, struct str text, pretoken_fn emit, void *context);

#endif
