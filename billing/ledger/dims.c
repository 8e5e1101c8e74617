/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers for names: see dims.h. */
#include "billing/ledger/dims.h"

#include <stdio.h>
#include <string.h>

#include "base/hash.h"
#include "base/mem.h"
#include "billing/ledger/sql.h"

int dims_init(struct dims *d, struct db *db, struct err *err)
{
    *d = (struct dims){
        .db = db,
        .accounts = mem_array(DIMS_CACHE, sizeof(struct dims_account)),
        .accounts_by_id = mem_array(DIMS_CACHE, sizeof(struct dims_account)),
        .pods = mem_array(DIMS_CACHE, sizeof(struct dims_pod)),
        .runs = mem_array(DIMS_CACHE, sizeof(struct dims_run)),
    };
    if (d->accounts == NULL || d->accounts_by_id == NULL || d->pods == NULL || d->runs == NULL)
        return err_no_memory(err);
    return 0;
}

void dims_fini(struct dims *d)
{
    mem_free(d->accounts);
    mem_free(d->accounts_by_id);
    mem_free(d->pods);
    mem_free(d->runs);
    *d = (struct dims){0};
}

void dims_forget(struct dims *d)
{
    memset(d->accounts, 0, DIMS_CACHE * sizeof(*d->accounts));
    memset(d->accounts_by_id, 0, DIMS_CACHE * sizeof(*d->accounts_by_id));
    memset(d->pods, 0, DIMS_CACHE * sizeof(*d->pods));
    memset(d->runs, 0, DIMS_CACHE * sizeof(*d->runs));
}

static size_t slot_of(uint64_t hash)
{
    return (size_t)(hash & (DIMS_CACHE - 1));
}

/* Looks up with `find`, else inserts with `add`; both have their parameters bound. */
static int find_or_add(struct dims *d, sqlite3_stmt *find, sqlite3_stmt *add, int64_t *id,
                       struct err *err)
{
    int r = db_step(d->db, find, err);

    if (r > 0) {
        *id = sqlite3_column_int64(find, 0);
        sqlite3_reset(find);
        return 0;
    }
    if (r == 0)
        r = db_run(d->db, add, err);
    if (r == 0)
        *id = sqlite3_last_insert_rowid(d->db->handle);
    return r;
}

static void bind_account(sqlite3_stmt *s, const struct usage_record *r)
{
    db_bind_str(s, 1, str_of(r->tenant));
    db_bind_str(s, 2, str_of(r->key_id));
    db_bind_str(s, 3, str_of(r->model));
    sqlite3_bind_int64(s, 4, (int64_t)r->price_version);
}

static bool account_is(const struct dims_account *a, const struct usage_record *r)
{
    return a->id != 0 && a->price_version == r->price_version &&
           strcmp(a->tenant, r->tenant) == 0 && strcmp(a->key_id, r->key_id) == 0 &&
           strcmp(a->model, r->model) == 0;
}

int dims_account(struct dims *d, const struct usage_record *r, int64_t *id, struct err *err)
{
    uint64_t hash = hash64(r->price_version, r->tenant, strlen(r->tenant));
    struct dims_account *slot;
    sqlite3_stmt *find;
    sqlite3_stmt *add;
    int result;

    hash = hash64(hash, r->key_id, strlen(r->key_id));
    hash = hash64(hash, r->model, strlen(r->model));
    slot = &d->accounts[slot_of(hash)];
    if (account_is(slot, r)) {
        *id = slot->id;
        return 0;
    }
    find = db_use(d->db, SQL_ACCOUNT_FIND);
    add = db_use(d->db, SQL_ACCOUNT_ADD);
    bind_account(find, r);
    bind_account(add, r);
    result = find_or_add(d, find, add, id, err);
    if (result < 0)
        return result;
    *slot = (struct dims_account){.id = *id, .price_version = r->price_version};
    memcpy(slot->tenant, r->tenant, sizeof(slot->tenant));
    memcpy(slot->key_id, r->key_id, sizeof(slot->key_id));
    memcpy(slot->model, r->model, sizeof(slot->model));
    return 0;
}

int dims_pod(struct dims *d, const char *name, int64_t *id, struct err *err)
{
    struct dims_pod *slot = &d->pods[slot_of(hash64(0, name, strlen(name)))];
    sqlite3_stmt *find;
    sqlite3_stmt *add;
    int r;

    if (slot->id != 0 && strcmp(slot->name, name) == 0) {
        *id = slot->id;
        return 0;
    }
    find = db_use(d->db, SQL_POD_FIND);
    add = db_use(d->db, SQL_POD_ADD);
    db_bind_str(find, 1, str_of(name));
    db_bind_str(add, 1, str_of(name));
    r = find_or_add(d, find, add, id, err);
    if (r < 0)
        return r;
    slot->id = *id;
    snprintf(slot->name, sizeof(slot->name), "%s", name);
    return 0;
}

int dims_run(struct dims *d, struct id128 run_id, int64_t *id, struct err *err)
{
    struct dims_run *slot = &d->runs[slot_of(hash64(0, run_id.bytes, sizeof(run_id.bytes)))];
    sqlite3_stmt *find;
    sqlite3_stmt *add;
    int r;

    if (id_is_zero(run_id)) {
        *id = 0;
        return 0;
    }
    if (slot->id != 0 && id_compare(slot->run_id, run_id) == 0) {
        *id = slot->id;
        return 0;
    }
    find = db_use(d->db, SQL_RUN_FIND);
    add = db_use(d->db, SQL_RUN_ADD);
    db_bind_blob(find, 1, run_id.bytes, sizeof(run_id.bytes));
    db_bind_blob(add, 1, run_id.bytes, sizeof(run_id.bytes));
    r = find_or_add(d, find, add, id, err);
    if (r < 0)
        return r;
    *slot = (struct dims_run){*id, run_id};
    return 0;
}

static void copy_text(char *out, size_t size, struct str text)
{
    snprintf(out, size, "%.*s", STR_ARG(text));
}

/* One row by its number, which a row of ours named: absence is damage. */
static int read_row(struct dims *d, sqlite3_stmt *s, int64_t id, const char *what, struct err *err)
{
    int r;

    sqlite3_bind_int64(s, 1, id);
    r = db_step(d->db, s, err);
    if (r == 0)
        return err_set(err, ERR_CORRUPT, "the ledger's store has no %s %lld", what, (long long)id);
    return r < 0 ? r : 0;
}

static int read_account(struct dims *d, int64_t id, struct usage_record *out, struct err *err)
{
    struct dims_account *slot = &d->accounts_by_id[slot_of((uint64_t)id)];

    if (slot->id != id) {
        sqlite3_stmt *s = db_use(d->db, SQL_ACCOUNT_READ);
        int r = read_row(d, s, id, "account", err);

        if (r < 0)
            return r;
        *slot = (struct dims_account){.id = id};
        copy_text(slot->tenant, sizeof(slot->tenant), db_column_str(s, 0));
        copy_text(slot->key_id, sizeof(slot->key_id), db_column_str(s, 1));
        copy_text(slot->model, sizeof(slot->model), db_column_str(s, 2));
        slot->price_version = (uint64_t)sqlite3_column_int64(s, 3);
        sqlite3_reset(s);
    }
    memcpy(out->tenant, slot->tenant, sizeof(out->tenant));
    memcpy(out->key_id, slot->key_id, sizeof(out->key_id));
    memcpy(out->model, slot->model, sizeof(out->model));
    out->price_version = slot->price_version;
    return 0;
}

int dims_read(struct dims *d, struct usage_record *out, int64_t account, int64_t pod, int64_t run,
              struct err *err)
{
    sqlite3_stmt *s = db_use(d->db, SQL_POD_READ);
    int r = read_row(d, s, pod, "pod", err);

    if (r < 0)
        return r;
    copy_text(out->pod, sizeof(out->pod), db_column_str(s, 0));
    sqlite3_reset(s);
    if (run != 0) {
        const void *blob;

        s = db_use(d->db, SQL_RUN_READ);
        r = read_row(d, s, run, "run", err);
        if (r < 0)
            return r;
        blob = sqlite3_column_blob(s, 0);
        if (blob != NULL && sqlite3_column_bytes(s, 0) == (int)sizeof(out->run_id.bytes))
            memcpy(out->run_id.bytes, blob, sizeof(out->run_id.bytes));
        sqlite3_reset(s);
    }
    return read_account(d, account, out, err);
}
