/* SPDX-License-Identifier: Apache-2.0 */
/* The files that tell a process's memory limit: what is found lies in the text and leads into the
 * mount, never out of it. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/memory_limit.h"
#include "fuzz_target.h"

static void check_group(struct str text, const char *controller)
{
    struct str group = memory_limit_group(text, controller);
    struct str rest = group;

    if (group.len == 0)
        return;
    if (group.ptr[0] != '/' || group.ptr < text.ptr ||
        group.ptr + group.len > text.ptr + text.len || memchr(group.ptr, '\n', group.len) != NULL)
        abort();
    while (rest.ptr != NULL) {
        if (str_is(str_cut(&rest, '/'), ".."))
            abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *copy = mem_dup(data, size); /* so that a read beyond the end is seen */
    struct str text = {copy, size};
    uint64_t value = 0;

    if (copy == NULL)
        abort();
    check_group(text, NULL);
    check_group(text, "memory");
    (void)memory_limit_number(text, &value);
    if (memory_limit_meminfo(text, "MemTotal", &value) && value % 1024 != 0)
        abort();
    mem_free(copy);
    return 0;
}
