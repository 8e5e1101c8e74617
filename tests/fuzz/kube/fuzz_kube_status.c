/* SPDX-License-Identifier: Apache-2.0 */
/* Refusals: any body gives one clean line, a known reason and a bounded patience. */
#include <stdlib.h>

#include "fuzz_target.h"
#include "operator/kube/client/kube_status.h"

static void check(const struct kube_status *s)
{
    struct err err = {0};

    if (s->reason >= KUBE_REASON_COUNT || s->retry_after_s < -1 || s->retry_after_s == 0 ||
        s->retry_after_s > KUBE_RETRY_AFTER_MAX_S || !utf8_valid(str_of(s->message)))
        abort();
    for (const char *at = s->message; *at != '\0'; at++) {
        if ((unsigned char)*at < 0x20 || *at == 0x7f)
            abort();
    }
    if (kube_status_err(s, "GET", &err) >= 0 || err.message[0] == '\0')
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const int codes[] = {200, 302, 400, 401, 403, 404, 409, 410, 422, 429, 500, 503};
    struct str body = {(const char *)data, size};

    for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
        struct kube_status status;

        kube_status_read(&status, codes[i], body);
        check(&status);
    }
    return 0;
}
