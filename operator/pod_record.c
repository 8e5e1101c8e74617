/* SPDX-License-Identifier: Apache-2.0 */
/* Records of pods: see pod_record.h. The texts of a pod repeat each other: its name begins with its
 * owner's and holds its hash. So each is looked for in those before it. */
#include "operator/pod_record.h"

#include <string.h>

#include "base/mem.h"

enum {
    KEY_MAX = 2 * POD_RECORD_TEXT_MAX + 1,
    BYTES_MAX = 2 * KEY_MAX + 4 * POD_RECORD_TEXT_MAX, /* if no text repeats another one */
};
_Static_assert(BYTES_MAX <= UINT16_MAX, "a place in the texts is 16 bits");

/* Texts that are being put together. */
struct texts {
    size_t len;
    char bytes[BYTES_MAX];
};

static void add(struct texts *texts, struct str text)
{
    if (text.len > 0)
        memcpy(texts->bytes + texts->len, text.ptr, text.len);
    texts->len += text.len;
}

static void place(struct texts *texts, struct pod_record *shape, enum pod_text which,
                  struct str text)
{
    int64_t at = str_find((struct str){texts->bytes, texts->len}, text);

    if (at < 0) {
        at = (int64_t)texts->len;
        add(texts, text);
    }
    shape->parts[which].at = (uint16_t)at;
    shape->parts[which].len = (uint16_t)text.len;
}

/* The owner's key begins as "namespace/name" of the pod does, if that has its owner's name in
 * front. */
static void place_owner(struct texts *texts, struct pod_record *shape,
                        const struct pod_facts *facts)
{
    struct texts key;

    if (facts->owner_name.len == 0)
        return;
    key.len = 0;
    add(&key, facts->name_space);
    add(&key, STR("/"));
    add(&key, facts->owner_name);
    place(texts, shape, POD_OWNER_KEY, (struct str){key.bytes, key.len});
}

static void place_all(struct texts *texts, struct pod_record *shape, const struct pod_facts *facts)
{
    texts->len = 0;
    add(texts, facts->name_space);
    add(texts, STR("/"));
    add(texts, facts->name);
    place(texts, shape, POD_NAME_SPACE, facts->name_space);
    place(texts, shape, POD_NAME, facts->name);
    place_owner(texts, shape, facts);
    place(texts, shape, POD_UID, facts->uid);
    place(texts, shape, POD_OWNER_UID, facts->owner_uid);
    place(texts, shape, POD_TEMPLATE_HASH, facts->template_hash);
    place(texts, shape, POD_ADDRESS, facts->address);
}

static int check(const struct pod_facts *facts, struct err *err)
{
    const struct {
        const char *what;
        struct str text;
    } rows[] = {
        {"namespace", facts->name_space},
        {"name", facts->name},
        {"uid", facts->uid},
        {"owner's name", facts->owner_name},
        {"owner's uid", facts->owner_uid},
        {"template hash", facts->template_hash},
        {"address", facts->address},
    };

    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        if (rows[i].text.len > POD_RECORD_TEXT_MAX)
            return err_set(err, ERR_LIMIT, "the %s of a pod is longer than %d bytes", rows[i].what,
                           POD_RECORD_TEXT_MAX);
    }
    return 0;
}

int pod_record_new(struct pod_record **out, const struct pod_facts *facts, struct err *err)
{
    struct pod_record shape = {.references = 1,
                               .restarts = facts->restarts,
                               .ordinal = facts->ordinal,
                               .created_ms = facts->created_ms};
    struct pod_record *record;
    struct texts texts;
    int r = check(facts, err);

    if (r < 0)
        return r;
    place_all(&texts, &shape, facts);
    record = mem_alloc(sizeof(*record) + texts.len);
    if (record == NULL)
        return err_no_memory(err);
    *record = shape;
    memcpy(record->texts, texts.bytes, texts.len);
    *out = record;
    return 0;
}

struct pod_record *pod_record_ref(struct pod_record *record)
{
    record->references++;
    return record;
}

void pod_record_unref(struct pod_record *record)
{
    if (record != NULL && --record->references == 0)
        mem_free(record);
}
