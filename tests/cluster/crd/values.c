/* SPDX-License-Identifier: Apache-2.0 */
/* See values.h. Everything is drawn from the given generator, so a seed repeats a run. */
#include "values.h"

#include <string.h>

#include "base/buf.h"
#include "base/mem.h"

enum { LONGEST_TEXT = 5000 };

static const char *const odd_texts[] = {
    "",
    " ",
    "a",
    "A",
    "-a",
    "a-",
    "a b",
    "a\nb",
    "a\n",
    "..",
    "../../etc/passwd",
    "a/b",
    "a/b/c",
    "/",
    "*",
    "a/*",
    "*/*",
    "a..b",
    "*/a",
    "%2e%2e%2f",
    "$(reboot)",
    "{{ .Values }}",
    "${HOME}",
    "<script>",
    "' OR 1=1 --",
    "null",
    "true",
    "4",
    "0x10",
    "1e3",
    "\xc3\xa4",
    "\xf0\x9f\x8c\x8a",
    "\xe2\x80\xae"
    "abc",
    "\x7f",
    "\x01",
    "a\tb",
    "spate.dev",
    "a.b",
    "a_b",
    "a:b",
    "a-b",
    "aA0",
};

/* Right for most fields that are names. */
static const char *const plain_names[] = {"a", "brook", "team-a", "r1-7b", "a0", "default"};

static const char *const model_names[] = {"a/b", "team-a/brook", "default/*", "*"};

static const char *const uris[] = {
    "file:///m",
    "file:///models/brook",
    "file://m",
    "file:///",
    "file://",
    "file:///a/../b",
    "file:///a/..",
    "file:///a/..b",
    "file:///a/./b",
    "file:////a",
    "hf://a/b",
    "s3://bucket/key",
    "oci://host/repo:1",
    "pvc://claim/path",
    "FILE:///m",
    "file:/m",
    "/m",
    "file:///a b",
    "file:///a\nb",
    "file:///\xc3\xa4",
    "file:///a?b=c#d",
    "file:///a\x01",
    "https://host/path",
    "file:///%2e%2e/a",
};

static const char *const schedules[] = {
    "0 8 * * *",     "*/5 * * * *",   "0 8 * * 1-5",  "0 8 * * MON",    "0 8 1,15 * *",
    "60 8 * * *",    "0 24 * * *",    "0 8 0 * *",    "0 8 32 * *",     "0 8 * 13 *",
    "0 8 * * 8",     "0 8 * *",       "0 8 * * * *",  "@daily",         "0  8  *  *  *",
    " 0 8 * * *",    "0 8 * * * ",    "*/0 * * * *",  "*/100 * * * *",  "5-1 8 * * *",
    "0 8 * foo bar", "0,1,2 8 * * *", "0,,1 8 * * *", "0-30/2 8 * * *", "0 8 * * SUN-SAT",
    "59 23 31 12 7", "059 8 * * *",   "0 08 01 01 *", "0\t8 * * *",     "0 8 * * *\n",
};

static const char *const zones[] = {
    "Etc/UTC",       "Asia/Shanghai", "America/Argentina/Buenos_Aires",
    "GMT+1",         "UTC",           "Etc/GMT-3",
    "../etc/passwd", "Asia/",         "/Asia",
    "Asia//Tokyo",   "1Asia",         "Asia/Shang hai",
    "Nowhere/Atall", "posix/UTC",
};

/* Of labels and taints: keys, and values, which some of the keys are too. */
static const char *const label_texts[] = {
    "pool",
    "example.com/pool",
    "a.b-c/D_e.f",
    "example.com/",
    "/pool",
    "a/b/c",
    "-pool",
    "pool-",
    "Example.com/pool",
    "a_b/pool",
    "",
    ".a",
};

static const char *const prices[] = {
    "0",
    "0.55",
    "1000000",
    "1000000.0",
    "1000000.000000000",
    "1000000.000000001",
    "1000001",
    "999999.999999999",
    "-1",
    "+1",
    "1.",
    ".5",
    "00",
    "01",
    "0.0",
    "1e3",
    "1,5",
    "0.1234567890",
    " 1",
    "1 ",
    "0.123456789",
    "NaN",
    "0x1",
};

static const char *const times[] = {
    "2026-11-22T15:04:05Z",
    "1970-01-01T00:00:00Z",
    "1969-12-31T23:59:59Z",
    "9999-12-31T23:59:59Z",
    "2026-02-29T00:00:00Z",
    "2024-02-29T00:00:00Z",
    "2026-02-30T00:00:00Z",
    "2026-13-01T00:00:00Z",
    "2026-00-01T00:00:00Z",
    "2026-01-00T00:00:00Z",
    "2026-11-22T24:00:00Z",
    "2026-11-22T15:60:00Z",
    "2026-11-22T15:04:60Z",
    "2026-11-22T15:04:05.5Z",
    "2026-11-22T15:04:05+00:00",
    "2026-11-22T15:04:05+08:00",
    "2026-11-22t15:04:05z",
    "2026-11-22 15:04:05Z",
    "2026-11-22",
    "2026-11-22T15:04:05",
    "tomorrow",
    "0000-01-01T00:00:00Z",
    "2026-11-22T15:04:05Z ",
    "20261122T150405Z",
};

static const char *const digests[] = {
    "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
    "BA7816BF8F01CFEA414140DE5DAE2223B00361A396177A9CB410FF61F20015AD",
    "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015a",
    "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad0",
    "ga7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
    "sk-spate-secret",
};

#define PICK(list, rng) ((list)[rng_below((rng), ARRAY_COUNT(list))])

const char *value_odd_text(const struct rng *rng)
{
    return PICK(odd_texts, rng);
}

/* `length` characters, some of two bytes: lengths count characters, not bytes. */
static json_t *text_of_length(size_t length, bool wide)
{
    CLEANUP(buf_fini) struct buf text = {0};

    buf_init(&text, 2 * LONGEST_TEXT);
    for (size_t i = 0; i < length; i++)
        buf_append_text(&text, wide && i == length / 2 ? "\xc3\xa4" : "a");
    return json_stringn(text.len > 0 ? text.ptr : "", text.len);
}

static const char *listed_text(const struct crd_field *field, const struct rng *rng)
{
    const char *path = field->path;

    if (field->type == CRD_USD)
        return PICK(prices, rng);
    if (field->type == CRD_TIME)
        return PICK(times, rng);
    if (field->type == CRD_SHA256)
        return PICK(digests, rng);
    if (strstr(path, "uri") != NULL)
        return PICK(uris, rng);
    if (strstr(path, "schedule") != NULL)
        return PICK(schedules, rng);
    if (strstr(path, "timeZone") != NULL)
        return PICK(zones, rng);
    if (strstr(path, "placement.") != NULL && rng_below(rng, 2) == 0)
        return PICK(label_texts, rng);
    if (strstr(path, "model") != NULL && rng_below(rng, 2) == 0)
        return PICK(model_names, rng);
    return rng_below(rng, 3) > 0 ? PICK(plain_names, rng) : PICK(odd_texts, rng);
}

static json_t *text_near(const struct crd_field *field, const struct rng *rng)
{
    size_t least = field->min_length > 0 ? field->min_length : 1;

    switch (rng_below(rng, 12)) {
    case 0:
        return text_of_length(field->max_length, false);
    case 1:
        return text_of_length(field->max_length + 1, false);
    case 2:
        return text_of_length(least - 1, false);
    case 3:
        return text_of_length(field->max_length, true);
    case 4:
        return json_string(PICK(odd_texts, rng));
    default:
        return json_string(listed_text(field, rng));
    }
}

static json_t *enum_near(const struct crd_field *field, const struct rng *rng)
{
    size_t count = 0;

    while (field->values[count] != NULL)
        count++;
    if (rng_below(rng, 3) == 0) {
        static const char *const near[] = {"auto", "noSchedule", "NoExecute ", "usd", "0"};

        return json_string(rng_below(rng, 2) == 0 ? PICK(near, rng) : PICK(odd_texts, rng));
    }
    return json_string(field->values[rng_below(rng, count)]);
}

static json_t *integer_near(const struct crd_field *field, const struct rng *rng)
{
    switch (rng_below(rng, 12)) {
    case 0:
        return json_integer(field->min);
    case 1:
        return json_integer(field->min - 1);
    case 2:
        return json_integer(field->max);
    case 3:
        return json_integer(field->max < INT64_MAX ? field->max + 1 : field->max);
    case 4:
        return json_real((double)rng_below(rng, 8)); /* 4.0 */
    case 5:
        return json_real(0.5 + (double)rng_below(rng, 8));
    default:
        return json_integer((json_int_t)rng_below(rng, 12)); /* for rules across fields */
    }
}

json_t *value_near(const struct crd_field *field, const struct rng *rng)
{
    switch (field->type) {
    case CRD_OBJECT:
    case CRD_LIST:
    case CRD_MAP:
        return NULL;
    case CRD_INTEGER:
        return integer_near(field, rng);
    case CRD_BOOLEAN:
        return json_boolean(rng_below(rng, 2));
    case CRD_ENUM:
        return enum_near(field, rng);
    default:
        return text_near(field, rng);
    }
}

json_t *value_of_any_type(const struct rng *rng)
{
    switch (rng_below(rng, 10)) {
    case 0:
        return json_null();
    case 1:
        return json_boolean(rng_below(rng, 2));
    case 2:
        return json_integer((json_int_t)rng_below(rng, 5));
    case 3:
        return json_integer(INT64_MIN);
    case 4:
        return json_real(1.5);
    case 5:
        return json_real(1e30);
    case 6:
        return json_object();
    case 7:
        return json_array();
    case 8:
        return json_pack("[s]", "a");
    default:
        return json_string(PICK(odd_texts, rng));
    }
}
