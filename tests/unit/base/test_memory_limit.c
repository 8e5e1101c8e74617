/* SPDX-License-Identifier: Apache-2.0 */
/* Which limit of memory a process is told to have, from folders that look like a machine. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/memory_limit.h"
#include "cmocka_plain.h"

enum { FILES_MAX = 12 };

static const uint64_t mib = 1 << 20;

#define MACHINE "MemTotal:        4096 kB\nMemFree:  12 kB\nSwapTotal:  0 kB\n"
#define SWAPS   "MemTotal:        4096 kB\nSwapTotal:      2048 kB\n"

struct file {
    const char *path;
    const char *text;
};

static void make(const char *root, const struct file *file)
{
    char path[256];

    snprintf(path, sizeof(path), "%s/%s", root, file->path);
    *strrchr(path, '/') = '\0';
    assert_int_equal(file_make_folder(path, NULL), 0);
    snprintf(path, sizeof(path), "%s/%s", root, file->path);
    assert_int_equal(file_write_atomic(path, str_of(file->text), 0600, NULL), 0);
}

static void finds_the_smallest(void **state)
{
    static const struct {
        const char *what;
        struct file files[FILES_MAX];
        uint64_t kib; /* 0: nothing is known */
        bool is_machine;
    } cases[] = {
        {"nothing to read", {{0}}, 0, false},
        {"a machine alone", {{"proc/meminfo", MACHINE}}, 4096, true},
        {"a machine's swap counts", {{"proc/meminfo", SWAPS}}, 6144, true},
        {"version 2, own group",
         {{"proc/meminfo", MACHINE},
          {"proc/self/cgroup", "0::/a/b\n"},
          {"sys/fs/cgroup/a/b/memory.max", "1048576\n"},
          {"sys/fs/cgroup/a/memory.max", "max\n"}},
         1024,
         false},
        {"version 2, a group above",
         {{"proc/meminfo", MACHINE},
          {"proc/self/cgroup", "0::/a/b\n"},
          {"sys/fs/cgroup/a/b/memory.max", "max\n"},
          {"sys/fs/cgroup/a/memory.max", "2097152\n"}},
         2048,
         false},
        {"version 2, a container that sees its own group only, as the top",
         {{"proc/meminfo", MACHINE},
          {"proc/self/cgroup", "0::/\n"},
          {"sys/fs/cgroup/memory.max", "1048576\n"}},
         1024,
         false},
        {"the host's path in a container",
         {{"proc/meminfo", MACHINE},
          {"proc/self/cgroup", "0::/kubepods/pod7/c\n"},
          {"sys/fs/cgroup/memory.max", "1048576\n"}},
         1024,
         false},
        {"a path out of the namespace leads nowhere",
         {{"proc/meminfo", MACHINE},
          {"proc/self/cgroup", "0::/../other\n"},
          {"sys/fs/cgroup/memory.max", "max\n"},
          {"sys/fs/other/memory.max", "1048576\n"}},
         4096,
         true},
        {"a limit above the machine's size",
         {{"proc/meminfo", MACHINE},
          {"proc/self/cgroup", "0::/\n"},
          {"sys/fs/cgroup/memory.max", "9223372036854771712\n"}},
         4096,
         true},
        {"version 2, a group that may not swap",
         {{"proc/meminfo", SWAPS},
          {"proc/self/cgroup", "0::/\n"},
          {"sys/fs/cgroup/memory.max", "1048576\n"},
          {"sys/fs/cgroup/memory.swap.max", "0\n"}},
         1024,
         false},
        {"version 2, a group that may swap",
         {{"proc/meminfo", SWAPS},
          {"proc/self/cgroup", "0::/\n"},
          {"sys/fs/cgroup/memory.max", "1048576\n"},
          {"sys/fs/cgroup/memory.swap.max", "max\n"}},
         3072,
         false},
        {"version 1, and the controller's line among others",
         {{"proc/meminfo", MACHINE},
          {"proc/self/cgroup", "9:name=systemd:/x\n4:cpu,memory:/a/b\n1:cpu:/c\n0::/\n"},
          {"sys/fs/cgroup/memory/a/memory.limit_in_bytes", "2097152\n"},
          {"sys/fs/cgroup/memory/a/b/memory.limit_in_bytes", "1048576\n"},
          {"sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n"}},
         1024,
         false},
        {"version 1, swap counted with memory",
         {{"proc/meminfo", SWAPS},
          {"proc/self/cgroup", "4:memory:/a\n"},
          {"sys/fs/cgroup/memory/a/memory.limit_in_bytes", "1048576\n"},
          {"sys/fs/cgroup/memory/a/memory.memsw.limit_in_bytes", "2097152\n"}},
         2048,
         false},
        {"a group without a machine",
         {{"proc/self/cgroup", "0::/\n"}, {"sys/fs/cgroup/memory.max", "1048576\n"}},
         1024,
         false},
        {"files that are no limits",
         {{"proc/meminfo", "MemTotal: many kB\n"},
          {"proc/self/cgroup", "0::/\n"},
          {"sys/fs/cgroup/memory.max", "-1\n"}},
         0,
         false},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        char root[] = "limit-XXXXXX";
        struct memory_limit limit = {0};
        int r;

        assert_non_null(mkdtemp(root));
        for (size_t f = 0; f < FILES_MAX && cases[i].files[f].path != NULL; f++)
            make(root, &cases[i].files[f]);
        r = memory_limit_find(&limit, root);
        if (r != (cases[i].kib == 0 ? -ERR_NOT_FOUND : 0) || limit.bytes != cases[i].kib << 10 ||
            limit.is_machine != cases[i].is_machine)
            fail_msg("%s: %d, %llu KiB", cases[i].what, r, (unsigned long long)limit.bytes >> 10);
        assert_int_equal(file_remove_tree(root, NULL), 0);
    }
}

/* Whatever this test runs on has some memory. */
static void reads_this_machine(void **state)
{
    struct memory_limit limit = {0};

    (void)state;
    assert_int_equal(memory_limit_find(&limit, ""), 0);
    assert_true(limit.bytes > 16 * mib);
}

static void finds_the_group(void **state)
{
    static const struct {
        const char *text;
        const char *controller;
        const char *group;
    } cases[] = {
        {"", NULL, ""},
        {"0::/a", NULL, "/a"},
        {"0::/a:b/c\n", NULL, "/a:b/c"},
        {"0::a\n", NULL, ""},
        {"0::\n", NULL, ""},
        {"::/a\n", NULL, ""},
        {"0:/a\n", NULL, ""},
        {"7:memory:/a\n0::/b\n", NULL, "/b"},
        {"7:memory:/a\n0::/b\n", "memory", "/a"},
        {"7:memory,cpu:/a\n", "memory", "/a"},
        {"7:memories:/a\n", "memory", ""},
        {"7:memory:/a/../b\n", "memory", ""},
        {"7:memory:/..b\n", "memory", "/..b"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct str found = memory_limit_group(str_of(cases[i].text), cases[i].controller);

        if (!str_is(found, cases[i].group))
            fail_msg("'%s': '%.*s'", cases[i].text, STR_ARG(found));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_the_smallest),
        cmocka_unit_test(reads_this_machine),
        cmocka_unit_test(finds_the_group),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
