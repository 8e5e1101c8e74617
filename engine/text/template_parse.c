/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From tokens to the tree, by recursive descent with Jinja2's own order of precedence. Whatever the
 * interpreter does not do is refused here, when the model loads, with its line. This file: what all
 * rules build on, and the check of the whole.
 */
#include <string.h>

#include "base/mem.h"
#include "engine/text/template_parse.h"

int parser_next(struct parser *p)
{
    return lexer_next(&p->lexer, &p->token);
}

bool parser_at(const struct parser *p, const char *operator)
{
    return p->token.kind == TOKEN_OPERATOR && str_is(p->token.text, operator);
}

bool parser_at_name(const struct parser *p, const char *name)
{
    return p->token.kind == TOKEN_NAME && str_is(p->token.text, name);
}

/* What stands here, for messages. */
static const char *found(const struct parser *p, char buffer[64])
{
    switch (p->token.kind) {
    case TOKEN_END:
        return "the end of the template";
    case TOKEN_BLOCK_END:
    case TOKEN_PRINT_END:
        return "the end of the tag";
    default:
        break;
    }
    buffer[0] = '\'';
    size_t length = p->token.text.len < 40 ? p->token.text.len : 40;

    if (length > 0)
        memcpy(buffer + 1, p->token.text.ptr, length);
    memcpy(buffer + 1 + length, "'", 2);
    return buffer;
}

int parser_unexpected(struct parser *p, const char *wanted)
{
    char buffer[64];

    return PARSER_FAULT(p, ERR_SYNTAX, "%s is expected, not %s", wanted, found(p, buffer));
}

/* Passes the operator, which must stand here. */
int parser_expect(struct parser *p, const char *operator)
{
    if (!parser_at(p, operator))
        return parser_unexpected(p, operator);
    return parser_next(p);
}

int parser_expect_end_of_block(struct parser *p)
{
    if (p->token.kind != TOKEN_BLOCK_END)
        return parser_unexpected(p, "%}");
    return parser_next(p);
}

int parser_enter(struct parser *p)
{
    if (++p->nesting > TEMPLATE_NESTING_MAX)
        return PARSER_FAULT(p, ERR_LIMIT, "blocks and brackets nest deeper than %d; simplify it",
                            TEMPLATE_NESTING_MAX);
    return 0;
}

int parser_new_node(struct parser *p, enum node_kind kind, struct node **out)
{
    struct node *node;

    if (p->nodes >= TEMPLATE_NODES_MAX)
        return PARSER_FAULT(p, ERR_LIMIT, "the template has more than %d parts; make it shorter",
                            TEMPLATE_NODES_MAX);
    node = arena_alloc(&p->t->arena, sizeof(*node));
    if (node == NULL)
        return err_no_memory(p->err);
    p->nodes++;
    node->kind = kind;
    node->line = p->token.line;
    node->depth = 1;
    *out = node;
    return 0;
}

/* The interpreter recurses over the tree, so its depth has a limit of its own: a chain such as
 * a + b + c ... is deep without brackets. */
int parser_deepen(struct parser *p, struct node *node, const struct node *child)
{
    if (child != NULL && child->depth >= node->depth)
        node->depth = child->depth + 1;
    if (node->depth > 3 * TEMPLATE_NESTING_MAX)
        return PARSER_FAULT(p, ERR_LIMIT,
                            "the expression has more than %d steps; divide it by 'set'",
                            3 * TEMPLATE_NESTING_MAX);
    return 0;
}

int parser_adopt_left(struct parser *p, struct node *node, struct node *left)
{
    node->left = left;
    return parser_deepen(p, node, left);
}

/* A node of `kind` over what *inout holds; *inout becomes it. */
int parser_wrap(struct parser *p, enum node_kind kind, struct node **inout)
{
    struct node *node = NULL;
    int r = parser_new_node(p, kind, &node);

    if (r >= 0)
        r = parser_adopt_left(p, node, *inout);
    if (r >= 0)
        *inout = node;
    return r;
}

int parser_set_right(struct parser *p, struct node *node, struct node *right)
{
    node->right = right;
    return parser_deepen(p, node, right);
}

/* Appends to a list whose last link is **tail. */
void parser_append(struct node ***tail, struct node *node)
{
    **tail = node;
    *tail = &node->next;
}

static bool defines_macro(const struct template *t, struct str name)
{
    for (const struct node *macro = t->macros; macro != NULL; macro = macro->right) {
        if (str_eq(macro->text, name))
            return true;
    }
    return false;
}

/* Every function called by its name must be one of ours or a macro of the template. */
static int check_calls(const struct template *t, const struct node *node, struct err *err)
{
    const struct node *parts[5];
    int r = 0;

    for (; node != NULL && r >= 0; node = node->next) {
        if (node->kind == NODE_CALL && node->left->kind == NODE_NAME &&
            !template_knows_function(node->left->text) && !defines_macro(t, node->left->text))
            return template_fault(err, ERR_UNSUPPORTED, t->name, node->line,
                                  "function '%.*s' is not supported",
                                  STR_ARG(str_slice(node->left->text, 0, 64)));
        parts[0] = node->left;
        parts[1] = node->kind == NODE_MACRO ? NULL : node->right;
        parts[2] = node->third;
        parts[3] = node->names;
        parts[4] = node->children;
        for (size_t i = 0; r >= 0 && i < ARRAY_COUNT(parts); i++)
            r = check_calls(t, parts[i], err);
    }
    return r;
}

int template_parse(struct template *t, struct str source, struct err *err)
{
    struct parser p = {.t = t, .err = err};
    int r;

    lexer_init(&p.lexer, source, t->name, err);
    r = parser_next(&p);
    if (r >= 0)
        r = parse_statements(&p, &t->body, NULL);
    return r < 0 ? r : check_calls(t, t->body, err);
}
