/* SPDX-License-Identifier: Apache-2.0 */
/* Memory that is asked for once, and memory that is given back. */
#include "cmocka_plain.h"

#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"

static void allocate_as_ever(struct arena *a)
{
    assert_non_null(arena_alloc(a, 1));
    assert_non_null(arena_alloc(a, 1000));
    assert_non_null(arena_str(a, STR("text")).ptr);
}

static void what_is_reserved_needs_no_more(void **state)
{
    struct arena scratch, kept;

    (void)state;
    arena_init(&scratch, 1 << 20);
    allocate_as_ever(&scratch);
    arena_init(&kept, 1 << 20);
    assert_int_equal(arena_reserve(&kept, scratch.used), 0);
    mem_fail_after(0);
    allocate_as_ever(&kept);
    assert_null(arena_alloc(&kept, 1)); /* not a byte more */
    mem_fail_after(0);
    assert_int_equal(arena_reserve(&kept, 1), -ERR_NO_MEMORY);
    assert_int_equal(arena_reserve(&kept, 0), 0);
    mem_fail_after(-1);
    assert_int_equal(kept.used, scratch.used);
    arena_fini(&kept);
    arena_fini(&scratch);
}

/* Texts of any length between objects: all keep what was written, and only objects are padded. */
static void texts_lie_without_gaps(void **state)
{
    enum { TURNS = 500, PIECE = 24 };
    char *objects[TURNS], *texts[TURNS];
    size_t text_bytes = 0;
    struct arena a;

    (void)state;
    arena_init(&a, 1 << 20);
    for (size_t i = 0; i < TURNS; i++) {
        char text[64];

        memset(text, (int)('a' + i % 26), sizeof(text));
        objects[i] = arena_alloc(&a, PIECE);
        texts[i] = arena_strdup(&a, (struct str){text, i % sizeof(text)});
        assert_non_null(texts[i]);
        assert_int_equal((uintptr_t)objects[i] % 16, 0);
        memset(objects[i], (int)('A' + i % 26), PIECE);
        text_bytes += i % sizeof(text) + 1;
    }
    assert_int_equal(a.used, TURNS * 32 + text_bytes);
    for (size_t i = 0; i < TURNS; i++) {
        assert_int_equal(strlen(texts[i]), i % 64);
        for (size_t k = 0; k < PIECE; k++)
            assert_int_equal(objects[i][k], 'A' + i % 26);
        for (size_t k = 0; k < strlen(texts[i]); k++)
            assert_int_equal(texts[i][k], 'a' + i % 26);
    }
    arena_fini(&a);
}

#ifndef __SANITIZE_ADDRESS__ /* which has an allocator of its own, and keeps what is freed */
static size_t resident_bytes(void)
{
    CLEANUP(buf_fini) struct buf text = {0};
    struct str rest;
    uint64_t pages;

    buf_init(&text, 4096);
    assert_int_equal(file_read("/proc/self/statm", &text, NULL), 0);
    rest = buf_str(&text);
    (void)str_cut(&rest, ' '); /* the size */
    assert_true(str_to_u64(str_cut(&rest, ' '), &pages));
    return (size_t)pages * (size_t)sysconf(_SC_PAGESIZE);
}

/* Some pieces stay all over it, so the heap can't just become shorter. */
static void a_peak_is_given_back(void **state)
{
    enum { PIECES = 4096, PIECE_BYTES = 16 << 10, STAYS = 64 };
    static void *pieces[PIECES];
    size_t peak, after;

    (void)state;
    for (int i = 0; i < PIECES; i++) {
        pieces[i] = mem_alloc(PIECE_BYTES);
        assert_non_null(pieces[i]);
        memset(pieces[i], 1, PIECE_BYTES);
    }
    peak = resident_bytes();
    for (int i = 0; i < PIECES; i++) {
        if (i % STAYS != 0) {
            mem_free(pieces[i]);
            pieces[i] = NULL;
        }
    }
    mem_trim();
    after = resident_bytes();
    for (int i = 0; i < PIECES; i++)
        mem_free(pieces[i]);
    assert_true(after + (size_t)PIECES * PIECE_BYTES / 2 < peak);
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_reserved_needs_no_more),
        cmocka_unit_test(texts_lie_without_gaps),
#ifndef __SANITIZE_ADDRESS__
        cmocka_unit_test(a_peak_is_given_back),
#endif
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
