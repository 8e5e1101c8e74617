/* SPDX-License-Identifier: Apache-2.0 */
/* Plain texts: see plain.h. The result is never longer. */
#include "operator/reconcile/plain.h"

#include <string.h>

#include "base/str.h"

void plain_make(char *text)
{
    struct str rest = str_of(text);
    char *end = text;

    while (rest.len > 0) {
        uint32_t c = 0;
        int length = utf8_decode(rest, &c);
        size_t taken = length > 0 ? (size_t)length : 1;

        if (length <= 0 || utf8_is_unseen(c)) {
            *end++ = '?';
        } else {
            memmove(end, rest.ptr, taken);
            end += taken;
        }
        rest = str_slice(rest, taken, rest.len);
    }
    *end = '\0';
}
