/* SPDX-License-Identifier: Apache-2.0 */
/* HTTP responses: see fuzz_http.c. */
#include "fuzz_http.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_http(HTTP_PARSE_RESPONSE, data, size);
    return 0;
}
