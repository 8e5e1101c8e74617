/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JSON: reading with limits (jansson), getters that name the place of a fault, and a small writer
 * that appends to a buffer. jansson's json_t is the only JSON type in interfaces; release with
 * json_decref, or hold it as `json_auto_t *`. A tree belongs to one thread.
 */
#ifndef SPATE_BASE_JSON_H
#define SPATE_BASE_JSON_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

/* Once in each program, before there are threads and trees: lets jansson allocate through mem.h,
 * so that lack of memory is told from bad input, and seeds the hash of its objects. */
void json_begin(void);

struct json_limits {
    size_t max_bytes;
    int max_depth;
};
/* For a request or a message between our programs: 32 MiB, depth 64. */
extern const struct json_limits json_limits_default;

/* Parses one whole document (no trailing bytes, no duplicate keys, no NaN). The caller owns *out.
 * `what` names the input in the message: "request body", a file's path. */
int json_read(json_t **out, struct str text, const struct json_limits *limits, const char *what,
              struct err *err);

/* The same for who needs only the small members of a large text: string values longer than
 * JSON_OUTLINE_KEEP bytes may come empty. Accepts and refuses exactly what json_read does; a
 * message's column counts without what was left out. */
enum { JSON_OUTLINE_KEEP = 4096 };
int json_read_outline(json_t **out, struct str text, const struct json_limits *limits,
                      const char *what, struct err *err);

/*
 * Getters: `object` must be a JSON object (or NULL: treated as empty). A missing or null member is
 * -ERR_NOT_FOUND with nothing recorded in err when `required` is false (*out keeps its default),
 * and a recorded error when true. A wrong type or range is always a recorded error that names the
 * key. Strings and trees are borrowed from the object.
 */
int json_get_str(const json_t *object, const char *key, bool required, struct str *out,
                 struct err *err);
int json_get_i64(const json_t *object, const char *key, bool required, int64_t min, int64_t max,
                 int64_t *out, struct err *err);
int json_get_f64(const json_t *object, const char *key, bool required, double min, double max,
                 double *out, struct err *err);
int json_get_bool(const json_t *object, const char *key, bool required, bool *out, struct err *err);
int json_get_object(const json_t *object, const char *key, bool required, json_t **out,
                    struct err *err);
int json_get_array(const json_t *object, const char *key, bool required, json_t **out,
                   struct err *err);

/* "object", "array", "string", "integer", "real", "boolean", "null" */
const char *json_type_name(const json_t *value);
struct str json_str(const json_t *string); /* borrowed; empty if it is no string */

/*
 * The writer: appends JSON to a buffer; commas are its own concern.
 *
 *     struct json_writer w;
 *     json_writer_init(&w, &buf);
 *     json_open(&w, '{'); json_key(&w, "id"); json_add_str(&w, id); json_close(&w, '}');
 *
 * Failures stay in the buffer's failed mark. Depth is at most 32 (asserted).
 */
struct json_writer {
    struct buf *out;
    int depth;
    uint32_t has_member; /* one bit per depth */
    bool after_key;
};

void json_writer_init(struct json_writer *w, struct buf *out);
void json_open(struct json_writer *w, char bracket);  /* '{' or '[' */
void json_close(struct json_writer *w, char bracket); /* '}' or ']' */
void json_key(struct json_writer *w, const char *key);
void json_add_str(struct json_writer *w, struct str s); /* invalid UTF-8 and NUL: U+FFFD */
void json_add_i64(struct json_writer *w, int64_t value);
void json_add_u64(struct json_writer *w, uint64_t value);
void json_add_f64(struct json_writer *w, double value); /* shortest that reads back; NaN -> null */
void json_add_bool(struct json_writer *w, bool value);
void json_add_null(struct json_writer *w);
void json_add_raw(struct json_writer *w, struct str json); /* a finished value, as it is */
void json_add_tree(struct json_writer *w, const json_t *tree);

/* key and value in one call */
void json_put_str(struct json_writer *w, const char *key, struct str value);
void json_put_text(struct json_writer *w, const char *key, const char *value);
void json_put_i64(struct json_writer *w, const char *key, int64_t value);
void json_put_u64(struct json_writer *w, const char *key, uint64_t value);
void json_put_f64(struct json_writer *w, const char *key, double value);
void json_put_bool(struct json_writer *w, const char *key, bool value);
void json_put_null(struct json_writer *w, const char *key);

/* Appends `s` as a quoted, escaped JSON string. A NUL becomes U+FFFD: no reader of ours takes it.
 */
int json_escape(struct buf *out, struct str s);

#endif
