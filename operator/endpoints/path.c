/* SPDX-License-Identifier: Apache-2.0 */
/* The paths of objects and pods, taken apart. */
#include "operator/endpoints/endpoints.h"

bool endpoints_path_parse(struct str rest, struct endpoints_path *out)
{
    struct str part = str_cut(&rest, '/');

    *out = (struct endpoints_path){0};
    if (str_is(part, "namespaces") && rest.len > 0) {
        out->name_space = str_cut(&rest, '/');
        if (!str_is_dns_label(out->name_space))
            return false;
        part = str_cut(&rest, '/');
    }
    out->resource = part;
    if (rest.ptr != NULL) {
        out->name = str_cut(&rest, '/');
        if (!str_is_dns_subdomain(out->name))
            return false;
    }
    if (rest.ptr != NULL)
        out->sub = str_cut(&rest, '/');
    return out->resource.len > 0 && rest.ptr == NULL;
}
