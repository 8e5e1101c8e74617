/* SPDX-License-Identifier: Apache-2.0 */
/* The operator's paths: what is accepted consists of the parts that it was made of, each of them a
 * safe name, and reads back as the same. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "fuzz_target.h"
#include "operator/local/rest.h"

static void put_part(struct buf *out, struct str part)
{
    if (part.ptr == NULL)
        return;
    if (out->len > 0)
        buf_append_char(out, '/');
    buf_append_str(out, part);
}

static void check(struct str text, const struct rest_path *path)
{
    struct rest_path again;
    struct buf back;

    if (path->resource.len == 0 || str_find_char(path->resource, '/') >= 0 ||
        str_find_char(path->sub, '/') >= 0)
        abort();
    if (path->name_space.len > 0 && !str_is_dns_label(path->name_space))
        abort();
    if (path->name.ptr != NULL && !str_is_dns_subdomain(path->name))
        abort();
    buf_init(&back, text.len + 64);
    if (path->name_space.len > 0) {
        put_part(&back, STR("namespaces"));
        put_part(&back, path->name_space);
    }
    put_part(&back, path->resource);
    put_part(&back, path->name);
    put_part(&back, path->sub);
    if (!str_eq(buf_str(&back), text))
        abort();
    if (!rest_path_parse(buf_str(&back), &again) || !str_eq(again.name, path->name) ||
        !str_eq(again.resource, path->resource) || !str_eq(again.sub, path->sub))
        abort();
    buf_fini(&back);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str text = {(const char *)data, size};
    struct rest_path path;

    if (rest_path_parse(text, &path))
        check(text, &path);
    return 0;
}
