/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the gateway knows of the world, made from route snapshots and kept over them: tenants with
 * their limits, models with their queues, pods with what was sent to them. No sockets.
 *
 *     key (SHA-256) -> tenant ---admit---> flight ---queue---> model ---pick---> pod
 *
 * An object that a new snapshot no longer lists stays until nothing refers to it. Loop thread.
 */
#ifndef SPATE_GATEWAY_TABLE_H
#define SPATE_GATEWAY_TABLE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/id.h"
#include "base/map.h"
#include "wire/openai.h"
#include "wire/routes.h"

enum {
    TABLE_SLOTS_SPARE = 2,             /* a pod is sent at most this many more than its slots */
    TABLE_QUEUE_MAX = 10000,           /* requests waiting for one model */
    TABLE_QUEUE_BYTES_MAX = 512 << 20, /* their bodies, over all models */
    TABLE_ADDRESS_MAX = 300,
};

struct flight;

struct gw_tenant {
    char *name;
    const struct routes_tenant *spec; /* in the snapshot; NULL: revoked meanwhile */
    uint64_t in_flight;               /* admitted and not settled */
    uint64_t bucket; /* request rate, in 1/60000 of a request: a minute's worth at most */
    int64_t bucket_ms;
    int refs;
};

struct gw_key {
    struct gw_tenant *tenant;
    struct str id; /* in the snapshot */
};

struct gw_pod {
    struct gw_pod *next; /* of the model */
    struct gw_model *model;
    char *name;
    char *uid;
    char address[TABLE_ADDRESS_MAX];
    char digest[65];
    uint64_t slots;
    bool draining;
    bool listed;
    uint64_t in_flight;
    int64_t hold_until_ms; /* refused, suspect: nothing is sent before */
    unsigned failures;     /* in a row: each doubles the next hold */
};

/* A tenant's requests at a model, in the order of their arrival. */
struct gw_line {
    struct gw_line *next; /* round-robin ring */
    struct gw_tenant *tenant;
    struct flight *first, *last;
};

struct gw_model {
    char *name;
    char *name_space;
    char *short_name;
    struct gw_model *next_claim; /* of the same short name, younger: see names.h */
    bool is_entered;             /* under its short name */
    char *hold_reason;
    int64_t created_s;
    uint64_t context_max;
    bool can_wake;
    bool listed;
    struct gw_pod *pods;
    struct gw_line *lines;                   /* the one that was served last; NULL: nobody waits */
    struct flight *front_first, *front_last; /* put back: served before the lines */
    uint64_t in_flight;                      /* sent to pods */
    uint64_t queued;
    uint64_t arrived;
    int64_t busy_ms; /* when a request last arrived or ended */
    int refs;        /* flights */
};

struct table {
    struct routes *routes;  /* the snapshot in force, or NULL */
    bool incomplete;        /* memory ran out while it was applied: take it again */
    struct map tenants;     /* name -> gw_tenant */
    struct map models;      /* namespace/name -> gw_model */
    struct map names;       /* short name -> gw_model: see names.h */
    struct map pods;        /* uid -> gw_pod */
    struct map keys;        /* 32 bytes -> gw_key */
    struct map route_names; /* namespace/name and short name -> routes_route, in the snapshot */
    struct gw_key *key_items;
    uint64_t queued_bytes;
};

int table_init(struct table *t);
void table_fini(struct table *t);

/* Takes the snapshot over. 1: it is in force now; 0: it is not newer than the one in force (freed).
 * -ERR_NO_MEMORY: the old one stays in force, or, where memory ran out late, the part of the new
 * one that there was memory for; either way the same snapshot is taken when it comes again. */
int table_apply(struct table *t, struct routes *routes, struct err *err);

/* The key's tenant, or NULL. */
const struct gw_key *table_key(const struct table *t, struct str secret);
/* namespace/name, or a short name of a namespace that the tenant may use, the oldest claim first.
 * NULL: no such model for this tenant. */
struct gw_model *table_model(const struct table *t, const struct gw_tenant *tenant,
                             struct str name);
bool table_may_use(const struct gw_tenant *tenant, const struct gw_model *model);
/* Appends "a, b, c" of what the tenant may call, at most `max`. */
void table_list_names(const struct table *t, const struct gw_tenant *tenant, int max,
                      struct buf *out);

/* --- table_routes.c ----------------------------------------------------------------------------
 */

/* namespace/name, or the short name, of a route that the tenant may use; NULL: no such route. Lives
 * until the next snapshot. */
const struct routes_route *table_route(const struct table *t, const struct gw_tenant *tenant,
                                       struct str name);
bool table_may_use_route(const struct gw_tenant *tenant, const struct routes_route *route);
/* The target for the request: drawn by weight from its id among those that can serve. NULL: none.
 */
struct gw_model *table_route_pick(const struct table *t, const struct routes_route *route,
                                  struct id128 request);
/* The first fallback from number *next on that can serve (or has a ready pod), and *next becomes
 * the number after it. NULL: none. */
struct gw_model *table_route_fallback(const struct table *t, const struct routes_route *route,
                                      bool ready_only, int *next);
/* For table_apply: the names of all routes of a snapshot. */
int table_map_routes(const struct routes *routes, struct map *out);
/* A star in the list stands for every name. */
bool table_in_list(const struct str *list, int count, struct str name);

/* The pod for the next request: not draining, not held, with room, with that digest (empty: any);
 * the fewest requests in flight wins. NULL: none now. */
struct gw_pod *table_pick(const struct gw_model *m, const char *digest, int64_t now_ms);

void table_tenant_unref(struct table *t, struct gw_tenant *tenant);
void table_model_unref(struct table *t, struct gw_model *model);
/* A request on the pod ended. */
void table_pod_done(struct table *t, struct gw_pod *pod);

#endif
