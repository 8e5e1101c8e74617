/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Output for people and machines: tables as kubectl prints them, JSON and YAML, values out of
 * objects by the paths of columns, ages. Nothing from an object reaches a terminal unescaped.
 */
#ifndef SPATE_CLI_TABLE_H
#define SPATE_CLI_TABLE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/json.h"
#include "crd/field.h"

enum {
    TABLE_COLUMNS_MAX = 16,
    TABLE_ROWS_MAX = 100000,
    TABLE_BYTES_MAX = 64 << 20,
    TABLE_AGE_MAX = 24
};

/* Cells are kept until all widths are known. */
struct table {
    struct buf cells; /* NUL-ended texts, row by row */
    size_t widths[TABLE_COLUMNS_MAX];
    int column_count; /* of the row that has most; set by the first row */
    int row_count;
    int column; /* of the row that is being filled */
};

void table_init(struct table *t, int column_count);
void table_fini(struct table *t);
/* Cells from left to right; after the last the row is full. Controls become '?'. */
void table_add(struct table *t, struct str cell);
void table_add_text(struct table *t, const char *cell);
/* All rows; three spaces between columns, none at the end of a line. */
void table_write(const struct table *t, struct buf *out);
/* The rows from `first_row` on, with widths of at least those so far: for --watch. */
void table_write_from(const struct table *t, int first_row, struct buf *out);

/*
 * The text at a JSONPath as Kubernetes columns have it: ".status.phase", "[?(@.type==\"Ready\")]",
 * "[*]" (joined by commas), "\\." for a dot inside a name. "<none>" if there is nothing.
 */
void table_value(const json_t *object, const char *path, struct buf *out);

/* "5s", "3m20s", "4h", "2d": since an RFC 3339 time; "<unknown>" without one. */
void table_age(struct str created, int64_t now_ms, char out[TABLE_AGE_MAX]);

/* Pretty JSON or YAML of a tree; a line end behind it. */
int table_tree(struct buf *out, const json_t *tree, bool yaml, struct err *err);

#endif
