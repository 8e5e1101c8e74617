/* SPDX-License-Identifier: Apache-2.0 */
/* The parser's rules for operators, loosest last: a sign binds closest, 'x if y else z' the least.
 */
#include "base/mem.h"
#include "engine/text/template_parse.h"

static int unary(struct parser *p, struct node **out, bool with_filters)
{
    int r;

    if (parser_at(p, "-") || parser_at(p, "+")) {
        bool negate = parser_at(p, "-");

        r = parser_enter(p);
        if (r >= 0)
            r = parser_next(p);
        if (r >= 0)
            r = unary(p, out, false);
        if (r >= 0 && negate)
            r = parser_wrap(p, NODE_NEGATE, out);
        p->nesting--;
    } else {
        r = parse_primary(p, out);
    }
    if (r >= 0)
        r = parse_postfix(p, out);
    if (r >= 0 && with_filters)
        r = parse_filters_and_tests(p, out);
    if (r >= 0 && parser_at(p, "**"))
        return PARSER_FAULT(p, ERR_UNSUPPORTED, "operator ** is not supported");
    return r;
}

struct binary {
    const char *text;
    enum operation op;
};

/* Binary operators in levels, loosest first; all bind to the left. */
static const struct binary levels[3][5] = {
    {{"+", OP_ADD}, {"-", OP_SUBTRACT}},
    {{"~", OP_CONCAT}},
    {{"*", OP_MULTIPLY}, {"//", OP_FLOOR_DIVIDE}, {"/", OP_DIVIDE}, {"%", OP_MODULO}},
};

static const struct binary *operator_here(const struct parser *p, int level)
{
    for (const struct binary *b = levels[level]; b->text != NULL; b++) {
        if (parser_at(p, b->text))
            return b;
    }
    return NULL;
}

static int arithmetic(struct parser *p, struct node **out, int level)
{
    const struct binary *binary;
    int r;

    if (level == ARRAY_COUNT(levels))
        return unary(p, out, true);
    r = arithmetic(p, out, level + 1);
    while (r >= 0 && (binary = operator_here(p, level)) != NULL) {
        struct node *right = NULL;

        r = parser_next(p);
        if (r >= 0)
            r = arithmetic(p, &right, level + 1);
        if (r >= 0)
            r = parser_wrap(p, NODE_BINARY, out);
        if (r < 0)
            return r;
        (*out)->op = binary->op;
        r = parser_set_right(p, *out, right);
    }
    return r;
}

/* 1: a comparison stands here and was passed; 0: none. */
static int comparison_operator(struct parser *p, enum operation *op)
{
    static const struct binary comparisons[] = {
        {"==", OP_EQUAL},         {"!=", OP_NOT_EQUAL}, {"<=", OP_LESS_EQUAL},
        {">=", OP_GREATER_EQUAL}, {"<", OP_LESS},       {">", OP_GREATER},
    };
    struct lexer ahead = p->lexer;
    struct token second = {0};
    int r;

    for (size_t i = 0; i < ARRAY_COUNT(comparisons); i++) {
        if (!parser_at(p, comparisons[i].text))
            continue;
        *op = comparisons[i].op;
        r = parser_next(p);
        return r < 0 ? r : 1;
    }
    *op = OP_IN;
    if (parser_at_name(p, "not")) {
        r = lexer_next(&ahead, &second);
        if (r < 0 || second.kind != TOKEN_NAME || !str_is(second.text, "in"))
            return r < 0 ? r : 0;
        *op = OP_NOT_IN;
        r = parser_next(p);
        if (r < 0)
            return r;
    }
    if (!parser_at_name(p, "in"))
        return 0;
    r = parser_next(p);
    return r < 0 ? r : 1;
}

static int comparison(struct parser *p, struct node **out)
{
    struct node **tail = NULL;
    struct node *compare;
    int r = arithmetic(p, out, 0);

    while (r >= 0) {
        struct node *operand = NULL;
        struct node *value = NULL;
        enum operation op;

        r = comparison_operator(p, &op);
        if (r <= 0)
            return r;
        if (tail == NULL) {
            r = parser_wrap(p, NODE_COMPARE, out);
            if (r < 0)
                return r;
            tail = &(*out)->children;
        }
        compare = *out;
        r = parser_new_node(p, NODE_OPERAND, &operand);
        if (r >= 0)
            r = arithmetic(p, &value, 0);
        if (r < 0)
            return r;
        operand->op = op;
        r = parser_adopt_left(p, operand, value);
        if (r >= 0)
            r = parser_deepen(p, compare, operand);
        parser_append(&tail, operand);
    }
    return r;
}

static int negation(struct parser *p, struct node **out)
{
    int r;

    if (!parser_at_name(p, "not"))
        return comparison(p, out);
    r = parser_enter(p);
    if (r >= 0)
        r = parser_next(p);
    if (r >= 0)
        r = negation(p, out);
    if (r >= 0)
        r = parser_wrap(p, NODE_NOT, out);
    p->nesting--;
    return r;
}

static int conjunction(struct parser *p, struct node **out)
{
    int r = negation(p, out);

    while (r >= 0 && parser_at_name(p, "and")) {
        struct node *right = NULL;

        r = parser_next(p);
        if (r >= 0)
            r = negation(p, &right);
        if (r >= 0)
            r = parser_wrap(p, NODE_AND, out);
        if (r >= 0)
            r = parser_set_right(p, *out, right);
    }
    return r;
}

int parse_disjunction(struct parser *p, struct node **out)
{
    int r = conjunction(p, out);

    while (r >= 0 && parser_at_name(p, "or")) {
        struct node *right = NULL;

        r = parser_next(p);
        if (r >= 0)
            r = conjunction(p, &right);
        if (r >= 0)
            r = parser_wrap(p, NODE_OR, out);
        if (r >= 0)
            r = parser_set_right(p, *out, right);
    }
    return r;
}

/* value if condition else other */
static int choice(struct parser *p, struct node **inout)
{
    struct node *then = *inout;
    struct node *condition = NULL;
    struct node *other = NULL;
    int r = parser_next(p);

    if (r >= 0)
        r = parse_disjunction(p, &condition);
    if (r >= 0 && parser_at_name(p, "else")) {
        r = parser_next(p);
        if (r >= 0)
            r = parse_expression(p, &other);
    }
    if (r >= 0)
        r = parser_wrap(p, NODE_CHOICE, inout);
    if (r < 0)
        return r;
    (*inout)->left = condition;
    (*inout)->third = other;
    r = parser_deepen(p, *inout, condition);
    if (r >= 0)
        r = parser_deepen(p, *inout, other);
    return r < 0 ? r : parser_set_right(p, *inout, then);
}

int parse_expression(struct parser *p, struct node **out)
{
    int r = parser_enter(p);

    if (r >= 0)
        r = parse_disjunction(p, out);
    while (r >= 0 && parser_at_name(p, "if"))
        r = choice(p, out);
    p->nesting--;
    return r;
}

/* An expression that may be a tuple without brackets: "a, b". */
int parse_tuple_or_expression(struct parser *p, struct node **out)
{
    struct node *tuple = NULL;
    struct node **tail;
    int r = parse_expression(p, out);

    if (r < 0 || !parser_at(p, ","))
        return r;
    r = parser_new_node(p, NODE_LIST, &tuple);
    if (r < 0)
        return r;
    tuple->flag = true;
    tail = &tuple->children;
    parser_append(&tail, *out);
    r = parser_deepen(p, tuple, *out);
    *out = tuple;
    while (r >= 0 && parser_at(p, ",")) {
        struct node *element = NULL;

        r = parser_next(p);
        if (r < 0 || p->token.kind == TOKEN_BLOCK_END || p->token.kind == TOKEN_PRINT_END)
            return r;
        r = parse_expression(p, &element);
        if (r >= 0)
            r = parser_deepen(p, tuple, element);
        if (r >= 0)
            parser_append(&tail, element);
    }
    return r;
}
