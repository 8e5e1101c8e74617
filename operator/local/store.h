/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The objects of the local platform, as an API server would keep them: one JSON file each, written
 * atomically, in STATE/objects/<plural>/[<namespace>_]<name>.json. Changes are made one after
 * another: checked against what is there, written in the thread pool, then in force and told to the
 * watchers. resourceVersions rise over restarts too. Loop thread.
 */
#ifndef SPATE_OPERATOR_STORE_H
#define SPATE_OPERATOR_STORE_H

#include "base/clock.h"
#include "base/loop.h"
#include "crd/object.h"
#include "operator/platform.h"

enum { STORE_OBJECTS_MAX = 100000, STORE_CHANGES_MAX = 10000 };

struct store;

/* How a change ended: code 0 and the object in force (for a deletion the last one), or negative
 * with err. `created`: there was none before. */
struct store_answer {
    int code;
    struct crd_object *object; /* borrowed; NULL on failure */
    bool created;
    const struct err *err;
};
typedef void (*store_done)(void *user, const struct store_answer *answer);

struct store_watcher {
    void (*fn)(void *user, enum platform_change change, struct crd_object *object);
    void *user;
    struct store_watcher *next;
};

int store_open(struct store **out, struct loop *loop, const char *folder, const struct clock *clock,
               const struct rng *rng, struct err *err);
/* Changes that wait are answered with -ERR_CANCELLED. Turns the loop. NULL is allowed. */
void store_close(struct store *s);

/* Borrowed until the next turn of the loop; NULL if there is none. */
struct crd_object *store_find(const struct store *s, const struct crd_kind *kind,
                              struct str name_space, struct str name);
/* All of a kind, in no order; name_space empty: of all namespaces. */
void store_each(const struct store *s, const struct crd_kind *kind, struct str name_space,
                void (*fn)(void *user, struct crd_object *object), void *user);
/* Of the newest change. */
uint64_t store_version(const struct store *s);

/* All of these call done(user) once, later; `done` may be NULL. */

/* Creates the object, or replaces metadata and spec of the one that is there (its status stays).
 * With dry_run everything but the change. -ERR_EXISTS with create_only if there is one. A
 * resourceVersion in `object` must be the present one, else -ERR_CONFLICT. Keeps no reference. */
void store_apply(struct store *s, const struct crd_object *object, bool create_only, bool dry_run,
                 store_done done, void *user);
/* Replaces the status, if uid and resourceVersion are still those of `object`. */
void store_put_status(struct store *s, const struct crd_object *object, json_t *status,
                      store_done done, void *user);
void store_delete(struct store *s, const struct crd_kind *kind, struct str name_space,
                  struct str name, store_done done, void *user);

/* Told each change once it is in force. The watcher is the caller's, until store_unwatch. */
void store_watch(struct store *s, struct store_watcher *w);
void store_unwatch(struct store *s, struct store_watcher *w);

#endif
