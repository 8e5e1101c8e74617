/* SPDX-License-Identifier: Apache-2.0 */
/* Reading manifests: see manifest.h. */
#include "cli/manifest.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/yaml.h"
#include "cli/cli.h"

enum { PATH_BYTES_MAX = 4096 };

void manifests_fini(struct manifests *m)
{
    for (int i = 0; i < m->count; i++) {
        json_decref(m->items[i].tree);
        crd_object_unref(m->items[i].object);
    }
    mem_free(m->items);
    *m = (struct manifests){0};
}

static int read_stdin(struct buf *text, struct err *err)
{
    char block[16384];
    ssize_t got;

    while ((got = read(STDIN_FILENO, block, sizeof(block))) > 0) {
        if (buf_append(text, block, (size_t)got) < 0)
            return buf_check(text, "stdin", err);
    }
    return got < 0 ? err_set(err, ERR_IO, "stdin cannot be read") : 0;
}

/* The folder of the manifest as an absolute path; the current one for stdin. */
static int folder_of(const char *file, char folder[PATH_BYTES_MAX], struct err *err)
{
    char resolved[PATH_BYTES_MAX];
    char *slash;

    if (strcmp(file, "-") == 0) {
        if (getcwd(folder, PATH_BYTES_MAX) == NULL)
            return err_set(err, ERR_IO, "the current folder cannot be read");
        return 0;
    }
    if (realpath(file, resolved) == NULL)
        return err_set(err, ERR_IO, "%s: its folder cannot be read", file);
    slash = strrchr(resolved, '/');
    if (slash != NULL)
        slash[slash == resolved ? 1 : 0] = '\0';
    snprintf(folder, PATH_BYTES_MAX, "%s", resolved);
    return 0;
}

/* file://./x and file://../x become absolute. */
static int resolve_uri(json_t *tree, const char *file, struct err *err)
{
    json_t *model = json_object_get(json_object_get(tree, "spec"), "model");
    struct str uri = json_str(json_object_get(model, "uri"));
    char folder[PATH_BYTES_MAX];
    char path[2 * PATH_BYTES_MAX];
    char resolved[PATH_BYTES_MAX + 8] = "file://";
    int r;

    if (!str_starts(uri, STR("file://.")))
        return 0;
    r = folder_of(file, folder, err);
    if (r < 0)
        return r;
    uri = str_slice(uri, strlen("file://"), uri.len);
    if (snprintf(path, sizeof(path), "%s/%.*s", folder, STR_ARG(uri)) >= (int)sizeof(path))
        return err_set(err, ERR_LIMIT, "%s: spec.model.uri is too long", file);
    if (realpath(path, resolved + strlen(resolved)) == NULL)
        return err_set(err, ERR_NOT_FOUND,
                       "%s: spec.model.uri: %s does not exist; it is taken relative to the "
                       "manifest",
                       file, path);
    return json_object_set_new(model, "uri", json_string(resolved)) < 0 ? err_no_memory(err) : 0;
}

static void print_faults(const char *file, size_t document, const json_t *tree,
                         const struct buf *faults)
{
    struct str rest = buf_str(faults);
    struct str name = json_str(json_object_get(json_object_get(tree, "metadata"), "name"));
    bool plain = str_is_dns_label(name);

    while (rest.ptr != NULL) {
        struct str line = str_cut(&rest, '\n');

        cli_note("%s: document %zu%s%.*s%s: %.*s", strcmp(file, "-") == 0 ? "stdin" : file,
                 document + 1, plain ? " (" : "", plain ? (int)name.len : 0, plain ? name.ptr : "",
                 plain ? ")" : "", STR_ARG(line));
    }
}

static int add(struct manifests *m, json_t *tree, struct crd_object *object, struct err *err)
{
    struct manifest *grown = mem_resize(m->items, (size_t)m->count + 1, sizeof(*grown));

    if (grown == NULL)
        return err_no_memory(err);
    m->items = grown;
    m->items[m->count++] = (struct manifest){json_incref(tree), crd_object_ref(object)};
    return 0;
}

/* The server fills in the same namespace; it is written here so that both mean the same. */
static int read_document(struct manifests *m, const char *file, size_t number, json_t *tree,
                         const char *default_namespace, struct err *err)
{
    CLEANUP(crd_object_unrefp) struct crd_object *object = NULL;
    CLEANUP(buf_fini) struct buf faults = {0};
    int r = resolve_uri(tree, file, err);

    if (r < 0)
        return r;
    buf_init(&faults, CRD_FAULT_BYTES_MAX);
    r = crd_object_read(&object, tree, default_namespace, &faults, err);
    if (r == -ERR_INVALID)
        print_faults(file, number, tree, &faults);
    if (r < 0)
        return r;
    if (m->count == MANIFEST_DOCUMENTS_MAX)
        return err_set(err, ERR_LIMIT, "%s: more than %d documents; split the files", file,
                       MANIFEST_DOCUMENTS_MAX);
    if (object->name_space[0] != '\0')
        json_object_set_new(json_object_get(tree, "metadata"), "namespace",
                            json_string(object->name_space));
    return add(m, tree, object, err);
}

static int read_file(struct manifests *m, const char *file, const char *default_namespace,
                     int *faulty, struct err *err)
{
    CLEANUP(buf_fini) struct buf text = {0};
    json_auto_t *documents = NULL;
    json_t *tree;
    size_t i;
    int r;

    buf_init(&text, YAML_BYTES_MAX);
    r = strcmp(file, "-") == 0 ? read_stdin(&text, err) : file_read(file, &text, err);
    if (r == 0)
        r = yaml_read(&documents, buf_str(&text), strcmp(file, "-") == 0 ? "stdin" : file, err);
    if (r < 0)
        return r;
    if (json_array_size(documents) == 0)
        return err_set(err, ERR_INVALID, "%s holds no object", file);
    json_array_foreach (documents, i, tree) {
        r = read_document(m, file, i, tree, default_namespace, err);
        if (r == -ERR_INVALID)
            (*faulty)++;
        else if (r < 0)
            return r;
    }
    return 0;
}

int manifests_read(struct manifests *out, const struct arg_list *files,
                   const char *default_namespace, struct err *err)
{
    CLEANUP(manifests_fini) struct manifests m = {0};
    int faulty = 0;

    if (files->count == 0)
        return err_set(err, ERR_INVALID, "name a manifest with -f FILE, or -f - for stdin");
    for (int i = 0; i < files->count; i++) {
        int r = read_file(&m, files->items[i], default_namespace, &faulty, err);

        if (r < 0)
            return r;
    }
    if (faulty > 0)
        return err_set(err, ERR_INVALID, "%d %s faulty; nothing was sent", faulty,
                       faulty == 1 ? "object is" : "objects are");
    *out = m;
    m = (struct manifests){0};
    return 0;
}
