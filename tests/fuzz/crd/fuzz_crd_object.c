/* SPDX-License-Identifier: Apache-2.0 */
/* Objects: one that is accepted is written so that it is accepted again, equal; and it decodes. */
#include <stdlib.h>

#include "base/mem.h"
#include "crd/model_deployment.h"
#include "crd/model_route.h"
#include "crd/tenant.h"
#include "fuzz_target.h"

enum { ARENA_MAX = 16 << 20 };

static void decode(const struct crd_object *object)
{
    CLEANUP(arena_fini) struct arena arena = {0};
    struct crd_model_spec model;
    struct crd_model_status status;
    struct crd_route_spec route;
    struct crd_route_status route_status;
    struct crd_tenant_spec tenant;
    struct crd_price_book_spec book;
    int r = 0;

    arena_init(&arena, ARENA_MAX);
    if (object->kind->id == CRD_MODEL_DEPLOYMENT)
        r = crd_model_spec_read(&model, object, &arena, NULL) |
            crd_model_status_read(&status, object, &arena, NULL);
    else if (object->kind->id == CRD_MODEL_ROUTE)
        r = crd_route_spec_read(&route, object, &arena, NULL) |
            crd_route_status_read(&route_status, object, &arena, NULL);
    else if (object->kind->id == CRD_TENANT)
        r = crd_tenant_spec_read(&tenant, object, &arena, NULL);
    else
        r = crd_price_book_spec_read(&book, object, &arena, NULL);
    if (r < 0)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct json_limits limits = {.max_bytes = CRD_OBJECT_BYTES_MAX, .max_depth = 32};
    CLEANUP(crd_object_unrefp) struct crd_object *object = NULL;
    CLEANUP(crd_object_unrefp) struct crd_object *again = NULL;
    CLEANUP(buf_fini) struct buf faults = {0};
    json_auto_t *tree = NULL;
    json_auto_t *written = NULL;
    struct err err;

    if (json_read(&tree, (struct str){(const char *)data, size}, &limits, "input", &err) < 0)
        return 0;
    buf_init(&faults, CRD_FAULT_BYTES_MAX);
    if (crd_object_read(&object, tree, NULL, &faults, &err) < 0) {
        if (faults.failed || faults.len == 0)
            abort();
        return 0;
    }
    decode(object);
    written = crd_object_tree(object);
    if (crd_object_read(&again, written, NULL, NULL, &err) < 0 || !crd_spec_equal(object, again))
        abort();
    return 0;
}
