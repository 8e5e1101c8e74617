/* SPDX-License-Identifier: Apache-2.0 */
/* The parser's rules for statements: text, {{ ... }} and the blocks between {% and %}. */
#include "base/mem.h"
#include "engine/text/template_parse.h"

/* a, b  or  ns.a: what set and for assign to. */
static int targets(struct parser *p, struct node **out, bool attributes)
{
    struct node **tail = out;
    int r = 0;

    do {
        struct node *target = NULL;

        if (p->token.kind != TOKEN_NAME)
            return parser_unexpected(p, "a name");
        r = parser_new_node(p, NODE_TARGET, &target);
        if (r < 0)
            return r;
        target->text = p->token.text;
        parser_append(&tail, target);
        r = parser_next(p);
        if (r >= 0 && attributes && parser_at(p, ".")) {
            r = parser_next(p);
            if (r >= 0 && p->token.kind != TOKEN_NAME)
                return parser_unexpected(p, "a name");
            if (r >= 0)
                r = parser_new_node(p, NODE_CONST, &target->right);
            if (r < 0)
                return r;
            target->right->value = value_text(p->token.text);
            r = parser_next(p);
        }
        if (r < 0 || !parser_at(p, ","))
            return r;
        r = parser_next(p);
    } while (r >= 0);
    return r;
}

static int body_until(struct parser *p, struct node *node, const char *const *ends)
{
    int r = parser_expect_end_of_block(p);

    return r < 0 ? r : parse_statements(p, &node->children, ends);
}

/* Passes "endx %}", at whose name the parser stands. */
static int close_block(struct parser *p)
{
    int r = parser_next(p);

    return r < 0 ? r : parser_expect_end_of_block(p);
}

static int if_branches(struct parser *p, struct node *node)
{
    static const char *const ends[] = {"elif", "else", "endif", NULL};
    static const char *const last[] = {"endif", NULL};
    struct node **tail = &node->children;
    bool is_else = false;
    int r;

    do {
        struct node *branch = NULL;

        r = parser_next(p); /* if, elif or else */
        if (r >= 0)
            r = parser_new_node(p, NODE_BRANCH, &branch);
        if (r < 0)
            return r;
        parser_append(&tail, branch);
        if (!is_else)
            r = parse_tuple_or_expression(p, &branch->left);
        if (r >= 0)
            r = body_until(p, branch, is_else ? last : ends);
        is_else = r >= 0 && parser_at_name(p, "else");
    } while (r >= 0 && !parser_at_name(p, "endif"));
    return r < 0 ? r : close_block(p);
}

static int for_loop(struct parser *p, struct node *node)
{
    static const char *const ends[] = {"else", "endfor", NULL};
    static const char *const last[] = {"endfor", NULL};
    int r = parser_next(p);

    if (r >= 0)
        r = targets(p, &node->names, false);
    if (r >= 0 && !parser_at_name(p, "in"))
        return parser_unexpected(p, "'in'");
    if (r >= 0)
        r = parser_next(p);
    if (r >= 0)
        r = parse_disjunction(p, &node->left);
    if (r >= 0 && parser_at_name(p, "if")) {
        r = parser_next(p);
        if (r >= 0)
            r = parse_expression(p, &node->right);
    }
    if (r >= 0 && parser_at_name(p, "recursive"))
        return PARSER_FAULT(p, ERR_UNSUPPORTED, "recursive loops are not supported");
    p->loops++;
    if (r >= 0)
        r = body_until(p, node, ends);
    p->loops--;
    if (r >= 0 && parser_at_name(p, "else")) {
        r = parser_next(p);
        if (r >= 0)
            r = parser_new_node(p, NODE_BRANCH, &node->third);
        if (r >= 0)
            r = body_until(p, node->third, last);
    }
    return r < 0 ? r : close_block(p);
}

static int set_statement(struct parser *p, struct node *node)
{
    static const char *const ends[] = {"endset", NULL};
    int r = parser_next(p);

    if (r >= 0)
        r = targets(p, &node->names, true);
    if (r < 0)
        return r;
    if (parser_at(p, "=")) {
        r = parser_next(p);
        if (r >= 0)
            r = parse_tuple_or_expression(p, &node->left);
        return r < 0 ? r : parser_expect_end_of_block(p);
    }
    if (parser_at(p, "|"))
        return PARSER_FAULT(p, ERR_UNSUPPORTED, "a filter on a set block is not supported");
    node->flag = true;
    r = body_until(p, node, ends);
    return r < 0 ? r : close_block(p);
}

static int macro_params(struct parser *p, struct node *node)
{
    struct node **tail = &node->names;
    int r = parser_expect(p, "(");

    while (r >= 0 && !parser_at(p, ")")) {
        struct node *param = NULL;

        if (p->token.kind != TOKEN_NAME)
            return parser_unexpected(p, "the name of a parameter");
        r = parser_new_node(p, NODE_PARAM, &param);
        if (r < 0)
            return r;
        param->text = p->token.text;
        parser_append(&tail, param);
        r = parser_next(p);
        if (r >= 0 && parser_at(p, "=")) {
            r = parser_next(p);
            if (r >= 0)
                r = parse_expression(p, &param->left);
        }
        if (r >= 0 && !parser_at(p, ")"))
            r = parser_expect(p, ",");
    }
    return r < 0 ? r : parser_next(p);
}

static int macro(struct parser *p, struct node *node)
{
    static const char *const ends[] = {"endmacro", NULL};
    int loops = p->loops;
    int r = parser_next(p);

    if (r >= 0 && p->token.kind != TOKEN_NAME)
        return parser_unexpected(p, "the name of the macro");
    if (++p->macros > TEMPLATE_MACROS_MAX)
        return PARSER_FAULT(p, ERR_LIMIT, "there are more than %d macros", TEMPLATE_MACROS_MAX);
    node->text = p->token.text;
    node->right = p->t->macros;
    p->t->macros = node;
    if (r >= 0)
        r = parser_next(p);
    if (r >= 0 && parser_at(p, "("))
        r = macro_params(p, node);
    p->loops = 0;
    if (r >= 0)
        r = body_until(p, node, ends);
    p->loops = loops;
    if (r >= 0)
        r = parser_next(p);
    if (r >= 0 && p->token.kind == TOKEN_NAME) /* endmacro may repeat the name */
        r = parser_next(p);
    return r < 0 ? r : parser_expect_end_of_block(p);
}

static int leave_loop(struct parser *p)
{
    if (p->loops == 0)
        return PARSER_FAULT(p, ERR_SYNTAX, "'%.*s' stands outside of a loop",
                            STR_ARG(p->token.text));
    return close_block(p);
}

/* generation marks training text in transformers; it prints its body. */
static int generation(struct parser *p, struct node *node)
{
    static const char *const ends[] = {"endgeneration", NULL};
    int r = parser_next(p);

    if (r >= 0)
        r = body_until(p, node, ends);
    return r < 0 ? r : close_block(p);
}

static int block(struct parser *p, struct node *node)
{
    static const struct {
        const char *name;
        enum node_kind kind;
        int (*parse)(struct parser *, struct node *);
    } blocks[] = {
        {"if", NODE_IF, if_branches},           {"for", NODE_FOR, for_loop},
        {"set", NODE_SET, set_statement},       {"macro", NODE_MACRO, macro},
        {"generation", NODE_GROUP, generation},
    };

    for (size_t i = 0; i < ARRAY_COUNT(blocks); i++) {
        if (!parser_at_name(p, blocks[i].name))
            continue;
        node->kind = blocks[i].kind;
        return blocks[i].parse(p, node);
    }
    if (parser_at_name(p, "break") || parser_at_name(p, "continue")) {
        node->kind = parser_at_name(p, "break") ? NODE_BREAK : NODE_CONTINUE;
        return leave_loop(p);
    }
    if (p->token.kind != TOKEN_NAME)
        return parser_unexpected(p, "the name of a block");
    if (str_starts(p->token.text, STR("end")) || parser_at_name(p, "else") ||
        parser_at_name(p, "elif"))
        return PARSER_FAULT(p, ERR_SYNTAX, "'%.*s' has no block to which it belongs; remove it",
                            STR_ARG(str_slice(p->token.text, 0, 64)));
    return PARSER_FAULT(p, ERR_UNSUPPORTED, "block '%.*s' is not supported",
                        STR_ARG(str_slice(p->token.text, 0, 64)));
}

static int print(struct parser *p, struct node *node)
{
    int r = parser_next(p);

    node->kind = NODE_PRINT;
    if (r >= 0)
        r = parse_tuple_or_expression(p, &node->left);
    if (r >= 0 && p->token.kind != TOKEN_PRINT_END)
        return parser_unexpected(p, "}}");
    return r < 0 ? r : parser_next(p);
}

static bool at_one_of(const struct parser *p, const char *const *names)
{
    for (; names != NULL && *names != NULL; names++) {
        if (parser_at_name(p, *names))
            return true;
    }
    return false;
}

/* One statement; *done: one of `ends` was found instead, and the parser stands at its name. */
static int statement(struct parser *p, struct node ***tail, const char *const *ends, bool *done)
{
    struct node *node = NULL;
    int r = parser_new_node(p, NODE_TEXT, &node);

    if (r < 0)
        return r;
    if (p->token.kind == TOKEN_DATA) {
        node->text = p->token.text;
        parser_append(tail, node);
        return parser_next(p);
    }
    if (p->token.kind == TOKEN_PRINT_BEGIN) {
        parser_append(tail, node);
        return print(p, node);
    }
    r = parser_next(p);
    if (r < 0)
        return r;
    *done = at_one_of(p, ends);
    if (*done)
        return 0;
    parser_append(tail, node);
    return block(p, node);
}

/* Up to a block tag that begins with one of `ends`, or to the end of the template if that is NULL.
 */
int parse_statements(struct parser *p, struct node **out, const char *const *ends)
{
    struct node **tail = out;
    bool done = false;
    int r = parser_enter(p);

    while (r >= 0 && !done && p->token.kind != TOKEN_END)
        r = statement(p, &tail, ends, &done);
    p->nesting--;
    if (r < 0 || done || ends == NULL)
        return r;
    while (ends[1] != NULL) /* the last one closes the block */
        ends++;
    return PARSER_FAULT(p, ERR_SYNTAX, "the template ends where '%s' is missing", *ends);
}
