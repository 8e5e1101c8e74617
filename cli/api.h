/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The operator's endpoint, which speaks JSON in the shape of Kubernetes: typed paths, watch lines,
 * and Status objects turned into errors. Blocking.
 */
#ifndef SPATE_CLI_API_H
#define SPATE_CLI_API_H

#include <stdint.h>

#include "base/err.h"
#include "base/json.h"
#include "cli/state.h"
#include "crd/field.h"

struct api {
    char *folder; /* the state folder */
    char *token;  /* bearer token of the operator's endpoint */
    struct state_endpoints endpoints;
};

/* Finds the installation. `state_option` is --state or NULL. */
int api_open(struct api *out, const char *state_option, struct err *err);
void api_fini(struct api *api);

/*
 * What get, describe, delete and logs can name: our kinds, and pods and events. `path` is the
 * collection below "namespaces/NS/" or the root.
 */
struct api_resource {
    const char *kind;
    const char *plural;
    const char *singular;
    const char *short_name;
    const char *group; /* "spate.dev"; "" for the core group */
    const char *root;  /* "/apis/spate.dev/v1alpha1" */
    bool namespaced;
    const struct crd_column *columns;
    size_t column_count;
};

/* -ERR_NOT_FOUND with "did you mean" for an unknown name. */
int api_resource_find(const struct api_resource **out, const char *name, struct err *err);
const struct api_resource *api_resource_of(const struct crd_kind *kind);
/* Every resource in turn; NULL at the end. */
const struct api_resource *api_resource_at(size_t index);

/* Path of a collection (name NULL) or of an object. An empty namespace means all. */
int api_path(char **out, const struct api_resource *resource, const char *name_space,
             const char *name, struct err *err);

/*
 * One request; `path` may end with a query. A failure status becomes an error with the server's
 * message: 401, 403 -ERR_DENIED, 404 -ERR_NOT_FOUND, 409 -ERR_CONFLICT, 400, 422 -ERR_INVALID, 429
 * -ERR_BUSY, others -ERR_NETWORK. *out (may be NULL) is the answer's tree. Returns the status.
 */
int api_get(const struct api *api, const char *path, json_t **out, struct err *err);
int api_delete(const struct api *api, const char *path, json_t **out, struct err *err);
/* Apply: the whole intended object. Returns 201 if it was created, 200 if it was there. */
int api_apply(const struct api *api, const char *path, const json_t *object, json_t **out,
              struct err *err);

/* The body as it comes, without end until the server ends it: logs. `fn` may return a negative
 * code to stop. */
int api_stream(const struct api *api, const char *path, int (*fn)(void *user, struct str bytes),
               void *user, struct err *err);
/* A watch: `fn` gets each event's type ("ADDED" ...) and object. */
int api_watch(const struct api *api, const char *path,
              int (*fn)(void *user, const char *type, const json_t *object), void *user,
              struct err *err);

#endif
