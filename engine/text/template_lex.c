/* SPDX-License-Identifier: Apache-2.0 */
/* Tokens of a template: see template_lex.h. */
#include "engine/text/template_lex.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"

int template_fault(struct err *err, enum err_code code, const char *name, int line,
                   const char *format, ...)
{
    va_list args;
    int r;

    va_start(args, format);
    r = err_setv(err, code, format, args);
    va_end(args);
    return err_wrap(err, r, "%s, line %d", name, line);
}

void lexer_init(struct lexer *l, struct str source, const char *name, struct err *err)
{
    *l = (struct lexer){
        .source = source, .name = name, .line = 1, .line_starting = true, .err = err};
}

static bool is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_name_start(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static struct str rest_of(const struct lexer *l)
{
    return str_slice(l->source, l->at, l->source.len);
}

/* Moves on and counts the lines. */
static void advance(struct lexer *l, size_t count)
{
    for (size_t i = 0; i < count; i++)
        l->line += l->source.ptr[l->at + i] == '\n';
    l->at += count;
}

static void skip_spaces(struct lexer *l)
{
    size_t end = l->at;

    while (end < l->source.len && is_space(l->source.ptr[end]))
        end++;
    advance(l, end - l->at);
}

/* Passes the end of a block or comment: "-" takes all white space after it, nothing takes one line
 * break (trim_blocks), "+" none. `length` is that of the end itself, sign included. */
static void pass_end(struct lexer *l, size_t length, char sign, bool trim_line)
{
    advance(l, length);
    if (sign == '-')
        skip_spaces(l);
    else if (sign != '+' && trim_line && l->at < l->source.len && l->source.ptr[l->at] == '\n')
        advance(l, 1);
    l->line_starting = l->source.ptr[l->at - 1] == '\n';
}

/* Offset of the next "{{", "{%" or "{#", or the end of the source. */
static size_t find_tag(const struct lexer *l)
{
    for (size_t i = l->at; i + 1 < l->source.len; i++) {
        char c = l->source.ptr[i + 1];

        if (l->source.ptr[i] == '{' && (c == '{' || c == '%' || c == '#'))
            return i;
    }
    return l->source.len;
}

/* What is left of the text before a tag. */
static struct str cut_before_tag(const struct lexer *l, struct str text, char kind, char sign)
{
    size_t line = text.len;
    size_t end = text.len;

    if (sign == '-') {
        while (end > 0 && is_space(text.ptr[end - 1]))
            end--;
        return str_slice(text, 0, end);
    }
    if (kind == '{' || sign == '+')
        return text;
    while (line > 0 && text.ptr[line - 1] != '\n')
        line--;
    if (line == 0 && !l->line_starting)
        return text;
    for (size_t i = line; i < text.len; i++) {
        if (!is_space(text.ptr[i]))
            return text;
    }
    return str_slice(text, 0, line);
}

static int skip_comment(struct lexer *l)
{
    struct str rest = rest_of(l);
    int64_t end = str_find(str_slice(rest, 2, rest.len), STR("#}"));
    size_t length;
    char sign;

    if (end < 0)
        return template_fault(l->err, ERR_SYNTAX, l->name, l->line,
                              "the comment is never closed; add '#}'");
    length = 2 + (size_t)end;
    sign = end > 0 ? rest.ptr[length - 1] : ' ';
    advance(l, length);
    pass_end(l, 2, sign, true);
    return 0;
}

/* Text up to the next tag, or the tag itself when no text is before it. */
static int next_in_data(struct lexer *l, struct token *out)
{
    for (;;) {
        size_t tag = find_tag(l);
        struct str text = str_slice(l->source, l->at, tag);
        char kind = tag < l->source.len ? l->source.ptr[tag + 1] : '\0';
        char sign = tag + 2 < l->source.len ? l->source.ptr[tag + 2] : '\0';
        int r;

        if (text.len > 0) {
            *out = (struct token){TOKEN_DATA, text, l->line};
            if (kind != '\0')
                out->text = cut_before_tag(l, text, kind, sign);
            advance(l, text.len);
            if (out->text.len > 0)
                return 0; /* line_starting is asked for only with the text that was there */
        }
        if (kind == '\0') {
            *out = (struct token){TOKEN_END, STR_NONE, l->line};
            return 0;
        }
        if (kind == '#') {
            r = skip_comment(l);
            if (r < 0)
                return r;
            continue;
        }
        *out =
            (struct token){kind == '%' ? TOKEN_BLOCK_BEGIN : TOKEN_PRINT_BEGIN, STR_NONE, l->line};
        advance(l, sign == '-' || sign == '+' ? 3 : 2);
        l->mode = kind == '%' ? LEX_BLOCK : LEX_PRINT;
        l->open_brackets = 0;
        return 0;
    }
}

static bool at_end_of_tag(struct lexer *l, struct token *out)
{
    struct str end = l->mode == LEX_BLOCK ? STR("%}") : STR("}}");
    struct str rest = rest_of(l);
    char sign = rest.len > 0 ? rest.ptr[0] : '\0';
    bool block = l->mode == LEX_BLOCK;
    size_t length = end.len;

    if (l->open_brackets > 0)
        return false;
    if (sign == '-' || (sign == '+' && block)) {
        rest = str_slice(rest, 1, rest.len);
        length++;
    }
    if (!str_starts(rest, end))
        return false;
    *out = (struct token){block ? TOKEN_BLOCK_END : TOKEN_PRINT_END, STR_NONE, l->line};
    pass_end(l, length, sign, block);
    if (!block && sign != '-')
        l->line_starting = false;
    l->mode = LEX_DATA;
    return true;
}

static int next_string(struct lexer *l, struct token *out)
{
    char quote = l->source.ptr[l->at];
    size_t end = l->at + 1;

    while (end < l->source.len && l->source.ptr[end] != quote)
        end += l->source.ptr[end] == '\\' ? 2 : 1;
    if (end >= l->source.len)
        return template_fault(l->err, ERR_SYNTAX, l->name, l->line,
                              "the text is never closed; add %c", quote);
    *out = (struct token){TOKEN_STRING, str_slice(l->source, l->at + 1, end), l->line};
    advance(l, end + 1 - l->at);
    return 0;
}

static void next_number(struct lexer *l, struct token *out)
{
    const char *p = l->source.ptr;
    size_t end = l->at;
    enum token_kind kind = TOKEN_INTEGER;

    while (end < l->source.len && is_digit(p[end]))
        end++;
    if (end + 1 < l->source.len && p[end] == '.' && is_digit(p[end + 1])) {
        kind = TOKEN_REAL;
        end++;
        while (end < l->source.len && is_digit(p[end]))
            end++;
    }
    *out = (struct token){kind, str_slice(l->source, l->at, end), l->line};
    advance(l, end - l->at);
}

static int next_operator(struct lexer *l, struct token *out)
{
    static const char *const operators[] = {"//", "**", "==", "!=", ">=", "<=", "+", "-", "/",
                                            "*",  "%",  "~",  "[",  "]",  "(",  ")", "{", "}",
                                            ">",  "<",  "=",  ".",  ":",  "|",  ","};
    struct str rest = rest_of(l);

    for (size_t i = 0; i < ARRAY_COUNT(operators); i++) {
        struct str operator= str_of(operators[i]);

        if (!str_starts(rest, operator))
            continue;
        if (strchr("([{", operator.ptr[0]) != NULL)
            l->open_brackets++;
        else if (strchr(")]}", operator.ptr[0]) != NULL && l->open_brackets > 0)
            l->open_brackets--;
        *out = (struct token){TOKEN_OPERATOR, operator, l->line };
        advance(l, operator.len);
        return 0;
    }
    return template_fault(l->err, ERR_SYNTAX, l->name, l->line,
                          "character 0x%02x does not belong in a tag; remove it",
                          (unsigned)(unsigned char)rest.ptr[0]);
}

int lexer_next(struct lexer *l, struct token *out)
{
    size_t end;
    char c;

    if (l->mode == LEX_DATA)
        return next_in_data(l, out);
    skip_spaces(l);
    if (l->at >= l->source.len)
        return template_fault(l->err, ERR_SYNTAX, l->name, l->line,
                              "the template ends within a tag; close it with '%s'",
                              l->mode == LEX_BLOCK ? "%}" : "}}");
    if (at_end_of_tag(l, out))
        return 0;
    c = l->source.ptr[l->at];
    if (c == '\'' || c == '"')
        return next_string(l, out);
    if (is_digit(c)) {
        next_number(l, out);
        return 0;
    }
    if (!is_name_start(c))
        return next_operator(l, out);
    end = l->at;
    while (end < l->source.len &&
           (is_name_start(l->source.ptr[end]) || is_digit(l->source.ptr[end])))
        end++;
    *out = (struct token){TOKEN_NAME, str_slice(l->source, l->at, end), l->line};
    l->at = end;
    return 0;
}
