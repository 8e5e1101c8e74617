/* SPDX-License-Identifier: Apache-2.0 */
/* Leases as anybody may have written them: what is read is bounded, and never shorter than ours. */
#include <stdlib.h>
#include <string.h>

#include "fuzz_target.h"
#include "operator/kube/client/kube_lease_record.h"

enum { LEAST_MS = 4000 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct kube_lease_record record;
    struct err err = {0};

    if (kube_lease_record_read(&record, (struct str){(const char *)data, size}, LEAST_MS, &err) < 0)
        return 0;
    if (record.lease_ms < LEAST_MS || record.lease_ms > (int64_t)KUBE_LEASE_S_MAX * 1000 ||
        record.transitions > INT32_MAX || record.version[0] == '\0' ||
        strlen(record.holder) > KUBE_LEASE_IDENTITY_MAX)
        abort();
    return 0;
}
