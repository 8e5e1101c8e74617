/* SPDX-License-Identifier: Apache-2.0 */
/* The tree of a compiled template. One kind of node serves all; the comments say what of it each
 * kind uses. Nodes lie in the template's arena. Inside engine/text/template*.c only. */
#ifndef SPATE_ENGINE_TEXT_TEMPLATE_TREE_H
#define SPATE_ENGINE_TEXT_TEMPLATE_TREE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "engine/text/template.h"
#include "engine/text/template_value.h"

enum node_kind {
    /* statements */
    NODE_TEXT,   /* text */
    NODE_PRINT,  /* left */
    NODE_IF,     /* children: NODE_BRANCH ... */
    NODE_BRANCH, /* left: condition or NULL (else); children: body */
    NODE_FOR,    /* targets in names; left: over what; right: filter or NULL; children: body;
                    third: NODE_BRANCH with the else body, or NULL */
    NODE_SET,    /* targets in names; left: value; or, with flag: children: captured body */
    NODE_MACRO,  /* text: name; names: NODE_PARAM ...; children: body; right: the macro before */
    NODE_BREAK,
    NODE_CONTINUE,
    NODE_GROUP, /* children: body, in the same scope */
    /* parts of statements */
    NODE_TARGET, /* text: name; right: NULL, or NODE_CONST with the attribute of a namespace */
    NODE_PARAM,  /* text: name; left: default or NULL */
    /* expressions */
    NODE_CONST,     /* value */
    NODE_NAME,      /* text */
    NODE_LIST,      /* children; flag: a tuple */
    NODE_DICT,      /* children: key, value, key, value ... */
    NODE_ATTRIBUTE, /* left, text */
    NODE_ITEM,      /* left, right */
    NODE_SLICE,     /* left; children: start, stop, step, each NODE_CONST none where left out */
    NODE_CALL,      /* left: function name; or left NODE_ATTRIBUTE: method; children: arguments */
    NODE_ARGUMENT,  /* left: value; text: keyword or empty */
    NODE_FILTER,    /* left: subject; text: name; children: arguments */
    NODE_TEST,      /* left: subject; text: name; children: arguments; flag: negated */
    NODE_NOT,       /* left */
    NODE_NEGATE,    /* left */
    NODE_BINARY,    /* op, left, right */
    NODE_COMPARE,   /* left; children: NODE_OPERAND ... (a < b < c) */
    NODE_OPERAND,   /* op, left */
    NODE_AND,       /* left, right */
    NODE_OR,        /* left, right */
    NODE_CHOICE,    /* left: condition; right: then; third: else or NULL */
};

enum operation {
    OP_ADD,
    OP_SUBTRACT,
    OP_MULTIPLY,
    OP_DIVIDE,
    OP_FLOOR_DIVIDE,
    OP_MODULO,
    OP_CONCAT,
    OP_EQUAL,
    OP_NOT_EQUAL,
    OP_LESS,
    OP_LESS_EQUAL,
    OP_GREATER,
    OP_GREATER_EQUAL,
    OP_IN,
    OP_NOT_IN,
};

struct node {
    enum node_kind kind;
    int line;
    int depth; /* of the tree below it */
    enum operation op;
    bool flag;
    struct str text;
    struct value value;
    struct node *left;
    struct node *right;
    struct node *third;
    struct node *names;
    struct node *children;
    struct node *next; /* in the list that it belongs to */
};

struct template
{
    struct arena arena; /* everything below */
    const char *name;
    struct node *body;   /* first statement */
    struct node *macros; /* last one, linked by `right` */
};

/* Parses `source` (which lives as long as the template) into t->body. */
int template_parse(struct template *t, struct str source, struct err *err);

/* Names that the interpreter knows; the parser refuses all others. */
bool template_knows_filter(struct str name);
bool template_knows_test(struct str name);
bool template_knows_method(struct str name);
bool template_knows_function(struct str name);

#endif
