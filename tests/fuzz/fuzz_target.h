/* SPDX-License-Identifier: Apache-2.0 */
/* What every fuzz target defines. Violated invariants call abort(), which libFuzzer reports. */
#ifndef SPATE_TESTS_FUZZ_TARGET_H
#define SPATE_TESTS_FUZZ_TARGET_H

#include <stddef.h>
#include <stdint.h>

/* Returns 0. The bytes are an exact heap copy, so that a sanitizer sees any read beyond them. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif
