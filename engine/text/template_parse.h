/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The state of the parser and the rules that its files share. Every function returns 0 or a
 * negative error that names the line. Inside engine/text/template_parse*.c only.
 */
#ifndef SPATE_ENGINE_TEXT_TEMPLATE_PARSE_H
#define SPATE_ENGINE_TEXT_TEMPLATE_PARSE_H

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

#define PARSER_FAULT(p, code, ...) \
    template_fault((p)->err, code, (p)->t->name, (p)->token.line, __VA_ARGS__)

/* Tokens. */
int parser_next(struct parser *p);
bool parser_at(const struct parser *p, const char *operator);
bool parser_at_name(const struct parser *p, const char *name);
/* "<wanted> is expected, not <what stands here>" */
int parser_unexpected(struct parser *p, const char *wanted);
/* Passes the operator, which must stand here. */
int parser_expect(struct parser *p, const char *operator);
int parser_expect_end_of_block(struct parser *p);

/* Nodes. A rule that may call itself enters first, and takes one from p->nesting at its end. */
int parser_enter(struct parser *p);
int parser_new_node(struct parser *p, enum node_kind kind, struct node **out);
/* Must be told of each child that a node gets by hand: keeps the depth of the tree bounded. */
int parser_deepen(struct parser *p, struct node *node, const struct node *child);
int parser_adopt_left(struct parser *p, struct node *node, struct node *left);
int parser_set_right(struct parser *p, struct node *node, struct node *right);
/* A node of `kind` over what *inout holds; *inout becomes it. */
int parser_wrap(struct parser *p, enum node_kind kind, struct node **inout);
/* Appends to a list whose last link is **tail. */
void parser_append(struct node ***tail, struct node *node);

/* Rules. */
int parse_primary(struct parser *p, struct node **out);
int parse_postfix(struct parser *p, struct node **inout);
int parse_filters_and_tests(struct parser *p, struct node **inout);
int parse_expression(struct parser *p, struct node **out);
/* An expression but for 'x if y else z'. */
int parse_disjunction(struct parser *p, struct node **out);
/* An expression that may be a tuple without brackets: "a, b". */
int parse_tuple_or_expression(struct parser *p, struct node **out);
/* Up to a block tag that begins with one of `ends`, or to the end of the template if that is
 * NULL. */
int parse_statements(struct parser *p, struct node **out, const char *const *ends);

#endif
