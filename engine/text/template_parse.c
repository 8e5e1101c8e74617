/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From tokens to the tree, by recursive descent with Jinja2's own order of precedence. Whatever the
 * interpreter does not do is refused here, when the model loads, with its line.
 */
#include <stdarg.h>
#include <string.h>

#include "base/mem.h"
#include "engine/text/template_lex.h"
#include "engine/text/template_tree.h"

struct parser {
    struct template *t;
    struct lexer lexer;
    struct token token; /* the current one */
    size_t nodes;
    int nesting; /* of blocks and brackets, for the parser's own recursion */
    int macros;
    int loops; /* of for blocks around this place */
    struct err *err;
};

static int expression(struct parser *p, struct node **out);
static int statements(struct parser *p, struct node **out, const char *const *ends);

#define FAULT(p, code, ...) \
    template_fault((p)->err, code, (p)->t->name, (p)->token.line, __VA_ARGS__)

static int next(struct parser *p)
{
    return lexer_next(&p->lexer, &p->token);
}

static bool at_operator(const struct parser *p, const char *operator)
{
    return p->token.kind == TOKEN_OPERATOR && str_is(p->token.text, operator);
}

static bool at_name(const struct parser *p, const char *name)
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

static int unexpected(struct parser *p, const char *wanted)
{
    char buffer[64];

    return FAULT(p, ERR_SYNTAX, "%s is expected, not %s", wanted, found(p, buffer));
}

/* Passes the operator, which must stand here. */
static int expect(struct parser *p, const char *operator)
{
    if (!at_operator(p, operator))
        return unexpected(p, operator);
    return next(p);
}

static int expect_end_of_block(struct parser *p)
{
    if (p->token.kind != TOKEN_BLOCK_END)
        return unexpected(p, "%}");
    return next(p);
}

static int enter(struct parser *p)
{
    if (++p->nesting > TEMPLATE_NESTING_MAX)
        return FAULT(p, ERR_LIMIT, "blocks and brackets nest deeper than %d; simplify it",
                     TEMPLATE_NESTING_MAX);
    return 0;
}

static int new_node(struct parser *p, enum node_kind kind, struct node **out)
{
    struct node *node;

    if (p->nodes >= TEMPLATE_NODES_MAX)
        return FAULT(p, ERR_LIMIT, "the template has more than %d parts; make it shorter",
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
static int deepen(struct parser *p, struct node *node, const struct node *child)
{
    if (child != NULL && child->depth >= node->depth)
        node->depth = child->depth + 1;
    if (node->depth > 3 * TEMPLATE_NESTING_MAX)
        return FAULT(p, ERR_LIMIT, "the expression has more than %d steps; divide it by 'set'",
                     3 * TEMPLATE_NESTING_MAX);
    return 0;
}

static int adopt_left(struct parser *p, struct node *node, struct node *left)
{
    node->left = left;
    return deepen(p, node, left);
}

/* A node of `kind` over what *inout holds; *inout becomes it. */
static int wrap(struct parser *p, enum node_kind kind, struct node **inout)
{
    struct node *node = NULL;
    int r = new_node(p, kind, &node);

    if (r >= 0)
        r = adopt_left(p, node, *inout);
    if (r >= 0)
        *inout = node;
    return r;
}

static int set_right(struct parser *p, struct node *node, struct node *right)
{
    node->right = right;
    return deepen(p, node, right);
}

/* Appends to a list whose last link is **tail. */
static void append(struct node ***tail, struct node *node)
{
    **tail = node;
    *tail = &node->next;
}

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
        r = next(p);
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
        return FAULT(p, ERR_SYNTAX, "the number is out of range; make it smaller");
    return next(p);
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
    return next(p);
}

/* Elements up to `close`, which is passed. *count: how many; *comma: a comma stood after the last.
 */
static int elements(struct parser *p, struct node *list, const char *close, int *count, bool *comma)
{
    struct node **tail = &list->children;
    int r = 0;

    *count = 0;
    *comma = false;
    while (r >= 0 && !at_operator(p, close)) {
        struct node *element = NULL;

        if (*count > 0 && !*comma)
            return unexpected(p, close);
        r = expression(p, &element);
        if (r >= 0)
            r = deepen(p, list, element);
        if (r < 0)
            return r;
        append(&tail, element);
        ++*count;
        *comma = at_operator(p, ",");
        if (*comma)
            r = next(p);
    }
    return r < 0 ? r : next(p);
}

/* ( ... ): a tuple if there is a comma or nothing, else just the expression. */
static int parenthesis(struct parser *p, struct node *node, struct node **out)
{
    bool comma;
    int count;
    int r = next(p);

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
    int r = next(p);

    node->kind = NODE_LIST;
    return r < 0 ? r : elements(p, node, "]", &count, &comma);
}

static int dict_literal(struct parser *p, struct node *node)
{
    struct node **tail = &node->children;
    int r = next(p);

    node->kind = NODE_DICT;
    while (r >= 0 && !at_operator(p, "}")) {
        struct node *key = NULL;
        struct node *value = NULL;

        r = expression(p, &key);
        if (r >= 0)
            r = expect(p, ":");
        if (r >= 0)
            r = expression(p, &value);
        if (r >= 0)
            r = deepen(p, node, key);
        if (r >= 0)
            r = deepen(p, node, value);
        if (r < 0)
            return r;
        append(&tail, key);
        append(&tail, value);
        if (!at_operator(p, "}"))
            r = expect(p, ",");
    }
    return r < 0 ? r : next(p);
}

static int primary(struct parser *p, struct node **out)
{
    struct node *node = NULL;
    int r = new_node(p, NODE_CONST, &node);

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
    r = enter(p);
    if (r < 0)
        return r;
    if (at_operator(p, "("))
        r = parenthesis(p, node, out);
    else if (at_operator(p, "["))
        r = list_literal(p, node);
    else if (at_operator(p, "{"))
        r = dict_literal(p, node);
    else
        r = unexpected(p, "a value");
    p->nesting--;
    return r;
}

/* One argument: "value" or "name=value". */
static int argument(struct parser *p, struct node *call, struct node ***tail)
{
    struct node *node = NULL;
    struct node *value = NULL;
    struct lexer ahead = p->lexer;
    struct token second = {0};
    int r = new_node(p, NODE_ARGUMENT, &node);

    if (at_operator(p, "*") || at_operator(p, "**"))
        return FAULT(p, ERR_UNSUPPORTED, "unpacking arguments with * is not supported");
    if (r >= 0 && p->token.kind == TOKEN_NAME) {
        r = lexer_next(&ahead, &second);
        if (r >= 0 && second.kind == TOKEN_OPERATOR && str_is(second.text, "=")) {
            node->text = p->token.text;
            r = next(p);
            if (r >= 0)
                r = next(p);
        }
    }
    if (r >= 0)
        r = expression(p, &value);
    if (r >= 0)
        r = adopt_left(p, node, value);
    if (r >= 0)
        r = deepen(p, call, node);
    if (r >= 0)
        append(tail, node);
    return r;
}

/* ( arguments ), the bracket standing here. */
static int arguments(struct parser *p, struct node *call)
{
    struct node **tail = &call->children;
    int r = enter(p);

    if (r >= 0)
        r = next(p);
    while (r >= 0 && !at_operator(p, ")")) {
        r = argument(p, call, &tail);
        if (r >= 0 && !at_operator(p, ")"))
            r = expect(p, ",");
    }
    p->nesting--;
    return r < 0 ? r : next(p);
}

static int attribute(struct parser *p, struct node **inout)
{
    int r = next(p);

    if (r < 0)
        return r;
    if (p->token.kind != TOKEN_NAME)
        return unexpected(p, "a name");
    r = wrap(p, NODE_ATTRIBUTE, inout);
    if (r < 0)
        return r;
    (*inout)->text = p->token.text;
    return next(p);
}

/* One part of [start:stop:step]; where nothing stands, none. */
static int slice_part(struct parser *p, struct node **out)
{
    int r;

    if (!at_operator(p, ":") && !at_operator(p, "]"))
        return expression(p, out);
    r = new_node(p, NODE_CONST, out);
    if (r >= 0)
        (*out)->value = value_none();
    return r;
}

static int slice(struct parser *p, struct node *node, struct node *start)
{
    struct node **tail = &node->children;
    int r = deepen(p, node, start);

    node->kind = NODE_SLICE;
    append(&tail, start);
    for (int i = 0; r >= 0 && i < 2; i++) {
        struct node *part = NULL;

        if (at_operator(p, ":"))
            r = next(p);
        if (r >= 0)
            r = slice_part(p, &part);
        if (r >= 0)
            r = deepen(p, node, part);
        if (r >= 0)
            append(&tail, part);
    }
    return r;
}

static int subscript(struct parser *p, struct node **inout)
{
    struct node *start = NULL;
    int r = enter(p);

    if (r >= 0)
        r = next(p);
    if (r >= 0)
        r = wrap(p, NODE_ITEM, inout);
    if (r >= 0)
        r = slice_part(p, &start);
    if (r >= 0 && at_operator(p, ":"))
        r = slice(p, *inout, start);
    else if (r >= 0)
        r = set_right(p, *inout, start);
    p->nesting--;
    return r < 0 ? r : expect(p, "]");
}

/* What may be called is known when the template is compiled. */
static int call(struct parser *p, struct node **inout)
{
    struct node *callee = *inout;
    int r;

    if (callee->kind != NODE_NAME && callee->kind != NODE_ATTRIBUTE)
        return FAULT(p, ERR_UNSUPPORTED, "calling the result of an expression is not supported");
    if (callee->kind == NODE_ATTRIBUTE && !template_knows_method(callee->text))
        return FAULT(p, ERR_UNSUPPORTED, "method .%.*s() is not supported",
                     STR_ARG(str_slice(callee->text, 0, 64)));
    r = wrap(p, NODE_CALL, inout);
    return r < 0 ? r : arguments(p, *inout);
}

static int postfix(struct parser *p, struct node **inout)
{
    int r = 0;

    while (r >= 0) {
        if (at_operator(p, "."))
            r = attribute(p, inout);
        else if (at_operator(p, "["))
            r = subscript(p, inout);
        else if (at_operator(p, "("))
            r = call(p, inout);
        else
            return 0;
    }
    return r;
}

static int filter(struct parser *p, struct node **inout)
{
    int r = next(p);

    if (r < 0)
        return r;
    if (p->token.kind != TOKEN_NAME)
        return unexpected(p, "the name of a filter");
    if (!template_knows_filter(p->token.text))
        return FAULT(p, ERR_UNSUPPORTED, "filter '%.*s' is not supported",
                     STR_ARG(str_slice(p->token.text, 0, 64)));
    r = wrap(p, NODE_FILTER, inout);
    if (r < 0)
        return r;
    (*inout)->text = p->token.text;
    r = next(p);
    if (r >= 0 && at_operator(p, "("))
        r = arguments(p, *inout);
    return r;
}

/* A test may have one argument without brackets: "is divisibleby 3". */
static int bare_argument(struct parser *p, struct node *test)
{
    struct node *node = NULL;
    struct node *value = NULL;
    int r = new_node(p, NODE_ARGUMENT, &node);

    if (r >= 0)
        r = primary(p, &value);
    if (r >= 0)
        r = postfix(p, &value);
    if (r >= 0)
        r = adopt_left(p, node, value);
    if (r >= 0)
        r = deepen(p, test, node);
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
        return at_operator(p, "[") || at_operator(p, "{");
    for (size_t i = 0; i < ARRAY_COUNT(words); i++) {
        if (at_name(p, words[i]))
            return false;
    }
    return true;
}

static int test(struct parser *p, struct node **inout)
{
    int r = next(p);
    bool negated = r >= 0 && at_name(p, "not");

    if (negated)
        r = next(p);
    if (r < 0)
        return r;
    if (p->token.kind != TOKEN_NAME)
        return unexpected(p, "the name of a test");
    if (!template_knows_test(p->token.text))
        return FAULT(p, ERR_UNSUPPORTED, "test '%.*s' is not supported",
                     STR_ARG(str_slice(p->token.text, 0, 64)));
    r = wrap(p, NODE_TEST, inout);
    if (r < 0)
        return r;
    (*inout)->text = p->token.text;
    (*inout)->flag = negated;
    r = next(p);
    if (r >= 0 && at_operator(p, "("))
        return arguments(p, *inout);
    if (r >= 0 && starts_bare_argument(p))
        return bare_argument(p, *inout);
    return r;
}

static int filters_and_tests(struct parser *p, struct node **inout)
{
    int r = 0;

    while (r >= 0) {
        if (at_operator(p, "|"))
            r = filter(p, inout);
        else if (at_name(p, "is"))
            r = test(p, inout);
        else
            return 0;
    }
    return r;
}

static int unary(struct parser *p, struct node **out, bool with_filters)
{
    int r;

    if (at_operator(p, "-") || at_operator(p, "+")) {
        bool negate = at_operator(p, "-");

        r = enter(p);
        if (r >= 0)
            r = next(p);
        if (r >= 0)
            r = unary(p, out, false);
        if (r >= 0 && negate)
            r = wrap(p, NODE_NEGATE, out);
        p->nesting--;
    } else {
        r = primary(p, out);
    }
    if (r >= 0)
        r = postfix(p, out);
    if (r >= 0 && with_filters)
        r = filters_and_tests(p, out);
    if (r >= 0 && at_operator(p, "**"))
        return FAULT(p, ERR_UNSUPPORTED, "operator ** is not supported");
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
        if (at_operator(p, b->text))
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

        r = next(p);
        if (r >= 0)
            r = arithmetic(p, &right, level + 1);
        if (r >= 0)
            r = wrap(p, NODE_BINARY, out);
        if (r < 0)
            return r;
        (*out)->op = binary->op;
        r = set_right(p, *out, right);
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
        if (!at_operator(p, comparisons[i].text))
            continue;
        *op = comparisons[i].op;
        r = next(p);
        return r < 0 ? r : 1;
    }
    *op = OP_IN;
    if (at_name(p, "not")) {
        r = lexer_next(&ahead, &second);
        if (r < 0 || second.kind != TOKEN_NAME || !str_is(second.text, "in"))
            return r < 0 ? r : 0;
        *op = OP_NOT_IN;
        r = next(p);
        if (r < 0)
            return r;
    }
    if (!at_name(p, "in"))
        return 0;
    r = next(p);
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
            r = wrap(p, NODE_COMPARE, out);
            if (r < 0)
                return r;
            tail = &(*out)->children;
        }
        compare = *out;
        r = new_node(p, NODE_OPERAND, &operand);
        if (r >= 0)
            r = arithmetic(p, &value, 0);
        if (r < 0)
            return r;
        operand->op = op;
        r = adopt_left(p, operand, value);
        if (r >= 0)
            r = deepen(p, compare, operand);
        append(&tail, operand);
    }
    return r;
}

static int negation(struct parser *p, struct node **out)
{
    int r;

    if (!at_name(p, "not"))
        return comparison(p, out);
    r = enter(p);
    if (r >= 0)
        r = next(p);
    if (r >= 0)
        r = negation(p, out);
    if (r >= 0)
        r = wrap(p, NODE_NOT, out);
    p->nesting--;
    return r;
}

static int conjunction(struct parser *p, struct node **out)
{
    int r = negation(p, out);

    while (r >= 0 && at_name(p, "and")) {
        struct node *right = NULL;

        r = next(p);
        if (r >= 0)
            r = negation(p, &right);
        if (r >= 0)
            r = wrap(p, NODE_AND, out);
        if (r >= 0)
            r = set_right(p, *out, right);
    }
    return r;
}

static int disjunction(struct parser *p, struct node **out)
{
    int r = conjunction(p, out);

    while (r >= 0 && at_name(p, "or")) {
        struct node *right = NULL;

        r = next(p);
        if (r >= 0)
            r = conjunction(p, &right);
        if (r >= 0)
            r = wrap(p, NODE_OR, out);
        if (r >= 0)
            r = set_right(p, *out, right);
    }
    return r;
}

/* value if condition else other */
static int choice(struct parser *p, struct node **inout)
{
    struct node *then = *inout;
    struct node *condition = NULL;
    struct node *other = NULL;
    int r = next(p);

    if (r >= 0)
        r = disjunction(p, &condition);
    if (r >= 0 && at_name(p, "else")) {
        r = next(p);
        if (r >= 0)
            r = expression(p, &other);
    }
    if (r >= 0)
        r = wrap(p, NODE_CHOICE, inout);
    if (r < 0)
        return r;
    (*inout)->left = condition;
    (*inout)->third = other;
    r = deepen(p, *inout, condition);
    if (r >= 0)
        r = deepen(p, *inout, other);
    return r < 0 ? r : set_right(p, *inout, then);
}

static int expression(struct parser *p, struct node **out)
{
    int r = enter(p);

    if (r >= 0)
        r = disjunction(p, out);
    while (r >= 0 && at_name(p, "if"))
        r = choice(p, out);
    p->nesting--;
    return r;
}

/* An expression that may be a tuple without brackets: "a, b". */
static int tuple_or_expression(struct parser *p, struct node **out)
{
    struct node *tuple = NULL;
    struct node **tail;
    int r = expression(p, out);

    if (r < 0 || !at_operator(p, ","))
        return r;
    r = new_node(p, NODE_LIST, &tuple);
    if (r < 0)
        return r;
    tuple->flag = true;
    tail = &tuple->children;
    append(&tail, *out);
    r = deepen(p, tuple, *out);
    *out = tuple;
    while (r >= 0 && at_operator(p, ",")) {
        struct node *element = NULL;

        r = next(p);
        if (r < 0 || p->token.kind == TOKEN_BLOCK_END || p->token.kind == TOKEN_PRINT_END)
            return r;
        r = expression(p, &element);
        if (r >= 0)
            r = deepen(p, tuple, element);
        if (r >= 0)
            append(&tail, element);
    }
    return r;
}

/* a, b  or  ns.a: what set and for assign to. */
static int targets(struct parser *p, struct node **out, bool attributes)
{
    struct node **tail = out;
    int r = 0;

    do {
        struct node *target = NULL;

        if (p->token.kind != TOKEN_NAME)
            return unexpected(p, "a name");
        r = new_node(p, NODE_TARGET, &target);
        if (r < 0)
            return r;
        target->text = p->token.text;
        append(&tail, target);
        r = next(p);
        if (r >= 0 && attributes && at_operator(p, ".")) {
            r = next(p);
            if (r >= 0 && p->token.kind != TOKEN_NAME)
                return unexpected(p, "a name");
            if (r >= 0)
                r = new_node(p, NODE_CONST, &target->right);
            if (r < 0)
                return r;
            target->right->value = value_text(p->token.text);
            r = next(p);
        }
        if (r < 0 || !at_operator(p, ","))
            return r;
        r = next(p);
    } while (r >= 0);
    return r;
}

static int body_until(struct parser *p, struct node *node, const char *const *ends)
{
    int r = expect_end_of_block(p);

    return r < 0 ? r : statements(p, &node->children, ends);
}

/* Passes "endx %}", at whose name the parser stands. */
static int close_block(struct parser *p)
{
    int r = next(p);

    return r < 0 ? r : expect_end_of_block(p);
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

        r = next(p); /* if, elif or else */
        if (r >= 0)
            r = new_node(p, NODE_BRANCH, &branch);
        if (r < 0)
            return r;
        append(&tail, branch);
        if (!is_else)
            r = tuple_or_expression(p, &branch->left);
        if (r >= 0)
            r = body_until(p, branch, is_else ? last : ends);
        is_else = r >= 0 && at_name(p, "else");
    } while (r >= 0 && !at_name(p, "endif"));
    return r < 0 ? r : close_block(p);
}

static int for_loop(struct parser *p, struct node *node)
{
    static const char *const ends[] = {"else", "endfor", NULL};
    static const char *const last[] = {"endfor", NULL};
    int r = next(p);

    if (r >= 0)
        r = targets(p, &node->names, false);
    if (r >= 0 && !at_name(p, "in"))
        return unexpected(p, "'in'");
    if (r >= 0)
        r = next(p);
    if (r >= 0)
        r = disjunction(p, &node->left);
    if (r >= 0 && at_name(p, "if")) {
        r = next(p);
        if (r >= 0)
            r = expression(p, &node->right);
    }
    if (r >= 0 && at_name(p, "recursive"))
        return FAULT(p, ERR_UNSUPPORTED, "recursive loops are not supported");
    p->loops++;
    if (r >= 0)
        r = body_until(p, node, ends);
    p->loops--;
    if (r >= 0 && at_name(p, "else")) {
        r = next(p);
        if (r >= 0)
            r = new_node(p, NODE_BRANCH, &node->third);
        if (r >= 0)
            r = body_until(p, node->third, last);
    }
    return r < 0 ? r : close_block(p);
}

static int set_statement(struct parser *p, struct node *node)
{
    static const char *const ends[] = {"endset", NULL};
    int r = next(p);

    if (r >= 0)
        r = targets(p, &node->names, true);
    if (r < 0)
        return r;
    if (at_operator(p, "=")) {
        r = next(p);
        if (r >= 0)
            r = tuple_or_expression(p, &node->left);
        return r < 0 ? r : expect_end_of_block(p);
    }
    if (at_operator(p, "|"))
        return FAULT(p, ERR_UNSUPPORTED, "a filter on a set block is not supported");
    node->flag = true;
    r = body_until(p, node, ends);
    return r < 0 ? r : close_block(p);
}

static int macro_params(struct parser *p, struct node *node)
{
    struct node **tail = &node->names;
    int r = expect(p, "(");

    while (r >= 0 && !at_operator(p, ")")) {
        struct node *param = NULL;

        if (p->token.kind != TOKEN_NAME)
            return unexpected(p, "the name of a parameter");
        r = new_node(p, NODE_PARAM, &param);
        if (r < 0)
            return r;
        param->text = p->token.text;
        append(&tail, param);
        r = next(p);
        if (r >= 0 && at_operator(p, "=")) {
            r = next(p);
            if (r >= 0)
                r = expression(p, &param->left);
        }
        if (r >= 0 && !at_operator(p, ")"))
            r = expect(p, ",");
    }
    return r < 0 ? r : next(p);
}

static int macro(struct parser *p, struct node *node)
{
    static const char *const ends[] = {"endmacro", NULL};
    int loops = p->loops;
    int r = next(p);

    if (r >= 0 && p->token.kind != TOKEN_NAME)
        return unexpected(p, "the name of the macro");
    if (++p->macros > TEMPLATE_MACROS_MAX)
        return FAULT(p, ERR_LIMIT, "there are more than %d macros", TEMPLATE_MACROS_MAX);
    node->text = p->token.text;
    node->right = p->t->macros;
    p->t->macros = node;
    if (r >= 0)
        r = next(p);
    if (r >= 0 && at_operator(p, "("))
        r = macro_params(p, node);
    p->loops = 0;
    if (r >= 0)
        r = body_until(p, node, ends);
    p->loops = loops;
    if (r >= 0)
        r = next(p);
    if (r >= 0 && p->token.kind == TOKEN_NAME) /* endmacro may repeat the name */
        r = next(p);
    return r < 0 ? r : expect_end_of_block(p);
}

static int leave_loop(struct parser *p)
{
    if (p->loops == 0)
        return FAULT(p, ERR_SYNTAX, "'%.*s' stands outside of a loop", STR_ARG(p->token.text));
    return close_block(p);
}

/* generation marks training text in transformers; it prints its body. */
static int generation(struct parser *p, struct node *node)
{
    static const char *const ends[] = {"endgeneration", NULL};
    int r = next(p);

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
        if (!at_name(p, blocks[i].name))
            continue;
        node->kind = blocks[i].kind;
        return blocks[i].parse(p, node);
    }
    if (at_name(p, "break") || at_name(p, "continue")) {
        node->kind = at_name(p, "break") ? NODE_BREAK : NODE_CONTINUE;
        return leave_loop(p);
    }
    if (p->token.kind != TOKEN_NAME)
        return unexpected(p, "the name of a block");
    if (str_starts(p->token.text, STR("end")) || at_name(p, "else") || at_name(p, "elif"))
        return FAULT(p, ERR_SYNTAX, "'%.*s' has no block to which it belongs; remove it",
                     STR_ARG(str_slice(p->token.text, 0, 64)));
    return FAULT(p, ERR_UNSUPPORTED, "block '%.*s' is not supported",
                 STR_ARG(str_slice(p->token.text, 0, 64)));
}

static int print(struct parser *p, struct node *node)
{
    int r = next(p);

    node->kind = NODE_PRINT;
    if (r >= 0)
        r = tuple_or_expression(p, &node->left);
    if (r >= 0 && p->token.kind != TOKEN_PRINT_END)
        return unexpected(p, "}}");
    return r < 0 ? r : next(p);
}

static bool at_one_of(const struct parser *p, const char *const *names)
{
    for (; names != NULL && *names != NULL; names++) {
        if (at_name(p, *names))
            return true;
    }
    return false;
}

/* One statement; *done: one of `ends` was found instead, and the parser stands at its name. */
static int statement(struct parser *p, struct node ***tail, const char *const *ends, bool *done)
{
    struct node *node = NULL;
    int r = new_node(p, NODE_TEXT, &node);

    if (r < 0)
        return r;
    if (p->token.kind == TOKEN_DATA) {
        node->text = p->token.text;
        append(tail, node);
        return next(p);
    }
    if (p->token.kind == TOKEN_PRINT_BEGIN) {
        append(tail, node);
        return print(p, node);
    }
    r = next(p);
    if (r < 0)
        return r;
    *done = at_one_of(p, ends);
    if (*done)
        return 0;
    append(tail, node);
    return block(p, node);
}

/* Up to a block tag that begins with one of `ends`, or to the end of the template if that is NULL.
 */
static int statements(struct parser *p, struct node **out, const char *const *ends)
{
    struct node **tail = out;
    bool done = false;
    int r = enter(p);

    while (r >= 0 && !done && p->token.kind != TOKEN_END)
        r = statement(p, &tail, ends, &done);
    p->nesting--;
    if (r < 0 || done || ends == NULL)
        return r;
    while (ends[1] != NULL) /* the last one closes the block */
        ends++;
    return FAULT(p, ERR_SYNTAX, "the template ends where '%s' is missing", *ends);
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
    r = next(&p);
    if (r >= 0)
        r = statements(&p, &t->body, NULL);
    return r < 0 ? r : check_calls(t, t->body, err);
}
