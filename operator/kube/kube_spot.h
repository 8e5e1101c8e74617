/* SPDX-License-Identifier: Apache-2.0 */
/* Which replicas of a model may be on spot nodes. Pure. */
#ifndef SPATE_OPERATOR_KUBE_SPOT_H
#define SPATE_OPERATOR_KUBE_SPOT_H

#include <stdbool.h>
#include <stdint.h>

/* What a new pod asks of its node. */
enum kube_wish {
    KUBE_WISH_ANY,       /* the model does not say */
    KUBE_WISH_SPOT,      /* a spot node if there is one, else any */
    KUBE_WISH_ON_DEMAND, /* anything but a spot node */
};

/* For one more pod beside `pods`, of which `on_demand` are not on spot nodes. */
enum kube_wish kube_spot_wish(int64_t percent, int64_t min_on_demand, int64_t pods,
                              int64_t on_demand);

#endif
