/* SPDX-License-Identifier: Apache-2.0 */
/* The text stream: any ids with any options. A stream that replays the ids must give the same, and
 * each text must be whole characters. The tokenizer's ids 0 to 255 are the bytes. */
#include <stdlib.h>

#include "base/buf.h"
#include "base/mem.h"
#include "engine/text/detok.h"
#include "engine/text/tokenizer.h"
#include "fuzz_target.h"

enum { TEXT_MAX = 1 << 20, THINK = 256 };

static struct tokenizer *make_tokenizer(void)
{
    CLEANUP(buf_fini) struct buf json = {0};
    struct tokenizer *t = NULL;
    struct err err;
    uint32_t shifted = 0x100;

    buf_init(&json, TEXT_MAX);
    buf_append_text(&json, "{\"pre_tokenizer\":{\"type\":\"ByteLevel\",\"add_prefix_space\":false},"
                           "\"decoder\":{\"type\":\"ByteLevel\"},\"added_tokens\":["
                           "{\"id\":256,\"content\":\"<think>\"},{\"id\":257,\"content\":"
                           "\"</think>\"},{\"id\":258,\"content\":\"</s>\",\"special\":true}],"
                           "\"model\":{\"merges\":[],\"vocab\":{");
    for (uint32_t byte = 0; byte < 256; byte++) {
        bool prints = (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte != 0xad);

        buf_printf(&json, "%s\"\\u%04x\":%u", byte == 0 ? "" : ",", prints ? byte : shifted, byte);
        shifted += !prints;
    }
    buf_append_text(&json, "}}}");
    if (tokenizer_open_files(&t, &(struct tokenizer_files){.tokenizer = buf_str(&json)}, &err) < 0)
        abort();
    return t;
}

static void keep(struct buf *out, struct text_delta delta)
{
    if (!utf8_valid(delta.reasoning) || !utf8_valid(delta.content))
        abort();
    buf_append_str(out, delta.reasoning);
    buf_append_char(out, '\0');
    buf_append_str(out, delta.content);
    buf_append_char(out, '\0');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct tokenizer *t;
    CLEANUP(text_stream_freep) struct text_stream *one = NULL;
    CLEANUP(text_stream_freep) struct text_stream *two = NULL;
    struct buf texts[2];
    struct str stops[2];
    struct err err;
    size_t cut;

    if (t == NULL)
        t = make_tokenizer();
    if (size < 8 || size > 4096)
        return 0;
    stops[0] = (struct str){(const char *)data + 2, 1 + data[1] % 3U};
    stops[1] = (struct str){(const char *)data + 5, 1 + data[1] / 3U % 3U};
    struct text_options options = {
        .keep_special = data[0] & 1,
        .include_stop = data[0] & 2,
        .split_reasoning = data[0] & 4,
        .starts_reasoning = data[0] & 8,
        .stops = stops,
        .stop_count = data[0] >> 4 & 3 ? (data[0] >> 4 & 3) - 1 : 0,
    };

    /* A stop string must be text: clients send JSON. */
    if (!utf8_valid(stops[0]) || !utf8_valid(stops[1]))
        options.stop_count = 0;
    if (text_stream_new(&one, t, &options, &err) < 0 ||
        text_stream_new(&two, t, &options, &err) < 0)
        abort();
    buf_init(&texts[0], TEXT_MAX);
    buf_init(&texts[1], TEXT_MAX);
    data += 8;
    size -= 8;
    cut = size / 2;
    for (size_t i = 0; i < size; i++) {
        int32_t id = data[i] >= 0x7b && data[i] <= 0x7e ? THINK + data[i] - 0x7b : data[i];
        struct text_delta delta = text_stream_push(one, id);

        if (i >= cut)
            keep(&texts[0], delta);
        delta = text_stream_push(two, id);
        if (i >= cut)
            keep(&texts[1], delta);
    }
    keep(&texts[0], text_stream_finish(one));
    keep(&texts[1], text_stream_finish(two));
    if (!str_eq(buf_str(&texts[0]), buf_str(&texts[1])) || text_stream_count(one) != (int)size ||
        text_stream_reasoning_tokens(one) > (int)size ||
        (text_stream_stop_position(one) >= 0) != (text_stream_stop_index(one) >= 0))
        abort();
    buf_fini(&texts[0]);
    buf_fini(&texts[1]);
    return 0;
}
