/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by the two HTTP targets: parses input whole and cut, and compares what came out. */
#ifndef SPATE_TESTS_FUZZ_HTTP_H
#define SPATE_TESTS_FUZZ_HTTP_H

#include "base/http_parse.h"
#include "fuzz_target.h"

void fuzz_http(enum http_parse_kind kind, const uint8_t *data, size_t size);

#endif
