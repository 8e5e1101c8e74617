/* SPDX-License-Identifier: Apache-2.0 */
/* The paths of objects and pods, taken apart. */
#include "operator/local/rest.h"

bool rest_path_parse(struct str tail, struct rest_path *out)
{
    struct str part = str_cut(&tail, '/');

    *out = (struct rest_path){0};
    if (str_is(part, "namespaces") && tail.len > 0) {
        out->name_space = str_cut(&tail, '/');
        if (!str_is_dns_label(out->name_space))
            return false;
        part = str_cut(&tail, '/');
    }
    out->resource = part;
    if (tail.ptr != NULL) {
        out->name = str_cut(&tail, '/');
        if (!str_is_dns_subdomain(out->name))
            return false;
    }
    if (tail.ptr != NULL)
        out->sub = str_cut(&tail, '/');
    return out->resource.len > 0 && tail.ptr == NULL;
}
