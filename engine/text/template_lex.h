/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tokens of a template, one at a time, with Jinja2's white space control as transformers sets it
 * (trim_blocks, lstrip_blocks). A lexer is a plain value: a copy of it looks ahead.
 */
#ifndef SPATE_ENGINE_TEXT_TEMPLATE_LEX_H
#define SPATE_ENGINE_TEXT_TEMPLATE_LEX_H

#include <stdbool.h>

#include "base/err.h"
#include "base/str.h"

enum token_kind {
    TOKEN_END,
    TOKEN_DATA, /* text between the tags */
    TOKEN_BLOCK_BEGIN,
    TOKEN_BLOCK_END,
    TOKEN_PRINT_BEGIN,
    TOKEN_PRINT_END,
    TOKEN_NAME,
    TOKEN_STRING, /* without its quotes, escapes not resolved */
    TOKEN_INTEGER,
    TOKEN_REAL,
    TOKEN_OPERATOR,
};

struct token {
    enum token_kind kind;
    struct str text;
    int line;
};

enum lex_mode { LEX_DATA, LEX_BLOCK, LEX_PRINT };

struct lexer {
    struct str source;
    const char *name; /* for messages */
    size_t at;
    int line;
    enum lex_mode mode;
    int open_brackets;  /* within a tag; ends of tags count only outside of brackets */
    bool line_starting; /* what was passed last ended a line */
    struct err *err;
};

/* `source` has \n line breaks only and no last one. */
void lexer_init(struct lexer *l, struct str source, const char *name, struct err *err);
int lexer_next(struct lexer *l, struct token *out);

/* A fault at a line of the template; returns -code. */
int template_fault(struct err *err, enum err_code code, const char *name, int line,
                   const char *format, ...) __attribute__((format(printf, 5, 6)));

#endif
