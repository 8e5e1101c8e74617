/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How much memory this process may use before the kernel ends it: the smallest limit of its cgroup
 * and those above it (version 2, or the memory controller of version 1), and what the machine has.
 *
 * In a container the path in /proc/self/cgroup is often that of the host, and only the top of
 * /sys/fs/cgroup is there, which is then the container's own group: so levels that can't be read
 * are passed over, and the top is always looked at. Swap counts as far as the group may use it: who
 * may swap is slow, but isn't ended.
 */
#ifndef SPATE_BASE_MEMORY_LIMIT_H
#define SPATE_BASE_MEMORY_LIMIT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"

struct memory_limit {
    uint64_t bytes;  /* of memory and swap together */
    bool is_machine; /* the machine's own size: no group allows less */
};

/* Reads the files below `root`: "" for this machine, a folder with proc/ and sys/ in tests.
 * Blocking. -ERR_NOT_FOUND if nothing tells it (*out is untouched then). */
int memory_limit_find(struct memory_limit *out, const char *root);

/* --- the parsers, for tests ----------------------------------------------------------------- */

/* The path of the process's group in the text of /proc/self/cgroup: of version 2 (`controller`
 * NULL), or of a controller of version 1. Empty if there is none, or if it leads upwards. */
struct str memory_limit_group(struct str text, const char *controller);
/* A limit file: a number of bytes, or "max" (UINT64_MAX). False for anything else. */
bool memory_limit_number(struct str text, uint64_t *out);
/* The bytes behind `name` ("MemTotal") in the text of /proc/meminfo. */
bool memory_limit_meminfo(struct str text, const char *name, uint64_t *out);

#endif
