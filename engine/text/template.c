/* SPDX-License-Identifier: Apache-2.0 */
/* Compiling: see template.h. The source is copied with Jinja2's treatment of line breaks. */
#include "engine/text/template.h"

#include <string.h>

#include "base/arena.h"
#include "base/mem.h"
#include "engine/text/template_tree.h"

enum { TEMPLATE_TREE_BYTES_MAX = 64 << 20 };

/* CR LF and CR become LF; one last line break is dropped. */
static int copy_source(struct template *t, struct str source, struct str *out, struct err *err)
{
    char *text = arena_alloc(&t->arena, source.len + 1);
    size_t length = 0;

    if (text == NULL)
        return err_no_memory(err);
    for (size_t i = 0; i < source.len; i++) {
        char c = source.ptr[i];

        if (c == '\r' && i + 1 < source.len && source.ptr[i + 1] == '\n')
            continue;
        text[length++] = c == '\r' ? '\n' : c;
    }
    if (length > 0 && text[length - 1] == '\n')
        length--;
    *out = (struct str){text, length};
    return 0;
}

int template_compile(struct template **out, struct str source, const char *name, struct err *err)
{
    CLEANUP(template_freep) struct template *t = NULL;
    struct str text;
    int r;

    if (source.len > TEMPLATE_SOURCE_BYTES_MAX)
        return err_set(err, ERR_LIMIT, "%s has %zu bytes; the limit is %d", name, source.len,
                       TEMPLATE_SOURCE_BYTES_MAX);
    if (!utf8_valid(source))
        return err_set(err, ERR_SYNTAX, "%s is not valid UTF-8; correct its encoding", name);
    t = mem_alloc(sizeof(*t));
    if (t == NULL)
        return err_no_memory(err);
    arena_init(&t->arena, TEMPLATE_TREE_BYTES_MAX);
    t->name = arena_strdup(&t->arena, str_of(name));
    if (t->name == NULL)
        return err_no_memory(err);
    r = copy_source(t, source, &text, err);
    if (r >= 0)
        r = template_parse(t, text, err);
    if (r < 0)
        return r;
    *out = STEAL(t);
    return 0;
}

void template_free(struct template *t)
{
    if (t == NULL)
        return;
    arena_fini(&t->arena);
    mem_free(t);
}

void template_freep(struct template **t)
{
    template_free(*t);
}
