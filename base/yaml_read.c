/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The YAML reader: libyaml's events to JSON trees. See yaml.h. Recursion is bounded by
 * YAML_DEPTH_MAX, and every event is deleted by the function that parsed it.
 */
#include <string.h>
#include <yaml.h>

#include "base/mem.h"
#include "base/yaml.h"
#include "base/yaml_scalar.h"

struct reader {
    yaml_parser_t parser;
    const char *what;
    struct err *err;
    int depth;
};

static int read_node(struct reader *r, const yaml_event_t *event, json_t **out);

static int fail(struct reader *r, const yaml_mark_t *mark, enum err_code code, const char *message)
{
    return err_set(r->err, code, "%s:%zu:%zu: %s", r->what, mark->line + 1, mark->column + 1,
                   message);
}

/* libyaml's own complaint, which speaks of bytes that are no text in another way. */
static int fail_syntax(struct reader *r)
{
    const yaml_parser_t *p = &r->parser;
    const char *problem = p->problem != NULL ? p->problem : "malformed YAML";

    if (p->error == YAML_MEMORY_ERROR)
        return err_no_memory(r->err);
    if (p->error == YAML_READER_ERROR)
        return err_set(r->err, ERR_SYNTAX, "%s: byte %zu: %s", r->what, p->problem_offset, problem);
    if (p->context != NULL)
        return err_set(r->err, ERR_SYNTAX, "%s:%zu:%zu: %s (%s)", r->what, p->problem_mark.line + 1,
                       p->problem_mark.column + 1, problem, p->context);
    return fail(r, &p->problem_mark, ERR_SYNTAX, problem);
}

static int next(struct reader *r, yaml_event_t *event)
{
    if (!yaml_parser_parse(&r->parser, event)) {
        memset(event, 0, sizeof(*event));
        return fail_syntax(r);
    }
    return 0;
}

static int read_scalar(struct reader *r, const yaml_event_t *event, json_t **out)
{
    struct str text = {(const char *)event->data.scalar.value, event->data.scalar.length};

    if (memchr(text.ptr, 0, text.len) != NULL)
        return fail(r, &event->start_mark, ERR_INVALID, "a NUL character is not accepted");
    if (event->data.scalar.style != YAML_PLAIN_SCALAR_STYLE) {
        *out = json_stringn(text.ptr, text.len);
        return *out == NULL ? err_no_memory(r->err) : 0;
    }
    switch (yaml_scalar_resolve(text, out)) {
    case YAML_SCALAR_VALUE:
        return 0;
    case YAML_SCALAR_NO_MEMORY:
        return err_no_memory(r->err);
    case YAML_SCALAR_TOO_BIG:
        return fail(r, &event->start_mark, ERR_INVALID,
                    "the integer does not fit into 64 bits; quote it to make it a string");
    case YAML_SCALAR_NOT_FINITE:
        return fail(r, &event->start_mark, ERR_INVALID,
                    "infinity and NaN are not accepted; quote it to make it a string");
    }
    return err_set(r->err, ERR_INTERNAL, "%s: unknown scalar", r->what);
}

static int read_sequence(struct reader *r, json_t **out)
{
    json_auto_t *array = json_array();
    int result = array == NULL ? err_no_memory(r->err) : 0;
    bool over = false;

    while (result == 0 && !over) {
        json_t *item = NULL;
        yaml_event_t event;

        result = next(r, &event);
        if (result == 0 && event.type == YAML_SEQUENCE_END_EVENT)
            over = true;
        else if (result == 0)
            result = read_node(r, &event, &item);
        if (item != NULL && json_array_append_new(array, item) != 0)
            result = err_no_memory(r->err);
        yaml_event_delete(&event);
    }
    if (result == 0)
        *out = json_incref(array);
    return result;
}

static int check_key(struct reader *r, const yaml_event_t *event, const json_t *object)
{
    const char *key = (const char *)event->data.scalar.value;

    if (event->type == YAML_ALIAS_EVENT || event->data.scalar.anchor != NULL)
        return fail(r, &event->start_mark, ERR_INVALID, "anchors and aliases are not accepted");
    if (event->type != YAML_SCALAR_EVENT)
        return fail(r, &event->start_mark, ERR_INVALID, "a key must be a scalar");
    if (event->data.scalar.tag != NULL)
        return fail(r, &event->start_mark, ERR_INVALID, "tags are not accepted");
    if (strlen(key) != event->data.scalar.length)
        return fail(r, &event->start_mark, ERR_INVALID, "a NUL character is not accepted");
    if (strcmp(key, "<<") == 0 && event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE)
        return fail(r, &event->start_mark, ERR_INVALID, "merge keys are not accepted");
    if (json_object_get(object, key) != NULL)
        return err_set(r->err, ERR_INVALID, "%s:%zu:%zu: key \"%s\" is given twice", r->what,
                       event->start_mark.line + 1, event->start_mark.column + 1, key);
    return 0;
}

/* One key (its event is given) and its value. */
static int read_member(struct reader *r, const yaml_event_t *key, json_t *object)
{
    json_t *value = NULL;
    yaml_event_t event;
    int result = check_key(r, key, object);

    if (result < 0)
        return result;
    result = next(r, &event);
    if (result == 0)
        result = read_node(r, &event, &value);
    yaml_event_delete(&event);
    if (result < 0)
        return result;
    if (json_object_setn_new(object, (const char *)key->data.scalar.value, key->data.scalar.length,
                             value) != 0)
        return err_no_memory(r->err);
    return 0;
}

static int read_mapping(struct reader *r, json_t **out)
{
    json_auto_t *object = json_object();
    int result = object == NULL ? err_no_memory(r->err) : 0;
    bool over = false;

    while (result == 0 && !over) {
        yaml_event_t event;

        result = next(r, &event);
        if (result == 0 && event.type == YAML_MAPPING_END_EVENT)
            over = true;
        else if (result == 0)
            result = read_member(r, &event, object);
        yaml_event_delete(&event);
    }
    if (result == 0)
        *out = json_incref(object);
    return result;
}

/* Anchors and tags of a node that begins with this event. */
static int check_properties(struct reader *r, const yaml_event_t *event)
{
    const yaml_char_t *anchor = NULL;
    const yaml_char_t *tag = NULL;

    if (event->type == YAML_SCALAR_EVENT) {
        anchor = event->data.scalar.anchor;
        tag = event->data.scalar.tag;
    } else if (event->type == YAML_SEQUENCE_START_EVENT) {
        anchor = event->data.sequence_start.anchor;
        tag = event->data.sequence_start.tag;
    } else if (event->type == YAML_MAPPING_START_EVENT) {
        anchor = event->data.mapping_start.anchor;
        tag = event->data.mapping_start.tag;
    }
    if (anchor != NULL || event->type == YAML_ALIAS_EVENT)
        return fail(r, &event->start_mark, ERR_INVALID, "anchors and aliases are not accepted");
    if (tag != NULL)
        return fail(r, &event->start_mark, ERR_INVALID, "tags are not accepted");
    return 0;
}

static int read_node(struct reader *r, const yaml_event_t *event, json_t **out)
{
    int result = check_properties(r, event);

    if (result < 0)
        return result;
    if (event->type == YAML_SCALAR_EVENT)
        return read_scalar(r, event, out);
    if (r->depth >= YAML_DEPTH_MAX)
        return fail(r, &event->start_mark, ERR_LIMIT, "nested deeper than 64 levels");
    r->depth++;
    if (event->type == YAML_SEQUENCE_START_EVENT)
        result = read_sequence(r, out);
    else if (event->type == YAML_MAPPING_START_EVENT)
        result = read_mapping(r, out);
    else
        result = fail(r, &event->start_mark, ERR_SYNTAX, "a value is missing");
    r->depth--;
    return result;
}

/* The node and the end of a document. An empty document is one null without any text. */
static int read_document(struct reader *r, json_t *documents)
{
    json_t *root = NULL;
    yaml_event_t event;
    bool empty;
    int result = next(r, &event);

    if (result < 0)
        return result;
    empty = event.type == YAML_SCALAR_EVENT && event.data.scalar.length == 0 &&
            event.data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
    result = read_node(r, &event, &root);
    yaml_event_delete(&event);
    if (result < 0)
        return result;
    if (empty)
        json_decref(root);
    else if (json_array_append_new(documents, root) != 0)
        return err_no_memory(r->err);
    result = next(r, &event); /* the end of the document: nothing else can come */
    yaml_event_delete(&event);
    return result;
}

static int read_stream(struct reader *r, json_t *documents)
{
    bool over = false;
    int result = 0;

    while (result == 0 && !over) {
        yaml_event_t event;

        result = next(r, &event);
        over = result == 0 && event.type == YAML_STREAM_END_EVENT;
        if (result == 0 && event.type == YAML_DOCUMENT_START_EVENT)
            result = read_document(r, documents);
        yaml_event_delete(&event);
    }
    return result;
}

int yaml_read(json_t **out, struct str text, const char *what, struct err *err)
{
    json_auto_t *documents = NULL;
    struct reader r = {.what = what, .err = err};
    int result;

    if (text.len > YAML_BYTES_MAX)
        return err_set(err, ERR_LIMIT, "%s is larger than %d bytes", what, YAML_BYTES_MAX);
    documents = json_array();
    if (documents == NULL || !yaml_parser_initialize(&r.parser))
        return err_no_memory(err);
    yaml_parser_set_encoding(&r.parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&r.parser, (const unsigned char *)(text.ptr ? text.ptr : ""),
                                 text.len);
    result = read_stream(&r, documents);
    yaml_parser_delete(&r.parser);
    if (result < 0)
        return result;
    *out = json_incref(documents);
    return 0;
}
