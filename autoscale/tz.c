/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TZif data. The file holds two blocks: one with 32-bit times for old readers, which is skipped,
 * then one with 64-bit times, then a line with a POSIX text for all time after the last transition.
 *
 *     "TZif" version reserved[15] counts[6] | times | type of each | types | names | leaps | flags
 */
#include "autoscale/tz.h"

#include <string.h>

#include "autoscale/tz_posix.h"
#include "base/mem.h"

enum {
    HEADER_BYTES = 44,
    TYPE_BYTES = 6,
    OFFSET_MIN_S = -25 * 3600, /* RFC 9636: more than -25 hours and less than 26 */
    OFFSET_MAX_S = 26 * 3600,
    LOCAL_REACH_S = 26 * 3600,
};

struct tz {
    int64_t *times; /* ascending */
    uint8_t *types; /* type in force from that time on */
    int32_t *offsets;
    int time_count;
    bool has_rule;
    struct tz_rule rule;
};

struct header {
    uint8_t version;
    uint32_t utc_count;
    uint32_t standard_count;
    uint32_t leap_count;
    uint32_t time_count;
    uint32_t type_count;
    uint32_t name_bytes;
};

static uint32_t read_u32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | (uint32_t)p[3];
}

static int64_t read_time(const uint8_t *p, size_t size)
{
    if (size == 4)
        return (int32_t)read_u32(p);
    return (int64_t)((uint64_t)read_u32(p) << 32 | read_u32(p + 4));
}

static bool read_header(struct header *out, struct str *rest)
{
    const uint8_t *p = (const uint8_t *)rest->ptr;

    if (rest->len < HEADER_BYTES || memcmp(p, "TZif", 4) != 0)
        return false;
    *out = (struct header){
        .version = p[4],
        .utc_count = read_u32(p + 20),
        .standard_count = read_u32(p + 24),
        .leap_count = read_u32(p + 28),
        .time_count = read_u32(p + 32),
        .type_count = read_u32(p + 36),
        .name_bytes = read_u32(p + 40),
    };
    *rest = str_slice(*rest, HEADER_BYTES, rest->len);
    return true;
}

static uint64_t block_bytes(const struct header *h, size_t time_size)
{
    return (uint64_t)h->time_count * (time_size + 1) + (uint64_t)h->type_count * TYPE_BYTES +
           h->name_bytes + (uint64_t)h->leap_count * (time_size + 4) + h->standard_count +
           h->utc_count;
}

static int check_header(const struct header *h, const char *name, struct err *err)
{
    if (h->type_count == 0 || h->type_count > TZ_TYPES_MAX || h->time_count > TZ_TRANSITIONS_MAX)
        return err_set(err, ERR_SYNTAX,
                       "time zone %s: %u types and %u transitions are out of range; restore the "
                       "file",
                       name, h->type_count, h->time_count);
    if (h->leap_count > 0)
        return err_set(err, ERR_UNSUPPORTED,
                       "time zone %s counts leap seconds; use the one outside of right/", name);
    return 0;
}

static int read_transitions(struct tz *zone, const struct header *h, const uint8_t *p,
                            size_t time_size, const char *name, struct err *err)
{
    const uint8_t *types = p + h->time_count * time_size;

    for (uint32_t i = 0; i < h->time_count; i++) {
        zone->times[i] = read_time(p + i * time_size, time_size);
        zone->types[i] = types[i];
        if (types[i] >= h->type_count || (i > 0 && zone->times[i] <= zone->times[i - 1]))
            return err_set(err, ERR_SYNTAX,
                           "time zone %s: transition %u is out of order; restore the file", name,
                           i);
    }
    zone->time_count = (int)h->time_count;
    return 0;
}

static int read_types(struct tz *zone, const struct header *h, const uint8_t *p, const char *name,
                      struct err *err)
{
    for (uint32_t i = 0; i < h->type_count; i++) {
        zone->offsets[i] = (int32_t)read_u32(p + i * TYPE_BYTES);
        if (zone->offsets[i] <= OFFSET_MIN_S || zone->offsets[i] >= OFFSET_MAX_S)
            return err_set(err, ERR_SYNTAX,
                           "time zone %s: an offset of %d s from UTC; restore the file", name,
                           zone->offsets[i]);
    }
    return 0;
}

static int read_block(struct tz *zone, const struct header *h, const uint8_t *p, size_t time_size,
                      const char *name, struct err *err)
{
    int r;

    zone->times = mem_array((size_t)h->time_count + 1, sizeof(*zone->times));
    zone->types = mem_array((size_t)h->time_count + 1, sizeof(*zone->types));
    zone->offsets = mem_array(h->type_count, sizeof(*zone->offsets));
    if (zone->times == NULL || zone->types == NULL || zone->offsets == NULL)
        return err_no_memory(err);
    r = read_transitions(zone, h, p, time_size, name, err);
    if (r < 0)
        return r;
    return read_types(zone, h, p + h->time_count * (time_size + 1), name, err);
}

static int read_footer(struct tz *zone, struct str rest, const char *name, struct err *err)
{
    struct str text;
    int r;

    if (rest.len < 2 || rest.ptr[0] != '\n')
        return err_set(err, ERR_SYNTAX, "time zone %s: no footer; restore the file", name);
    rest = str_slice(rest, 1, rest.len);
    text = str_cut(&rest, '\n');
    if (rest.ptr == NULL)
        return err_set(err, ERR_SYNTAX, "time zone %s: the footer is cut; restore the file", name);
    if (text.len == 0)
        return 0;
    r = tz_rule_parse(&zone->rule, text, err);
    if (r < 0)
        return err_wrap(err, r, "time zone %s", name);
    zone->has_rule = true;
    return 0;
}

int tz_read(struct tz **out, struct str bytes, const char *name, struct err *err)
{
    CLEANUP(tz_freep) struct tz *zone = mem_alloc(sizeof(*zone));
    struct str rest = bytes;
    struct header h;
    size_t time_size = 4;
    int r;

    if (zone == NULL)
        return err_no_memory(err);
    if (bytes.len > TZ_BYTES_MAX || !read_header(&h, &rest))
        return err_set(err, ERR_SYNTAX, "time zone %s: this is no TZif data", name);
    if (h.version >= '2') {
        uint64_t skip = block_bytes(&h, time_size);

        if (skip > rest.len)
            return err_set(err, ERR_SYNTAX, "time zone %s: the data is cut short", name);
        rest = str_slice(rest, skip, rest.len);
        if (!read_header(&h, &rest))
            return err_set(err, ERR_SYNTAX, "time zone %s: the second header is missing", name);
        time_size = 8;
    }
    r = check_header(&h, name, err);
    if (r < 0)
        return r;
    if (block_bytes(&h, time_size) > rest.len)
        return err_set(err, ERR_SYNTAX, "time zone %s: the data is cut short", name);
    r = read_block(zone, &h, (const uint8_t *)rest.ptr, time_size, name, err);
    if (r == 0 && time_size == 8)
        r = read_footer(zone, str_slice(rest, block_bytes(&h, time_size), rest.len), name, err);
    if (r < 0)
        return r;
    *out = STEAL(zone);
    return 0;
}

int tz_read_posix(struct tz **out, struct str text, struct err *err)
{
    CLEANUP(tz_freep) struct tz *zone = mem_alloc(sizeof(*zone));
    int r;

    if (zone == NULL)
        return err_no_memory(err);
    r = tz_rule_parse(&zone->rule, text, err);
    if (r < 0)
        return r;
    zone->has_rule = true;
    *out = STEAL(zone);
    return 0;
}

void tz_free(struct tz *zone)
{
    if (zone == NULL)
        return;
    mem_free(zone->times);
    mem_free(zone->types);
    mem_free(zone->offsets);
    mem_free(zone);
}

void tz_freep(struct tz **zone)
{
    tz_free(*zone);
    *zone = NULL;
}

const struct tz *tz_utc(void)
{
    static const struct tz utc = {.has_rule = true};

    return &utc;
}

bool tz_name_ok(struct str name)
{
    enum { NAME_MAX_BYTES = 64 };

    if (name.len == 0 || name.len > NAME_MAX_BYTES)
        return false;
    while (name.ptr != NULL) {
        struct str part = str_cut(&name, '/');

        if (part.len == 0)
            return false;
        for (size_t i = 0; i < part.len; i++) {
            char c = part.ptr[i];

            if (!(c >= 'a' && c <= 'z') && !(c >= 'A' && c <= 'Z') && !(c >= '0' && c <= '9') &&
                c != '_' && c != '+' && c != '-')
                return false;
        }
    }
    return true;
}

/* How many transitions are at or before the instant. */
static int transitions_until(const struct tz *zone, int64_t utc_s)
{
    int low = 0;
    int high = zone->time_count;

    while (low < high) {
        int middle = low + (high - low) / 2;

        if (zone->times[middle] <= utc_s)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

int32_t tz_offset_at(const struct tz *zone, int64_t utc_s)
{
    int passed = transitions_until(zone, utc_s);

    if (passed == zone->time_count && zone->has_rule)
        return tz_rule_offset_at(&zone->rule, utc_s);
    /* Before the first transition type 0 is in force. */
    return zone->offsets[passed == 0 ? 0 : zone->types[passed - 1]];
}

/* The first instant in (low, high] at which the offset is another than at `low`. */
static int64_t first_change(const struct tz *zone, int64_t low, int64_t high)
{
    int32_t before = tz_offset_at(zone, low);

    while (high - low > 1) {
        int64_t middle = low + (high - low) / 2;

        if (tz_offset_at(zone, middle) == before)
            low = middle;
        else
            high = middle;
    }
    return high;
}

enum tz_local tz_to_utc(const struct tz *zone, int64_t local_s, int64_t *utc_s)
{
    int32_t before = tz_offset_at(zone, local_s - LOCAL_REACH_S);
    int32_t after = tz_offset_at(zone, local_s + LOCAL_REACH_S);
    int64_t early = local_s - before;
    int64_t late = local_s - after;
    bool early_holds = tz_offset_at(zone, early) == before;
    bool late_holds = tz_offset_at(zone, late) == after;

    if (early_holds && late_holds && early != late) {
        *utc_s = early < late ? early : late;
        return TZ_LOCAL_TWICE;
    }
    if (early_holds || late_holds) {
        *utc_s = early_holds ? early : late;
        return TZ_LOCAL_ONCE;
    }
    /* The clock jumps over this time: from `before`, in force at `late`, to `after`. */
    *utc_s = late < early ? first_change(zone, late, early) : early;
    return TZ_LOCAL_GAP;
}
