/* SPDX-License-Identifier: Apache-2.0 */
/* Zip archives: written here by hand, stored and deflated, then broken in every way. */
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "base/buf.h"
#include "base/mem.h"
#include "cli/unzip.h"
#include "cmocka_plain.h"

enum { ARCHIVE_MAX = 4 << 20, CONTENT_BYTES = 700 * 1000 };

static void add_number(struct buf *out, uint32_t value, int bytes)
{
    for (int i = 0; i < bytes; i++)
        buf_append_char(out, (char)(value >> (8 * i) & 0xff));
}

static void pack(struct buf *out, struct str content, bool deflated)
{
    z_stream stream = {0};

    if (!deflated) {
        buf_append_str(out, content);
        return;
    }
    assert_int_equal(deflateInit2(&stream, 6, Z_DEFLATED, -MAX_WBITS, 8, Z_DEFAULT_STRATEGY), Z_OK);
    {
        size_t bound = deflateBound(&stream, content.len);
        CLEANUP(mem_freep) char *copy = mem_strndup(content.ptr, content.len);
        char *place = buf_reserve(out, bound);

        stream.next_in = (Bytef *)copy;
        stream.avail_in = (uInt)content.len;
        stream.next_out = (Bytef *)place;
        stream.avail_out = (uInt)bound;
        assert_int_equal(deflate(&stream, Z_FINISH), Z_STREAM_END);
        out->len += stream.total_out;
    }
    deflateEnd(&stream);
}

/* Signature, then what local and central headers share. */
static void add_header(struct buf *out, const char *signature, struct str content, uint32_t packed,
                       bool deflated)
{
    buf_append(out, signature, 4);
    if (signature[2] == 1)
        add_number(out, 20, 2); /* made by */
    add_number(out, 20, 2);     /* needs version */
    add_number(out, 0, 2);      /* flags */
    add_number(out, deflated ? 8 : 0, 2);
    add_number(out, 0, 4); /* time */
    add_number(out, (uint32_t)crc32(0, (const Bytef *)content.ptr, (uInt)content.len), 4);
    add_number(out, packed, 4);
    add_number(out, (uint32_t)content.len, 4);
    add_number(out, 10, 2); /* of the name "model.gguf" */
    add_number(out, 0, 2);  /* extra */
}

/* One file "model.gguf", and a comment behind the end record. */
static void make_archive(struct buf *out, struct str content, bool deflated)
{
    CLEANUP(buf_fini) struct buf packed = {0};
    uint32_t directory;

    buf_init(&packed, ARCHIVE_MAX);
    pack(&packed, content, deflated);
    add_header(out, "PK\3\4", content, (uint32_t)packed.len, deflated);
    buf_append_text(out, "model.gguf");
    buf_append_str(out, buf_str(&packed));
    directory = (uint32_t)out->len;
    add_header(out, "PK\1\2", content, (uint32_t)packed.len, deflated);
    add_number(out, 0, 2); /* comment */
    add_number(out, 0, 2); /* disk */
    add_number(out, 0, 2); /* internal */
    add_number(out, 0, 4); /* external */
    add_number(out, 0, 4); /* offset of the local header */
    buf_append_text(out, "model.gguf");
    buf_append(out, "PK\5\6\0\0\0\0", 8);
    add_number(out, 1, 2);
    add_number(out, 1, 2);
    add_number(out, (uint32_t)out->len - 12 - directory, 4);
    add_number(out, directory, 4);
    add_number(out, 7, 2);
    buf_append_text(out, "comment");
    assert_false(out->failed);
}

static int collect(void *user, struct str bytes)
{
    return buf_append_str(user, bytes);
}

static char *make_content(void)
{
    char *content = mem_alloc(CONTENT_BYTES);

    for (size_t i = 0; i < CONTENT_BYTES; i++)
        content[i] = (char)(i * i / 7 % 251);
    return content;
}

static void files_come_out_equal(void **state)
{
    CLEANUP(mem_freep) char *content = make_content();
    struct str text = {content, CONTENT_BYTES};

    (void)state;
    for (int deflated = 0; deflated < 2; deflated++) {
        CLEANUP(buf_fini) struct buf archive = {0};
        CLEANUP(buf_fini) struct buf out = {0};
        struct zip_entry entry;

        buf_init(&archive, ARCHIVE_MAX);
        buf_init(&out, ARCHIVE_MAX);
        make_archive(&archive, text, deflated == 1);
        assert_int_equal(zip_find(&entry, buf_str(&archive), STR(".gguf"), NULL), 0);
        assert_true(str_is(entry.name, "model.gguf"));
        assert_int_equal(zip_extract(&entry, collect, &out, NULL), 0);
        assert_true(str_eq(buf_str(&out), text));
        assert_int_equal(zip_find(&entry, buf_str(&archive), STR(".bin"), NULL), -ERR_NOT_FOUND);
    }
}

/* No single byte of a small archive can be changed so that wrong content comes out as right. */
static void damage_is_noticed(void **state)
{
    struct str text = STR("a small file, small enough to break each of its bytes");

    (void)state;
    for (int deflated = 0; deflated < 2; deflated++) {
        CLEANUP(buf_fini) struct buf archive = {0};

        buf_init(&archive, ARCHIVE_MAX);
        make_archive(&archive, text, deflated == 1);
        for (size_t i = 0; i < archive.len; i++) {
            CLEANUP(buf_fini) struct buf out = {0};
            struct zip_entry entry;

            buf_init(&out, ARCHIVE_MAX);
            archive.ptr[i] = (char)~archive.ptr[i];
            if (zip_find(&entry, buf_str(&archive), STR(".gguf"), NULL) == 0 &&
                zip_extract(&entry, collect, &out, NULL) == 0)
                assert_true(str_eq(buf_str(&out), text));
            archive.ptr[i] = (char)~archive.ptr[i];
        }
        for (size_t cut = 0; cut < archive.len - 7; cut++) {
            struct zip_entry entry;

            assert_int_equal(
                zip_find(&entry, str_slice(buf_str(&archive), 0, cut), STR(".gguf"), NULL),
                -ERR_SYNTAX);
        }
    }
}

static int refuse(void *user, struct str bytes)
{
    (void)user;
    (void)bytes;
    return -ERR_NO_SPACE;
}

static void a_full_disk_ends_the_work(void **state)
{
    CLEANUP(buf_fini) struct buf archive = {0};
    struct zip_entry entry;

    (void)state;
    buf_init(&archive, ARCHIVE_MAX);
    make_archive(&archive, STR("text"), true);
    assert_int_equal(zip_find(&entry, buf_str(&archive), STR(".gguf"), NULL), 0);
    assert_int_equal(zip_extract(&entry, refuse, NULL, NULL), -ERR_NO_SPACE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(files_come_out_equal),
        cmocka_unit_test(damage_is_noticed),
        cmocka_unit_test(a_full_disk_ends_the_work),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
