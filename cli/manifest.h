/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Manifests: the documents of files, checked before anything is sent. A "file://" location that
 * begins with a dot is taken relative to the folder of its manifest, as the server has no such
 * folder: file://../../models/brook.
 */
#ifndef SPATE_CLI_MANIFEST_H
#define SPATE_CLI_MANIFEST_H

#include "base/args.h"
#include "base/err.h"
#include "base/json.h"
#include "crd/object.h"

enum { MANIFEST_DOCUMENTS_MAX = 1000 };

/* One document: what is sent, and the object that it means. */
struct manifest {
    json_t *tree;
    struct crd_object *object;
};

struct manifests {
    struct manifest *items;
    int count;
};

/* Reads all files ("-" is stdin). Every fault of every document is printed to stderr, one line
 * each, before the error comes back. */
int manifests_read(struct manifests *out, const struct arg_list *files,
                   const char *default_namespace, struct err *err);
void manifests_fini(struct manifests *m);

#endif
