/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The route snapshot: all that a gateway needs to know, from the operator, in one versioned
 * message.
 *
 *   GET ROUTES_PATH?gateway=ID&run=RUN&have=VERSION  answers at once if there is a newer version,
 *   else waits up to ROUTES_WAIT_MS and answers 204. `have` acknowledges that version: it is in
 * force in that gateway. VERSION is "installation:epoch:counter"; a gateway never goes back within
 * an installation, and keeps the last snapshot on disk.
 *
 * A snapshot is immutable once read and lives in its own arena; the owner swaps whole snapshots.
 */
#ifndef SPATE_WIRE_ROUTES_H
#define SPATE_WIRE_ROUTES_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/str.h"

#define ROUTES_PATH "/internal/v1/routes"
#define ROUTES_TOKEN_PATH \
    "/internal/v1/token" /* POST, by the gateway's credential -> {"tokens":{audience: jwt}} */

enum {
    ROUTES_WAIT_MS = 5000, /* short: an operator that hangs is not known from one that waits */
    ROUTES_MODELS_MAX = 20000,
    ROUTES_PODS_MAX = 200000,
    ROUTES_TENANTS_MAX = 100000,
    ROUTES_KEYS_PER_TENANT_MAX = 64,
    ROUTES_NAMES_PER_TENANT_MAX = 256,
    ROUTES_ROUTES_MAX = 20000,
    ROUTES_TARGETS_MAX = 16,
    ROUTES_FALLBACKS_MAX = 8,
};

struct routes_version {
    struct str installation; /* uid of this Spate, made once */
    uint64_t epoch;          /* raised at each leadership */
    uint64_t counter;
};
/* <0, 0, >0; versions of different installations are not comparable: the newer message wins (>0).
 */
int routes_version_compare(const struct routes_version *a, const struct routes_version *b);

struct routes_pod {
    struct str name;
    struct str uid;
    struct str address; /* "127.0.0.1:40123" */
    bool draining;      /* no new work; in-flight work goes on */
    uint64_t slots;
    struct str digest; /* hex; resumed answers stay within one digest */
};

struct routes_model {
    struct str name;       /* namespace/name */
    struct str name_space; /* its first part */
    struct str
        short_name; /* what tenants who may use the namespace can also call it; empty: none */
    int64_t created_s;
    uint64_t context_max;   /* 0: not known yet (no pod was ever ready) */
    bool can_wake;          /* maxReplicas > 0: requests may wait for a pod */
    struct str hold_reason; /* why it can't serve at the moment, for people; empty: fine */
    struct routes_pod *pods;
    int pod_count;
};

struct routes_target {
    struct str model; /* namespace/name */
    uint64_t weight;  /* its share of the sum; 0: none */
};

/* A name in front of several models. Only models that exist and permit the route are in it. */
struct routes_route {
    struct str name;       /* namespace/name */
    struct str name_space; /* its first part: who may use that namespace may use the route */
    struct str short_name; /* as of a model; empty: none */
    int64_t created_s;
    struct routes_target *targets;
    int target_count;
    struct str *fallbacks; /* models, the first choice first */
    int fallback_count;
    uint64_t fallback_after_ms; /* for so long a request waits for its target */
};

struct routes_key {
    struct str id;
    uint8_t sha256[SHA256_BYTES];
};

struct routes_tenant {
    struct str name;
    int priority;
    uint64_t requests_per_minute; /* 0: no limit */
    uint64_t concurrency;         /* 0: no limit */
    uint64_t price_version;       /* the one in force; 0: none */
    struct str *namespaces;       /* whose models it may use; "*" is all */
    int namespace_count;
    struct str *models; /* allowed models (namespace/name); none: all of its namespaces */
    int model_count;
    struct routes_key *keys;
    int key_count;
};

/* A pod that gets no work any more and is in no model's list, but may have usage to report: on its
 * way out, or of a model that was deleted. Gateways collect from it until it is gone. */
struct routes_leaver {
    struct str name;
    struct str uid;
    struct str address;
};

struct routes {
    struct arena arena; /* owns everything below */
    struct routes_version version;
    struct routes_model *models;
    int model_count;
    struct routes_leaver *leavers; /* optional in the message: none */
    int leaver_count;
    struct routes_route *routes; /* optional in the message: none */
    int route_count;
    struct routes_tenant *tenants;
    int tenant_count;
};

/* Heap object; NULL is allowed in free. */
int routes_read(struct routes **out, const json_t *object, struct err *err);
void routes_free(struct routes *routes);
void routes_write(struct json_writer *w, const struct routes *routes);
/* "installation:epoch:counter" */
void routes_version_format(const struct routes_version *version, struct buf *out);
int routes_version_parse(struct routes_version *out, struct str text, struct err *err);

#endif
