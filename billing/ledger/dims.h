/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Accounts, pods and runs behind small numbers. A direct-mapped cache of fixed size stands before
 * the tables, so that memory is bounded however many there are; dims_forget empties it after a
 * rollback, which takes new numbers back. The writer's thread only.
 */
#ifndef SPATE_LEDGER_DIMS_H
#define SPATE_LEDGER_DIMS_H

#include "base/id.h"
#include "billing/ledger/db.h"
#include "wire/usage.h"

enum { DIMS_CACHE = 4096 }; /* entries of each kind; a power of two */

struct dims_account {
    int64_t id; /* 0: free */
    char tenant[USAGE_TENANT_MAX + 1];
    char key_id[USAGE_KEY_MAX + 1];
    char model[USAGE_MODEL_MAX + 1];
    uint64_t price_version;
};

struct dims_pod {
    int64_t id;
    char name[USAGE_POD_MAX + 1];
};

struct dims_run {
    int64_t id;
    struct id128 run_id;
};

struct dims {
    struct db *db;
    struct dims_account *accounts;
    struct dims_pod *pods;
    struct dims_run *runs;
    struct dims_account *accounts_by_id;
};

int dims_init(struct dims *d, struct db *db, struct err *err);
void dims_fini(struct dims *d);
void dims_forget(struct dims *d);

/* The number, made if new. A zero run is 0. */
int dims_account(struct dims *d, const struct usage_record *r, int64_t *id, struct err *err);
int dims_pod(struct dims *d, const char *name, int64_t *id, struct err *err);
int dims_run(struct dims *d, struct id128 run_id, int64_t *id, struct err *err);

/* Back: fills tenant, key, model and price version; pod; run. */
int dims_read(struct dims *d, struct usage_record *r, int64_t account, int64_t pod, int64_t run,
              struct err *err);

#endif
