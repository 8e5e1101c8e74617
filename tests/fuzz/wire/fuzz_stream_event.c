/* SPDX-License-Identifier: Apache-2.0 */
/* Extension lines: what is accepted is written and reads back as the same. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "fuzz_target.h"
#include "wire/stream.h"

static struct stream_event first, second; /* large */

static void check_event(const struct stream_event *e)
{
    if (e->id_count < 0 || e->id_count > STREAM_IDS_MAX || e->counts.reasoning > e->counts.output)
        abort();
    for (int i = 0; i < e->id_count; i++) {
        if (e->ids[i] < 0)
            abort();
    }
    if (memchr(e->digest, 0, sizeof(e->digest)) == NULL ||
        memchr(e->finish, 0, sizeof(e->finish)) == NULL)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buf line;
    struct buf again;
    struct str text;

    memset(&first, 0, sizeof(first));
    memset(&second, 0, sizeof(second));
    if (stream_event_read(&first, (struct str){(const char *)data, size}, NULL) < 0)
        return 0;
    check_event(&first);
    buf_init(&line, 1 << 20);
    buf_init(&again, 1 << 20);
    stream_event_write(&line, &first);
    text = buf_str(&line);
    if (line.failed || !str_starts(text, STR("spate: ")) || !str_ends(text, STR("\n")) ||
        stream_event_read(&second, str_slice(text, 7, text.len - 1), NULL) < 0 ||
        second.kind != first.kind)
        abort();
    stream_event_write(&again, &second);
    if (!str_eq(buf_str(&line), buf_str(&again)))
        abort();
    buf_fini(&line);
    buf_fini(&again);
    return 0;
}
