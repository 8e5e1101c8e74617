/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A report out of the rollups, in one read transaction:
 *
 *     rollup lines -> sums by (day, account) -> rows by the groups asked for
 *                                               priced by the account's version and model
 *
 * The first step sees hundreds of thousands of lines, the second some thousands.
 */
#include <stdio.h>
#include <string.h>

#include "base/map.h"
#include "base/mem.h"
#include "billing/ledger/query_private.h"
#include "billing/ledger/sums.h"
#include "wire/prices.h"

enum { DAY_MS = 86400000, ACCOUNTS_MAX = 10000000 };

struct account {
    int64_t id;
    struct usage_record names;     /* tenant, key, model, price version */
    const struct price_line *line; /* NULL: none fits */
};

struct making {
    struct query *q;
    const struct query_report *request;
    struct report *report;
    struct account *accounts; /* by id */
    size_t account_count;
    size_t account_cap;
    struct prices *books; /* all versions */
    size_t book_count;
    struct sums sums;  /* (day, account) */
    struct map groups; /* key text -> index of the row + 1 */
    size_t row_cap;
};

static void *grown(void *items, size_t count, size_t *cap, size_t size)
{
    size_t wanted = *cap == 0 ? 64 : *cap * 2;
    void *more;

    if (count < *cap)
        return items;
    more = mem_resize(items, wanted, size);
    if (more != NULL)
        *cap = wanted;
    return more;
}

/* --- loading -------------------------------------------------------------------------------- */

static int load_book(struct making *m, struct str content, struct err *err)
{
    json_auto_t *tree = NULL;
    int r = json_read(&tree, content, &json_limits_default, "a price version", err);

    if (r == 0)
        r = prices_read(&m->books[m->book_count], tree, err);
    if (r == 0)
        m->book_count++;
    return r;
}

static int load_books(struct making *m, struct err *err)
{
    sqlite3_stmt *s = db_use(&m->q->db, QUERY_PRICES);
    size_t cap = 0;
    int r;

    while ((r = db_step(&m->q->db, s, err)) > 0) {
        struct prices *books = grown(m->books, m->book_count, &cap, sizeof(*books));

        if (books == NULL)
            r = err_no_memory(err);
        else
            m->books = books;
        if (r > 0)
            r = load_book(m, db_column_str(s, 1), err);
        if (r < 0)
            break;
    }
    sqlite3_reset(s);
    return r;
}

static const struct price_line *find_line(const struct making *m, const struct usage_record *names)
{
    for (size_t i = 0; i < m->book_count; i++) {
        if (m->books[i].id == names->price_version)
            return prices_find(&m->books[i], str_of(names->model));
    }
    return NULL;
}

static void read_account(const struct making *m, sqlite3_stmt *s, struct account *out)
{
    struct usage_record *names = &out->names;

    *out = (struct account){.id = sqlite3_column_int64(s, 0)};
    snprintf(names->tenant, sizeof(names->tenant), "%.*s", STR_ARG(db_column_str(s, 1)));
    snprintf(names->key_id, sizeof(names->key_id), "%.*s", STR_ARG(db_column_str(s, 2)));
    snprintf(names->model, sizeof(names->model), "%.*s", STR_ARG(db_column_str(s, 3)));
    names->price_version = (uint64_t)sqlite3_column_int64(s, 4);
    out->line = find_line(m, names);
}

static int load_accounts(struct making *m, struct err *err)
{
    sqlite3_stmt *s = db_use(&m->q->db, QUERY_ACCOUNTS);
    int r;

    while ((r = db_step(&m->q->db, s, err)) > 0) {
        struct account *accounts =
            grown(m->accounts, m->account_count, &m->account_cap, sizeof(*accounts));

        if (accounts == NULL) {
            sqlite3_reset(s);
            return err_no_memory(err);
        }
        m->accounts = accounts;
        read_account(m, s, &accounts[m->account_count++]);
    }
    return r;
}

/* Accounts come in the order of their numbers, which begin at 1 without gaps unless rows were
 * removed by hand. */
static const struct account *find_account(const struct making *m, int64_t id)
{
    size_t low = 0;
    size_t high = m->account_count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (m->accounts[middle].id < id)
            low = middle + 1;
        else
            high = middle;
    }
    return low < m->account_count && m->accounts[low].id == id ? &m->accounts[low] : NULL;
}

static int sum_rollups(struct making *m, struct err *err)
{
    enum { FIRST_TALLY = 2 };
    sqlite3_stmt *s = db_use(&m->q->db, QUERY_ROLLUPS);
    bool by_day = (m->request->by & REPORT_BY_DAY) != 0;
    int r;

    sqlite3_bind_int64(s, 1, m->request->from_ms);
    sqlite3_bind_int64(s, 2, m->request->to_ms);
    while ((r = db_step(&m->q->db, s, err)) > 0) {
        int64_t bucket = sqlite3_column_int64(s, 0);
        int64_t day = by_day ? bucket - bucket % DAY_MS : 0;
        struct tally *sum = sums_at(&m->sums, day, sqlite3_column_int64(s, 1));

        if (sum == NULL) {
            sqlite3_reset(s);
            return err_no_memory(err);
        }
        for (int i = 0; i < TALLY_COUNT; i++)
            sum->v[i] += sqlite3_column_int64(s, FIRST_TALLY + i);
    }
    return r;
}

/* --- grouping and pricing -------------------------------------------------------------------- */

static void group_of(struct report_row *out, unsigned by, const struct usage_record *names,
                     int64_t day_ms, bool unpriced)
{
    *out = (struct report_row){.day_ms = day_ms, .unpriced = unpriced};
    if (by & REPORT_BY_TENANT)
        memcpy(out->tenant, names->tenant, sizeof(out->tenant));
    if (by & REPORT_BY_MODEL)
        memcpy(out->model, names->model, sizeof(out->model));
    if (by & REPORT_BY_KEY)
        memcpy(out->key_id, names->key_id, sizeof(out->key_id));
}

/* The row of this group, made if new. NULL: no memory, or too many. */
static struct report_row *row_at(struct making *m, const struct report_row *group)
{
    struct report *report = m->report;
    struct report_row *rows;
    char key[USAGE_TENANT_MAX + USAGE_MODEL_MAX + USAGE_KEY_MAX + 40];
    int length = snprintf(key, sizeof(key), "%s\n%s\n%s\n%lld%c", group->tenant, group->model,
                          group->key_id, (long long)group->day_ms, group->unpriced ? 'u' : 'p');
    struct str text = {key, (size_t)length};
    uintptr_t known = (uintptr_t)map_get(&m->groups, text);

    if (known != 0)
        return &report->rows[known - 1];
    rows = grown(report->rows, report->row_count, &m->row_cap, sizeof(*rows));
    if (rows == NULL)
        return NULL;
    report->rows = rows;
    if (map_put(&m->groups, text, (void *)(report->row_count + 1), NULL) < 0) // NOLINT
        return NULL;
    rows[report->row_count] = *group;
    return &rows[report->row_count++];
}

/* Which price class a charged column has. */
static const struct {
    enum tally_index column;
    enum price_class class;
} charged_classes[] = {
    {TALLY_INPUT, PRICE_INPUT},
    {TALLY_CACHED, PRICE_CACHED},
    {TALLY_VISIBLE, PRICE_VISIBLE},
    {TALLY_REASONING, PRICE_REASONING},
};

static bool has_any_price(const struct price_line *line)
{
    for (size_t i = 0; line != NULL && i < ARRAY_COUNT(charged_classes); i++) {
        if (line->nano_usd[charged_classes[i].class] != PRICE_NONE)
            return true;
    }
    return false;
}

/* Splits the line's tally into what has a price (and its product) and what has none. A model
 * without any price is one row, its requests and waste beside its tokens. */
static void price(const struct tally *t, const struct price_line *line, struct tally *priced,
                  struct tally *unpriced, __int128 *product)
{
    *priced = *t;
    *unpriced = (struct tally){{0}};
    *product = 0;
    if (!has_any_price(line)) {
        *unpriced = *t;
        *priced = (struct tally){{0}};
        return;
    }
    for (size_t i = 0; i < ARRAY_COUNT(charged_classes); i++) {
        int column = (int)charged_classes[i].column;
        int64_t nano_usd = line->nano_usd[charged_classes[i].class];

        if (nano_usd == PRICE_NONE) {
            unpriced->v[column] = t->v[column];
            priced->v[column] = 0;
        } else {
            *product += (__int128)t->v[column] * nano_usd;
        }
    }
}

static int add_line(struct making *m, const struct sums_line *line, struct err *err)
{
    const struct account *account = find_account(m, line->b);
    struct report_row group;
    struct report_row *row;
    struct tally priced;
    struct tally unpriced;
    __int128 product;

    if (account == NULL)
        return err_set(err, ERR_CORRUPT, "the ledger's store has no account %lld",
                       (long long)line->b);
    if (m->request->tenant.ptr != NULL && !str_is(m->request->tenant, account->names.tenant))
        return 0;
    price(&line->tally, account->line, &priced, &unpriced, &product);
    for (int side = 0; side < 2; side++) {
        if (tally_is_zero(side == 0 ? &priced : &unpriced))
            continue;
        group_of(&group, m->request->by, &account->names, line->a, side == 1);
        row = row_at(m, &group);
        if (row == NULL)
            return m->report->row_count >= REPORT_ROWS_MAX
                       ? err_set(err, ERR_LIMIT,
                                 "the report has more than %d rows; group by less or choose a "
                                 "shorter time",
                                 REPORT_ROWS_MAX)
                       : err_no_memory(err);
        tally_add(&row->tally, side == 0 ? &priced : &unpriced);
        row->product += side == 0 ? product : 0;
    }
    return 0;
}

static int read_all(struct making *m, struct err *err)
{
    struct db *db = &m->q->db;
    int r = db_run(db, db_use(db, QUERY_BEGIN), err);

    if (r < 0)
        return r;
    r = load_books(m, err);
    if (r == 0)
        r = load_accounts(m, err);
    if (r == 0)
        r = sum_rollups(m, err);
    db_run(db, db_use(db, QUERY_COMMIT), NULL);
    return r;
}

static int make(struct making *m, struct err *err)
{
    int r = read_all(m, err);

    for (size_t i = 0; i < m->sums.cap && r == 0; i++) {
        if (m->sums.lines[i].used)
            r = add_line(m, &m->sums.lines[i], err);
    }
    return r < 0 ? r : report_finish(m->report, err);
}

int query_report(struct query *q, const struct query_report *request, struct report *out,
                 struct err *err)
{
    struct report report = {
        .from_ms = request->from_ms, .to_ms = request->to_ms, .by = request->by};
    struct making m = {.q = q, .request = request, .report = &report};
    int r;

    map_init(&m.groups, REPORT_ROWS_MAX);
    pthread_mutex_lock(&q->lock);
    r = make(&m, err);
    pthread_mutex_unlock(&q->lock);
    for (size_t i = 0; i < m.book_count; i++)
        prices_fini(&m.books[i]);
    mem_free(m.books);
    mem_free(m.accounts);
    sums_fini(&m.sums);
    map_fini(&m.groups);
    if (r < 0) {
        report_fini(&report);
        return r;
    }
    *out = report;
    return 0;
}
