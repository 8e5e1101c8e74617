/* SPDX-License-Identifier: Apache-2.0 */
/* Which replicas of a model may be on spot nodes: see kube_spot.h. */
#include "operator/kube/kube_spot.h"

enum kube_wish kube_spot_wish(int64_t percent, int64_t min_on_demand, int64_t pods,
                              int64_t on_demand)
{
    int64_t total = pods + 1;
    int64_t on_spot = total * percent / 100; /* rounded down: the safe side */
    int64_t needed = total - on_spot;

    if (percent <= 0)
        return KUBE_WISH_ANY;
    if (needed < min_on_demand)
        needed = min_on_demand;
    return on_demand < needed ? KUBE_WISH_ON_DEMAND : KUBE_WISH_SPOT;
}
