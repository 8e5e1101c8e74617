/* SPDX-License-Identifier: Apache-2.0 */
/* Tenant and PriceBook as C structs. Money is integer nano-dollars; it never is a double. */
#ifndef SPATE_CRD_TENANT_H
#define SPATE_CRD_TENANT_H

#include "base/hash.h"
#include "crd/condition.h"
#include "crd/object.h"

enum {
    CRD_TENANT_KEYS_MAX = 64,   /* equal to ROUTES_KEYS_PER_TENANT_MAX */
    CRD_TENANT_NAMES_MAX = 256, /* equal to ROUTES_NAMES_PER_TENANT_MAX */
    CRD_PRICES_MAX = 256,
};

struct crd_tenant_key {
    struct str id;
    uint8_t sha256[SHA256_BYTES]; /* of the whole key text, "sk-spate-..." */
};

struct crd_tenant_spec {
    struct crd_tenant_key *keys;
    int key_count;
    struct crd_name *namespaces; /* whose models it may use; "*" is all */
    int namespace_count;
    struct crd_name *models; /* "namespace/name"; none: all of its namespaces */
    int model_count;
    int64_t requests_per_minute; /* 0: no limit */
    int64_t concurrency;         /* 0: no limit */
    int64_t priority;            /* larger goes first */
    struct str price_book;       /* name of a PriceBook; empty: its tokens are unpriced */
};

int crd_tenant_spec_read(struct crd_tenant_spec *out, const struct crd_object *object,
                         struct arena *arena, struct err *err);

struct crd_tenant_status {
    int64_t observed_generation;
    struct crd_condition *conditions;
    int condition_count;
};

int crd_tenant_status_read(struct crd_tenant_status *out, const struct crd_object *object,
                           struct arena *arena, struct err *err);
/* A new tree for the object's status. */
int crd_tenant_status_write(const struct crd_tenant_status *status, json_t **out, struct err *err);

/* Nano-dollars per million tokens. */
struct crd_price {
    struct str model; /* "namespace/name", "namespace/" followed by a star, or a lone star */
    int64_t effective_from_ms; /* 0: always was */
    int64_t input_nano_usd;
    int64_t cached_input_nano_usd; /* as input if not given */
    int64_t output_nano_usd;
    int64_t reasoning_nano_usd; /* as output if not given */
};

struct crd_price_book_spec {
    struct crd_price *prices;
    int price_count;
};

/* The version of the present prices, as posted to the ledger. */
struct crd_price_book_status {
    int64_t observed_generation;
    int64_t version;        /* 0: none yet */
    struct str digest;      /* of the prices that it stands for, hex */
    int64_t posted_version; /* the newest one that the ledger has */
    struct crd_condition *conditions;
    int condition_count;
};

int crd_price_book_status_read(struct crd_price_book_status *out, const struct crd_object *object,
                               struct arena *arena, struct err *err);
int crd_price_book_status_write(const struct crd_price_book_status *status, json_t **out,
                                struct err *err);

int crd_price_book_spec_read(struct crd_price_book_spec *out, const struct crd_object *object,
                             struct arena *arena, struct err *err);

/* "0.55" -> 550000000. Digits with at most 9 decimals, up to 1000000; exact, no sign, no exponent.
 * False otherwise. */
bool crd_usd_parse(struct str text, int64_t *nano_usd);
/* The shortest decimal text; `out` has room for 32. */
void crd_usd_format(int64_t nano_usd, char out[32]);

#endif
