/* SPDX-License-Identifier: Apache-2.0 */
/* Why a program can't write where it should, for people: whose the folder is, and how much room
 * there is. Blocking, and for messages only: what a disk says may be old when it is read. */
#ifndef SPATE_BASE_DISK_H
#define SPATE_BASE_DISK_H

#include <stdint.h>

#include "base/err.h"

/*
 * `result` is a failure to write at `path` (which may be missing). After -ERR_DENIED, -ERR_NO_SPACE
 * and -ERR_IO the message gets what is known of the place, and the cure. `needed`: bytes; 0: not
 * known. Returns `result` unchanged; err and path may be NULL.
 */
int disk_explain(struct err *err, int result, const char *path, uint64_t needed);

/* Bytes that we may still write there; -ERR_NOT_FOUND ... if that can't be told. */
int disk_free_bytes(const char *path, uint64_t *out);

#endif
