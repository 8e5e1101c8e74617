/* SPDX-License-Identifier: Apache-2.0 */
/* The parser's rules for what follows a value: attributes, items, slices, calls, filters, tests. */
#include "base/mem.h"
#include "engine/text/template_parse.h"

/* One argument: "value" or "name=value". */
static int argument(struct parser *p, struct node *call, struct node ***tail)
{
    struct node *node = NULL;
    struct node *value = NULL;
    struct lexer ahead = p->lexer;
    struct token second = {0};
    int r = parser_new_node(p, NODE_ARGUMENT, &node);

    if (parser_at(p, "*") || parser_at(p, "**"))
        return PARSER_FAULT(p, ERR_UNSUPPORTED, "unpacking arguments with * is not supported");
    if (r >= 0 && p->token.kind == TOKEN_NAME) {
        r = lexer_next(&ahead, &second);
        if (r >= 0 && second.kind == TOKEN_OPERATOR && str_is(second.text, "=")) {
            node->text = p->token.text;
            r = parser_next(p);
            if (r >= 0)
                r = parser_next(p);
        }
    }
    if (r >= 0)
        r = parse_expression(p, &value);
    if (r >= 0)
        r = parser_adopt_left(p, node, value);
    if (r >= 0)
        r = parser_deepen(p, call, node);
    if (r >= 0)
        parser_append(tail, node);
    return r;
}

/* ( arguments ), the bracket standing here. */
static int arguments(struct parser *p, struct node *call)
{
    struct node **tail = &call->children;
    int r = parser_enter(p);

    if (r >= 0)
        r = parser_next(p);
    while (r >= 0 && !parser_at(p, ")")) {
        r = argument(p, call, &tail);
        if (r >= 0 && !parser_at(p, ")"))
            r = parser_expect(p, ",");
    }
    p->nesting--;
    return r < 0 ? r : parser_next(p);
}

static int attribute(struct parser *p, struct node **inout)
{
    int r = parser_next(p);

    if (r < 0)
        return r;
    if (p->token.kind != TOKEN_NAME)
        return parser_unexpected(p, "a name");
    r = parser_wrap(p, NODE_ATTRIBUTE, inout);
    if (r < 0)
        return r;
    (*inout)->text = p->token.text;
    return parser_next(p);
}

/* One part of [start:stop:step]; where nothing stands, none. */
static int slice_part(struct parser *p, struct node **out)
{
    int r;

    if (!parser_at(p, ":") && !parser_at(p, "]"))
        return parse_expression(p, out);
    r = parser_new_node(p, NODE_CONST, out);
    if (r >= 0)
        (*out)->value = value_none();
    return r;
}

static int slice(struct parser *p, struct node *node, struct node *start)
{
    struct node **tail = &node->children;
    int r = parser_deepen(p, node, start);

    node->kind = NODE_SLICE;
    parser_append(&tail, start);
    for (int i = 0; r >= 0 && i < 2; i++) {
        struct node *part = NULL;

        if (parser_at(p, ":"))
            r = parser_next(p);
        if (r >= 0)
            r = slice_part(p, &part);
        if (r >= 0)
            r = parser_deepen(p, node, part);
        if (r >= 0)
            parser_append(&tail, part);
    }
    return r;
}

static int subscript(struct parser *p, struct node **inout)
{
    struct node *start = NULL;
    int r = parser_enter(p);

    if (r >= 0)
        r = parser_next(p);
    if (r >= 0)
        r = parser_wrap(p, NODE_ITEM, inout);
    if (r >= 0)
        r = slice_part(p, &start);
    if (r >= 0 && parser_at(p, ":"))
        r = slice(p, *inout, start);
    else if (r >= 0)
        r = parser_set_right(p, *inout, start);
    p->nesting--;
    return r < 0 ? r : parser_expect(p, "]");
}

/* What may be called is known when the template is compiled. */
static int call(struct parser *p, struct node **inout)
{
    struct node *callee = *inout;
    int r;

    if (callee->kind != NODE_NAME && callee->kind != NODE_ATTRIBUTE)
        return PARSER_FAULT(p, ERR_UNSUPPORTED,
                            "calling the result of an expression is not supported");
    if (callee->kind == NODE_ATTRIBUTE && !template_knows_method(callee->text))
        return PARSER_FAULT(p, ERR_UNSUPPORTED, "method .%.*s() is not supported",
                            STR_ARG(str_slice(callee->text, 0, 64)));
    r = parser_wrap(p, NODE_CALL, inout);
    return r < 0 ? r : arguments(p, *inout);
}

int parse_postfix(struct parser *p, struct node **inout)
{
    int r = 0;

    while (r >= 0) {
        if (parser_at(p, "."))
            r = attribute(p, inout);
        else if (parser_at(p, "["))
            r = subscript(p, inout);
        else if (parser_at(p, "("))
            r = call(p, inout);
        else
            return 0;
    }
    return r;
}

static int filter(struct parser *p, struct node **inout)
{
    int r = parser_next(p);

    if (r < 0)
        return r;
    if (p->token.kind != TOKEN_NAME)
        return parser_unexpected(p, "the name of a filter");
    if (!template_knows_filter(p->token.text))
        return PARSER_FAULT(p, ERR_UNSUPPORTED, "filter '%.*s' is not supported",
                            STR_ARG(str_slice(p->token.text, 0, 64)));
    r = parser_wrap(p, NODE_FILTER, inout);
    if (r < 0)
        return r;
    (*inout)->text = p->token.text;
    r = parser_next(p);
    if (r >= 0 && parser_at(p, "("))
        r = arguments(p, *inout);
    return r;
}

/* A test may have one argument without brackets: "is divisibleby 3". */
static int bare_argument(struct parser *p, struct node *test)
{
    struct node *node = NULL;
    struct node *value = NULL;
    int r = parser_new_node(p, NODE_ARGUMENT, &node);

    if (r >= 0)
        r = parse_primary(p, &value);
    if (r >= 0)
        r = parse_postfix(p, &value);
    if (r >= 0)
        r = parser_adopt_left(p, node, value);
    if (r >= 0)
        r = parser_deepen(p, test, node);
    if (r >= 0)
        test->children = node;
    return r;
}

static bool starts_bare_argument(const struct parser *p)
{
    static const char *const words[] = {"else", "or", "and", "is", "if", "in", "not"};

    if (p->token.kind == TOKEN_STRING || p->token.kind == TOKEN_INTEGER ||
        p->token.kind == TOKEN_REAL)
        return true;
    if (p->token.kind != TOKEN_NAME)
        return parser_at(p, "[") || parser_at(p, "{");
    for (size_t i = 0; i < ARRAY_COUNT(words); i++) {
        if (parser_at_name(p, words[i]))
            return false;
    }
    return true;
}

static int test(struct parser *p, struct node **inout)
{
    int r = parser_next(p);
    bool negated = r >= 0 && parser_at_name(p, "not");

    if (negated)
        r = parser_next(p);
    if (r < 0)
        return r;
    if (p->token.kind != TOKEN_NAME)
        return parser_unexpected(p, "the name of a test");
    if (!template_knows_test(p->token.text))
        return PARSER_FAULT(p, ERR_UNSUPPORTED, "test '%.*s' is not supported",
                            STR_ARG(str_slice(p->token.text, 0, 64)));
    r = parser_wrap(p, NODE_TEST, inout);
    if (r < 0)
        return r;
    (*inout)->text = p->token.text;
    (*inout)->flag = negated;
    r = parser_next(p);
    if (r >= 0 && parser_at(p, "("))
        return arguments(p, *inout);
    if (r >= 0 && starts_bare_argument(p))
        return bare_argument(p, *inout);
    return r;
}

int parse_filters_and_tests(struct parser *p, struct node **inout)
{
    int r = 0;

    while (r >= 0) {
        if (parser_at(p, "|"))
            r = filter(p, inout);
        else if (parser_at_name(p, "is"))
            r = test(p, inout);
        else
            return 0;
    }
    return r;
}
