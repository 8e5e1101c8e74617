/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Takes one file out of a zip archive in memory (stored or deflated; no zip64, no encryption).
 * Every offset is checked; a checksum that does not match is an error.
 *
 *     local header, name, data | ... | central directory | end record
 *                                      entry -> offset of the local header
 */
#ifndef SPATE_CLI_UNZIP_H
#define SPATE_CLI_UNZIP_H

#include <stdint.h>

#include "base/err.h"
#include "base/str.h"

enum { ZIP_ENTRIES_MAX = 65535 };

struct zip_entry {
    struct str name; /* in the archive */
    struct str data; /* compressed, in the archive */
    uint64_t size;   /* when unpacked */
    uint32_t crc;
    bool deflated;
};

/* The first entry whose name ends with `suffix`. -ERR_NOT_FOUND; -ERR_SYNTAX if it is no archive.
 */
int zip_find(struct zip_entry *out, struct str archive, struct str suffix, struct err *err);

/* Hands the unpacked bytes to `fn`, piece by piece; a negative result of it ends the work. */
int zip_extract(const struct zip_entry *entry, int (*fn)(void *user, struct str bytes), void *user,
                struct err *err);

#endif
