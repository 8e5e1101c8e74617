/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a platform knows of a pod that rarely changes: its texts, and what it was created with. One
 * allocation of some 170 bytes, immutable and shared by reference between platform and reconciler,
 * as there may be a hundred thousand. References belong to one thread.
 *
 *     parts   where each text lies:   +-----------------------------+
 *             name, uid, hash ...     | team/brook-0123456789-7u-1...|   no text is there twice
 *                                     +-----------------------------+
 */
#ifndef SPATE_OPERATOR_POD_RECORD_H
#define SPATE_OPERATOR_POD_RECORD_H

#include <stdint.h>

#include "base/err.h"
#include "base/str.h"

enum { POD_RECORD_TEXT_MAX = 253 /* of each text, in bytes: the longest name of Kubernetes */ };

/* What a record is made of. Texts may be empty; none is longer than POD_RECORD_TEXT_MAX. What is
 * meant for people, and may be of any length, is no part of it. */
struct pod_facts {
    struct str name_space;
    struct str name;
    struct str uid;
    struct str owner_name; /* of the ModelDeployment in the same namespace; empty: none owns it */
    struct str owner_uid;
    struct str template_hash; /* of the settings that it was created with */
    struct str address;       /* "127.0.0.1:40123"; empty until known */
    uint64_t ordinal;
    int64_t created_ms; /* Unix time */
    uint32_t restarts;  /* each is a new run of the agent, maybe at another address */
};

enum pod_text {
    POD_NAME_SPACE,
    POD_NAME,
    POD_UID,
    POD_OWNER_KEY, /* "namespace/name" of the owner; empty: none owns it */
    POD_OWNER_UID,
    POD_TEMPLATE_HASH,
    POD_ADDRESS,
    POD_TEXT_COUNT
};

struct pod_record {
    int references;
    uint32_t restarts;
    uint64_t ordinal;
    int64_t created_ms;
    struct {
        uint16_t at, len;
    } parts[POD_TEXT_COUNT]; /* by enum pod_text: read by pod_record_text */
    char texts[];
};

/* One reference, the caller's. -ERR_NO_MEMORY; -ERR_LIMIT: a text is too long, which err names. */
int pod_record_new(struct pod_record **out, const struct pod_facts *facts, struct err *err);
struct pod_record *pod_record_ref(struct pod_record *record);
void pod_record_unref(struct pod_record *record); /* NULL is allowed */

/* Lives as long as the record. */
static inline struct str pod_record_text(const struct pod_record *record, enum pod_text which)
{
    return (struct str){record->texts + record->parts[which].at, record->parts[which].len};
}

static inline struct str pod_record_owner_name(const struct pod_record *record)
{
    struct str key = pod_record_text(record, POD_OWNER_KEY);

    return str_slice(key, (size_t)record->parts[POD_NAME_SPACE].len + 1, key.len);
}

#endif
