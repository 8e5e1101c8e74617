/* SPDX-License-Identifier: Apache-2.0 */
/* The record of a pod's process, and the kernel's line about one: what is accepted names a process
 * that there can be, and a record that is written from it reads back as the same. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "fuzz_target.h"
#include "operator/local/process.h"

static void check_record(struct str text)
{
    uint64_t start = 0, start_again = 0;
    pid_t pid = 0, pid_again = 0;
    char back[64];

    if (!process_record_parse(text, &pid, &start))
        return;
    if (pid <= 0)
        abort();
    snprintf(back, sizeof(back), "%lld %llu\n", (long long)pid, (unsigned long long)start);
    if (!process_record_parse(str_of(back), &pid_again, &start_again) || pid_again != pid ||
        start_again != start)
        abort();
}

static void check_stat(struct str text)
{
    CLEANUP(mem_freep) char *copy = mem_strndup(text.ptr, text.len);
    uint64_t start = 0;

    if (copy != NULL && process_stat_parse(copy, &start) && start == 0)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str text = {(const char *)data, size};

    check_record(text);
    check_stat(text);
    return 0;
}
