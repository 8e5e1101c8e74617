/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A kind as Kubernetes wants to know it, and as people read it: both are made from its table.
 */
#ifndef SPATE_CRD_SCHEMA_H
#define SPATE_CRD_SCHEMA_H

#include "base/buf.h"
#include "base/json.h"
#include "crd/field.h"

/* The CustomResourceDefinition, a new reference; NULL without memory. */
json_t *crd_definition(const struct crd_kind *kind);

/* All of them, or one (`only` NULL: all), as YAML for `kubectl apply`. */
void crd_definitions(const struct crd_kind *only, struct buf *out);

/*
 * What the schema of a kind (in a definition, or as an API server publishes it) does not have of
 * its table: names it in `out`, "spec.hardware, spec.scaling.spot", and returns how many there are.
 * Members of what is missing, and fields that only the schema has, do not count.
 */
int crd_lack(const struct crd_kind *kind, const json_t *schema, struct buf *out);

/* "spate.dev_modeldeployments.yaml": the file that holds a kind's definition. */
void crd_definition_file(const struct crd_kind *kind, struct buf *out);

/* The section of the reference page, as Markdown. */
void crd_page(const struct crd_kind *kind, struct buf *out);

/* What the field's bounds are, in sentences that follow its description; each begins with a
 * space. */
void crd_bounds(const struct crd_field *field, struct buf *out);

#endif
