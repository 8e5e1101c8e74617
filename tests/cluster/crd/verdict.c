/* SPDX-License-Identifier: Apache-2.0 */
/* See verdict.h. */
#include "verdict.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "bases.h"
#include "crd/object.h"

enum { LINE_MAX_BYTES = 2 << 20 };

void verdict_print(const struct verdict_case *c)
{
    CLEANUP(crd_object_unrefp) struct crd_object *object = NULL;
    CLEANUP(buf_fini) struct buf line = {0};
    const struct crd_kind *kind = base_kind(c->object);
    struct json_writer w;
    struct err err = {0};
    int r = crd_object_read(&object, c->object, NULL, NULL, &err);

    if (r < 0 && r != -ERR_INVALID)
        abort();
    buf_init(&line, LINE_MAX_BYTES);
    json_writer_init(&w, &line);
    json_open(&w, '{');
    json_put_text(&w, "what", c->what);
    json_put_text(&w, "resource", kind->plural);
    json_put_bool(&w, "namespaced", kind->namespaced);
    json_key(&w, "object");
    json_add_tree(&w, c->object);
    json_put_bool(&w, "accepted", r == 0);
    if (r == 0) {
        json_key(&w, "spec");
        json_add_tree(&w, object->spec);
    } else {
        json_put_text(&w, "line", err_message(&err));
    }
    if (c->ours != NULL)
        json_put_text(&w, "ours", c->ours);
    if (c->theirs != NULL)
        json_put_text(&w, "theirs", c->theirs);
    json_close(&w, '}');
    if (line.failed)
        abort();
    printf("%.*s\n", STR_ARG(buf_str(&line)));
}
