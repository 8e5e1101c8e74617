/* SPDX-License-Identifier: Apache-2.0 */
/*
 * base64 with padding (RFC 4648, section 4), as kubeconfig files and PEM have it. The variant of
 * tokens, without padding and for URLs, is in hash.h. Pure; thread-safe.
 */
#ifndef SPATE_BASE_BASE64_H
#define SPATE_BASE_BASE64_H

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

/* The buffer's failed mark holds failures. */
int base64_append(struct buf *out, struct str bytes);

/* Appends the decoded bytes. Spaces and line ends are skipped; anything else outside the alphabet,
 * wrong padding, or bits after the end are refused, and nothing is appended then. */
int base64_decode(struct buf *out, struct str text, struct err *err);

#endif
