/* SPDX-License-Identifier: Apache-2.0 */
/* The gateway's envelope {"spate": attempt, ...}, what names one attempt, and an agent's status:
 * what is accepted is written and reads back as the same. */
#include <stdlib.h>

#include "base/mem.h"
#include "fuzz_target.h"
#include "wire/stream.h"

enum { ARENA_BYTES = 1 << 22, TEXT_BYTES = 1 << 22 };

static void write_attempt(struct buf *out, const struct stream_attempt *attempt)
{
    struct json_writer w;

    buf_init(out, TEXT_BYTES);
    json_writer_init(&w, out);
    stream_attempt_write(&w, attempt);
}

static void check_attempt(const json_t *object)
{
    json_auto_t *tree = NULL;
    struct stream_attempt attempt;
    struct stream_attempt back;
    struct arena arena;
    struct buf text;
    struct buf again;

    arena_init(&arena, ARENA_BYTES);
    if (stream_attempt_read(&attempt, object, &arena, NULL) == 0) {
        write_attempt(&text, &attempt);
        if (attempt.attempt == 0 || attempt.output_count > STREAM_RESUME_IDS_MAX || text.failed ||
            json_read(&tree, buf_str(&text), &json_limits_default, "attempt", NULL) < 0 ||
            stream_attempt_read(&back, tree, &arena, NULL) < 0)
            abort();
        write_attempt(&again, &back);
        if (!str_eq(buf_str(&text), buf_str(&again)))
            abort();
        buf_fini(&text);
        buf_fini(&again);
    }
    arena_fini(&arena);
}

static void check_name(const json_t *object)
{
    json_auto_t *tree = NULL;
    char text[STREAM_NAME_MAX];
    struct id128 id, id_back;
    uint32_t attempt, attempt_back;

    if (stream_name_read(object, &id, &attempt, NULL) < 0)
        return;
    stream_name_format(text, id, attempt);
    if (json_read(&tree, str_of(text), &json_limits_default, "name", NULL) < 0 ||
        stream_name_read(tree, &id_back, &attempt_back, NULL) < 0 || id_compare(id, id_back) != 0 ||
        attempt != attempt_back)
        abort();
}

static void check_status(const json_t *object)
{
    json_auto_t *tree = NULL;
    struct stream_status status;
    struct stream_status back;
    struct json_writer w;
    struct buf text;

    if (stream_status_read(&status, object, NULL) < 0)
        return;
    buf_init(&text, TEXT_BYTES);
    json_writer_init(&w, &text);
    stream_status_write(&w, &status);
    if (text.failed || json_read(&tree, buf_str(&text), &json_limits_default, "status", NULL) < 0 ||
        stream_status_read(&back, tree, NULL) < 0 || back.slots != status.slots)
        abort();
    buf_fini(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    json_auto_t *tree = NULL;

    if (json_read(&tree, (struct str){(const char *)data, size}, &json_limits_default, "envelope",
                  NULL) < 0)
        return 0;
    check_attempt(json_object_get(tree, "spate"));
    check_name(tree);
    check_status(tree);
    return 0;
}
