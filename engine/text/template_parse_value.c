/* SPDX-License-Identifier: Apache-2.0 */
/* The parser's rules for values: literals, lists, dicts, names and brackets. */
#include <string.h>

#include "base/mem.h"
#include "engine/text/template_parse.h"

static int hex_digits(const char *p, size_t count, uint32_t *out)
{
    *out = 0;
    for (size_t i = 0; i < count; i++) {
        char c = p[i];
        uint32_t digit;

        if (c >= '0' && c <= '9')
            digit = (uint32_t)(c - '0');
        else if ((c | 32) >= 'a' && (c | 32) <= 'f')
            digit = (uint32_t)((c | 32) - 'a') + 10;
        else
            return -1;
        *out = *out << 4 | digit;
    }
    return 0;
}

/* One escape at raw[at] (after the backslash) into `to`; returns how many bytes of raw it took, or
 * 0 when it is none (the backslash then stands for itself). */
static size_t escape(struct str raw, size_t at, char *to, size_t *written)
{
    static const char letters[] = "nrtbfav\\'\"";
    static const char meant[] = "\n\r\t\b\f\a\v\\'\"";
    static const struct {
        char letter;
        size_t digits;
    } numeric[] = {{'x', 2}, {'u', 4}, {'U', 8}};
    char c = raw.ptr[at];
    const char *letter = c == '\0' ? NULL : strchr(letters, c);

    *written = 1;
    if (letter != NULL) {
        *to = meant[letter - letters];
        return 1;
    }
    *written = 0;
    if (c == '\n')
        return 1;
    for (size_t i = 0; i < ARRAY_COUNT(numeric); i++) {
        uint32_t codepoint;
        char bytes[4];

        if (c != numeric[i].letter || raw.len - at - 1 < numeric[i].digits ||
            hex_digits(raw.ptr + at + 1, numeric[i].digits, &codepoint) < 0)
            continue;
        *written = (size_t)utf8_encode(codepoint, bytes);
        memcpy(to, bytes, *written);
        return *written == 0 ? 0 : 1 + numeric[i].digits;
    }
    return 0;
}

/* The text that a literal means; it is never longer than the literal. */
static int unescape(struct parser *p, struct str raw, struct str *out)
{
    char *text = arena_alloc(&p->t->arena, raw.len + 4);
    size_t length = 0;

    if (text == NULL)
        return err_no_memory(p->err);
    for (size_t i = 0; i < raw.len;) {
        size_t written;
        size_t taken;

        if (raw.ptr[i] != '\\' || i + 1 >= raw.len) {
            text[length++] = raw.ptr[i++];
            continue;
        }
        taken = escape(raw, i + 1, text + length, &written);
        if (taken == 0)
            text[length++] = raw.ptr[i++];
        else
            i += 1 + taken;
        length += taken == 0 ? 0 : written;
    }
    *out = (struct str){text, length};
    return 0;
}

/* "a" "b" is one text. */
static int text_literal(struct parser *p, struct node *node)
{
    struct str whole = STR_NONE;
    int r;

    do {
        struct str part;

        r = unescape(p, p->token.text, &part);
        if (r < 0)
            return r;
        if (whole.ptr != NULL) {
            char *joined = arena_alloc(&p->t->arena, whole.len + part.len);

            if (joined == NULL)
                return err_no_memory(p->err);
            memcpy(joined, whole.ptr, whole.len);
            memcpy(joined + whole.len, part.ptr, part.len);
            part = (struct str){joined, whole.len + part.len};
        }
        whole = part;
        r = parser_next(p);
    } while (r >= 0 && p->token.kind == TOKEN_STRING);
    node->value = value_text(whole);
    return r;
}

static int number_literal(struct parser *p, struct node *node)
{
    int64_t integer = 0;
    double real = 0;

    if (p->token.kind == TOKEN_INTEGER && str_to_i64(p->token.text, &integer))
        node->value = value_int(integer);
    else if (p->token.kind == TOKEN_REAL && str_to_f64(p->token.text, &real))
        node->value = value_real(real);
    else
        return PARSER_FAULT(p, ERR_SYNTAX, "the number is out of range; make it smaller");
    return parser_next(p);
}

static int name_or_constant(struct parser *p, struct node *node)
{
    static const struct {
        const char *name;
        enum value_type type;
        bool boolean;
    } constants[] = {
        {"true", VALUE_BOOL, true},   {"True", VALUE_BOOL, true},  {"false", VALUE_BOOL, false},
        {"False", VALUE_BOOL, false}, {"none", VALUE_NONE, false}, {"None", VALUE_NONE, false},
    };

    node->text = p->token.text;
    node->kind = NODE_NAME;
    for (size_t i = 0; i < ARRAY_COUNT(constants); i++) {
        if (!str_is(p->token.text, constants[i].name))
            continue;
        node->kind = NODE_CONST;
        node->value = (struct value){.type = constants[i].type, .boolean = constants[i].boolean};
    }
    return parser_next(p);
}

/* Elements up to `close`, which is passed. *count: how many; *comma: a comma stood after the last.
 */
static int elements(struct parser *p, struct node *list, const char *close, int *count, bool *comma)
{
    struct node **tail = &list->children;
    int r = 0;

    *count = 0;
    *comma = false;
    while (r >= 0 && !parser_at(p, close)) {
        struct node *element = NULL;

        if (*count > 0 && !*comma)
            return parser_unexpected(p, close);
        r = parse_expression(p, &element);
        if (r >= 0)
            r = parser_deepen(p, list, element);
        if (r < 0)
            return r;
        parser_append(&tail, element);
        ++*count;
        *comma = parser_at(p, ",");
        if (*comma)
            r = parser_next(p);
    }
    return r < 0 ? r : parser_next(p);
}

/* ( ... ): a tuple if there is a comma or nothing, else just the expression. */
static int parenthesis(struct parser *p, struct node *node, struct node **out)
{
    bool comma;
    int count;
    int r = parser_next(p);

    if (r >= 0)
        r = elements(p, node, ")", &count, &comma);
    if (r < 0)
        return r;
    node->kind = NODE_LIST;
    node->flag = true;
    *out = count == 1 && !comma ? node->children : node;
    return 0;
}

static int list_literal(struct parser *p, struct node *node)
{
    bool comma;
    int count;
    int r = parser_next(p);

    node->kind = NODE_LIST;
    return r < 0 ? r : elements(p, node, "]", &count, &comma);
}

static int dict_literal(struct parser *p, struct node *node)
{
    struct node **tail = &node->children;
    int r = parser_next(p);

    node->kind = NODE_DICT;
    while (r >= 0 && !parser_at(p, "}")) {
        struct node *key = NULL;
        struct node *value = NULL;

        r = parse_expression(p, &key);
        if (r >= 0)
            r = parser_expect(p, ":");
        if (r >= 0)
            r = parse_expression(p, &value);
        if (r >= 0)
            r = parser_deepen(p, node, key);
        if (r >= 0)
            r = parser_deepen(p, node, value);
        if (r < 0)
            return r;
        parser_append(&tail, key);
        parser_append(&tail, value);
        if (!parser_at(p, "}"))
            r = parser_expect(p, ",");
    }
    return r < 0 ? r : parser_next(p);
}

int parse_primary(struct parser *p, struct node **out)
{
    struct node *node = NULL;
    int r = parser_new_node(p, NODE_CONST, &node);

    if (r < 0)
        return r;
    *out = node;
    switch (p->token.kind) {
    case TOKEN_NAME:
        return name_or_constant(p, node);
    case TOKEN_STRING:
        return text_literal(p, node);
    case TOKEN_INTEGER:
    case TOKEN_REAL:
        return number_literal(p, node);
    default:
        break;
    }
    r = parser_enter(p);
    if (r < 0)
        return r;
    if (parser_at(p, "("))
        r = parenthesis(p, node, out);
    else if (parser_at(p, "["))
        r = list_literal(p, node);
    else if (parser_at(p, "{"))
        r = dict_literal(p, node);
    else
        r = parser_unexpected(p, "a value");
    p->nesting--;
    return r;
}
