/* SPDX-License-Identifier: Apache-2.0 */
/* The tokenizer of the tests: see tiny_tokenizer.h. */
#include "tiny_tokenizer.h"

#include <stdio.h>

#include "cmocka_plain.h"

#include "base/json.h"
#include "base/mem.h"

enum { JSON_BYTES_MAX = 1 << 20 };

/* GPT-2's character for a byte: itself where it prints, else U+0100 and on. */
static uint32_t alphabet(unsigned byte)
{
    uint32_t next = 0x100;

    for (unsigned b = 0; b < 256; b++) {
        bool prints = (b >= 0x21 && b <= 0x7e) || (b >= 0xa1 && b != 0xad);

        if (b == byte)
            return prints ? b : next;
        next += !prints;
    }
    return 0;
}

static struct str alphabet_text(const char *bytes, struct buf *out)
{
    buf_clear(out);
    for (; *bytes != '\0'; bytes++) {
        char c[4];
        int length = utf8_encode(alphabet((unsigned char)*bytes), c);

        buf_append(out, c, (size_t)length);
    }
    return buf_str(out);
}

static const struct {
    const char *left;
    const char *right;
} merges[] = {
    {"h", "e"},     {"l", "l"}, {"he", "ll"}, {"hell", "o"},
    {" ", "hello"}, {"a", "a"}, {"aa", "aa"}, {"\xe2", "\x82"},
};

static void add_vocab(struct json_writer *w, struct buf *text)
{
    char both[32];

    json_key(w, "vocab");
    json_open(w, '{');
    for (unsigned byte = 0; byte < 256; byte++) {
        char key[8] = {0};

        utf8_encode(alphabet(byte), key);
        json_put_i64(w, key, byte);
    }
    for (size_t i = 0; i < ARRAY_COUNT(merges); i++) {
        snprintf(both, sizeof(both), "%s%s", merges[i].left, merges[i].right);
        alphabet_text(both, text);
        json_put_i64(w, buf_cstr(text), 256 + (int64_t)i);
    }
    json_close(w, '}');
    json_key(w, "merges");
    json_open(w, '[');
    for (size_t i = 0; i < ARRAY_COUNT(merges); i++) {
        json_open(w, '[');
        json_add_str(w, alphabet_text(merges[i].left, text));
        json_add_str(w, alphabet_text(merges[i].right, text));
        json_close(w, ']');
    }
    json_close(w, ']');
}

static void add_added(struct json_writer *w, const char *content, int id, bool special)
{
    json_open(w, '{');
    json_put_i64(w, "id", id);
    json_put_text(w, "content", content);
    json_put_bool(w, "special", special);
    json_put_bool(w, "normalized", false);
    json_close(w, '}');
}

void tiny_tokenizer_json(struct buf *out, bool tags)
{
    CLEANUP(buf_fini) struct buf text = {0};
    struct json_writer w;

    buf_init(&text, JSON_BYTES_MAX);
    json_writer_init(&w, out);
    json_open(&w, '{');
    json_key(&w, "added_tokens");
    json_open(&w, '[');
    if (tags) {
        add_added(&w, "<think>", TINY_THINK, false);
        add_added(&w, "</think>", TINY_THINK_END, false);
    }
    add_added(&w, "<s>", TINY_BOS, true);
    add_added(&w, "</s>", TINY_EOS, true);
    json_close(&w, ']');
    json_key(&w, "pre_tokenizer");
    json_add_raw(&w, STR("{\"type\":\"ByteLevel\",\"add_prefix_space\":false}"));
    json_key(&w, "decoder");
    json_add_raw(&w, STR("{\"type\":\"ByteLevel\"}"));
    json_key(&w, "model");
    json_open(&w, '{');
    json_put_text(&w, "type", "BPE");
    add_vocab(&w, &text);
    json_close(&w, '}');
    json_close(&w, '}');
}

struct tokenizer *tiny_tokenizer(bool tags)
{
    CLEANUP(buf_fini) struct buf json = {0};
    struct tokenizer_files files = {
        .config = STR("{\"bos_token\": \"<s>\", \"eos_token\": {\"content\": \"</s>\"},"
                      " \"add_bos_token\": true}"),
        .generation = STR("{\"eos_token_id\": [267, 10], \"temperature\": 0.6, \"top_k\": 20}"),
    };
    struct tokenizer *t = NULL;
    struct err err = {0};

    buf_init(&json, JSON_BYTES_MAX);
    tiny_tokenizer_json(&json, tags);
    files.tokenizer = buf_str(&json);
    if (tokenizer_open_files(&t, &files, &err) < 0)
        print_error("tiny tokenizer: %s\n", err_message(&err));
    assert_non_null(t);
    return t;
}
