/* SPDX-License-Identifier: Apache-2.0 */
/* Objects whose trees are kept as text: see object.h. */
#include "base/mem.h"
#include "crd/object.h"

/* A tree in text, in exactly the memory that it takes; NULL stays NULL. */
static int text_of(char **out, const json_t *tree, struct err *err)
{
    CLEANUP(buf_fini) struct buf text = {0};
    struct json_writer w;

    if (tree == NULL)
        return 0;
    buf_init(&text, 2 * CRD_OBJECT_BYTES_MAX);
    json_writer_init(&w, &text);
    json_add_tree(&w, tree);
    *out = text.failed ? NULL : mem_strndup(text.ptr, text.len);
    return *out == NULL ? err_no_memory(err) : 0;
}

static void drop(json_t **tree)
{
    json_decref(*tree);
    *tree = NULL;
}

int crd_object_pack(struct crd_object *object, struct err *err)
{
    CLEANUP(mem_freep) char *spec = NULL;
    CLEANUP(mem_freep) char *status = NULL;

    if (text_of(&spec, object->spec, err) < 0 || text_of(&status, object->status, err) < 0)
        return -ERR_NO_MEMORY;
    object->spec_text = STEAL(spec);
    object->status_text = STEAL(status);
    drop(&object->labels);
    drop(&object->annotations);
    drop(&object->spec);
    drop(&object->status);
    return 0;
}

void crd_object_drop_status(struct crd_object *object)
{
    mem_free(object->status_text);
    object->status_text = NULL;
}

bool crd_object_has_status(const struct crd_object *object)
{
    return object->status != NULL || object->status_text != NULL;
}

int crd_tree(json_t **out, const struct crd_object *object, const char *root, struct err *err)
{
    bool is_spec = str_is(str_of(root), "spec");
    json_t *tree = is_spec ? object->spec : object->status;
    const char *text = is_spec ? object->spec_text : object->status_text;

    if (tree == NULL && text != NULL) {
        /* Our own text of a tree that was checked: only memory can be lacking. */
        tree = json_loads(text, JSON_DECODE_ANY, NULL);
        if (tree == NULL)
            return err_no_memory(err);
        *out = tree;
        return 0;
    }
    *out = json_incref(tree);
    return 0;
}

int crd_object_decode(const struct crd_object *object, const char *root, void *out,
                      struct arena *arena, struct err *err)
{
    json_auto_t *tree = NULL;
    int r = crd_tree(&tree, object, root, err);

    return r < 0 ? r : crd_decode(object->kind, root, tree, out, arena, err);
}
