/* SPDX-License-Identifier: Apache-2.0 */
/*
 * YAML to and from JSON trees, for manifests and settings. The subset that Kubernetes manifests
 * use; refused with line and column: anchors, aliases, tags, duplicate keys, keys that are not
 * scalars, input over 1 MiB, nesting over 64.
 *
 * Plain scalars are resolved as kubectl does (YAML 1.1): booleans true/false, yes/no, y/n, on/off;
 * null and ~; decimal, 0x, 0o, 0b and leading-0 octal integers, with '_' between digits;
 * floats. A plain scalar of any other shape, and every quoted or block scalar, is a string.
 * Infinities, NaN and integers beyond signed 64 bits have no JSON form here and are refused. Keys
 * are always strings, spelled as in the input.
 */
#ifndef SPATE_BASE_YAML_H
#define SPATE_BASE_YAML_H

#include <jansson.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

enum {
    YAML_BYTES_MAX = 1024 * 1024,
    YAML_DEPTH_MAX = 64,
    YAML_KEY_MAX = 512, /* written keys: a reader looks for ':' within 1,024 characters */
};

/* *out becomes a JSON array with one element per document; empty documents are left out. `what`
 * names the input in messages: "<what>:<line>:<column>: ...". JSON text is YAML too. */
int yaml_read(json_t **out, struct str text, const char *what, struct err *err);

/* Appends one document in block style, keys in the order of the tree, strings quoted where a reader
 * would take them for something else. Reading it back gives an equal tree. The buffer's failed mark
 * holds failures; -ERR_LIMIT too for nesting over YAML_DEPTH_MAX and keys over YAML_KEY_MAX bytes.
 */
int yaml_write(struct buf *out, const json_t *tree);

#endif
