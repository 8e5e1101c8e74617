/* SPDX-License-Identifier: Apache-2.0 */
/*
 * List pages: see kube_list.h. The scanner knows just enough of JSON to find where the members of
 * the page and the elements of "items" begin and end; what is kept is then parsed by jansson. An
 * item that lies whole in one piece of bytes is parsed where it lies.
 */
#include "operator/kube/client/kube_list.h"

#include <string.h>

enum state {
    AT_START,      /* before '{' */
    AT_FIRST_KEY,  /* after '{': a key or '}' */
    AT_KEY,        /* after ',': a key */
    IN_KEY,        /* in its quotes */
    AT_COLON,      /* before ':' */
    AT_VALUE,      /* before the value of a member */
    IN_VALUE,      /* in a string, an object or an array */
    IN_WORD,       /* in a number, true, false or null */
    AFTER_VALUE,   /* before ',' or '}' */
    AT_FIRST_ITEM, /* after '[' of items: an item or ']' */
    AT_ITEM,       /* after ',': an item */
    IN_ITEM,
    AFTER_ITEM, /* before ',' or ']' */
    AT_END,     /* after the last '}' */
};

enum member { MEMBER_OTHER, MEMBER_METADATA, MEMBER_ITEMS };

enum { KEY_MAX = 256, ENDED = 1 };

void kube_list_init(struct kube_list *l, kube_item_fn fn, void *user)
{
    *l = (struct kube_list){.fn = fn, .user = user};
    buf_init(&l->value, KUBE_OBJECT_BYTES_MAX);
    buf_init(&l->key, KEY_MAX);
}

void kube_list_fini(struct kube_list *l)
{
    buf_fini(&l->value);
    buf_fini(&l->key);
}

void kube_list_reset(struct kube_list *l)
{
    struct kube_list fresh = {.fn = l->fn, .user = l->user, .value = l->value, .key = l->key};

    buf_clear(&fresh.value);
    buf_clear(&fresh.key);
    *l = fresh;
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static int bad(const char *where, struct err *err)
{
    return err_set(err, ERR_SYNTAX, "list page: not valid JSON %s", where);
}

/* --- what is kept ----------------------------------------------------------------------------- */

static int read_text(char *out, const json_t *metadata, const char *key, struct err *err)
{
    struct str text = STR_NONE;
    int r = json_get_str(metadata, key, false, &text, err);

    if (r < 0 && r != -ERR_NOT_FOUND)
        return r;
    if (text.len >= KUBE_LIST_TEXT_MAX)
        return err_set(err, ERR_LIMIT, "list page: '%s' is longer than %d bytes", key,
                       KUBE_LIST_TEXT_MAX - 1);
    memcpy(out, text.ptr != NULL ? text.ptr : "", text.len);
    out[text.len] = '\0';
    return 0;
}

static int take_metadata(struct kube_list *l, struct str text, struct err *err)
{
    json_auto_t *tree = NULL;
    int r = kube_object_read(&tree, text, "metadata of a list page", err);

    if (r == 0 && !json_is_object(tree))
        r = err_set(err, ERR_INVALID, "list page: 'metadata' is no object");
    if (r == 0)
        r = read_text(l->resource_version, tree, "resourceVersion", err);
    if (r == 0)
        r = read_text(l->continue_token, tree, "continue", err);
    l->has_metadata = r == 0;
    return r;
}

static int take_item(struct kube_list *l, struct str text, struct err *err)
{
    json_auto_t *tree = NULL;
    struct kube_meta meta = {0};
    int r = kube_object_read(&tree, text, "an item of a list page", err);

    if (r == 0)
        r = kube_meta_read(&meta, tree, err);
    if (r < 0)
        return r;
    l->items++;
    r = l->fn(l->user, tree, &meta);
    return r < 0 ? err_set(err, (enum err_code) - r, "list page: stopped by its reader") : 0;
}

/* --- values ----------------------------------------------------------------------------------- */

/* Moves to the end of a value whose first character was seen already (or is the first here).
 * Returns how many bytes belong to it; *ended says whether it is whole. */
static size_t scan_value(struct kube_list *l, struct str bytes, bool *ended)
{
    *ended = false;
    for (size_t i = 0; i < bytes.len; i++) {
        char c = bytes.ptr[i];

        if (l->escaped) {
            l->escaped = false;
        } else if (l->in_string) {
            l->escaped = c == '\\';
            l->in_string = c != '"';
        } else if (c == '"') {
            l->in_string = true;
        } else if (c == '{' || c == '[') {
            l->depth++;
        } else if (c == '}' || c == ']') {
            l->depth--;
        }
        if (!l->in_string && l->depth <= 0) {
            *ended = true;
            return i + 1;
        }
    }
    return bytes.len;
}

/* A part of a value: kept if it is one that counts, else only measured. */
static int keep(struct kube_list *l, struct str part, struct err *err)
{
    bool small = l->state != IN_ITEM;
    int r;

    l->skipped += small ? part.len : 0;
    if (l->skipped > KUBE_LIST_SKIPPED_MAX)
        return err_set(err, ERR_LIMIT, "list page: what is not an item is larger than %d bytes",
                       KUBE_LIST_SKIPPED_MAX);
    if (small && l->member != MEMBER_METADATA)
        return 0;
    r = buf_append_str(&l->value, part);
    if (r == -ERR_LIMIT)
        return err_set(err, ERR_LIMIT, "list page: an item is larger than %d bytes",
                       KUBE_OBJECT_BYTES_MAX);
    return r < 0 ? err_no_memory(err) : 0;
}

static int end_value(struct kube_list *l, struct err *err)
{
    int r = 0;

    if (l->member == MEMBER_METADATA)
        r = take_metadata(l, buf_str(&l->value), err);
    buf_clear(&l->value);
    l->state = AFTER_VALUE;
    return r;
}

static int in_value(struct kube_list *l, struct str *bytes, struct err *err)
{
    bool ended;
    size_t length = scan_value(l, *bytes, &ended);
    struct str part = str_slice(*bytes, 0, length);
    int r = keep(l, part, err);

    *bytes = str_slice(*bytes, length, bytes->len);
    if (r < 0 || !ended)
        return r;
    return end_value(l, err);
}

static int in_item(struct kube_list *l, struct str *bytes, struct err *err)
{
    bool ended;
    size_t length = scan_value(l, *bytes, &ended);
    struct str part = str_slice(*bytes, 0, length);
    bool in_place = ended && l->value.len == 0 && part.len <= KUBE_OBJECT_BYTES_MAX;
    int r = in_place ? take_item(l, part, err) : keep(l, part, err);

    *bytes = str_slice(*bytes, length, bytes->len);
    if (r < 0 || !ended)
        return r;
    if (!in_place)
        r = take_item(l, buf_str(&l->value), err);
    buf_clear(&l->value);
    l->state = AFTER_ITEM;
    return r;
}

/* Numbers and words end where something else begins. */
static int in_word(struct kube_list *l, struct str *bytes, struct err *err)
{
    size_t length = 0;
    int r;

    while (length < bytes->len && !is_space(bytes->ptr[length]) &&
           strchr(",}]{[\":", bytes->ptr[length]) == NULL)
        length++;
    r = keep(l, str_slice(*bytes, 0, length), err);
    *bytes = str_slice(*bytes, length, bytes->len);
    if (r < 0 || bytes->len == 0)
        return r;
    return end_value(l, err);
}

static int in_key(struct kube_list *l, struct str *bytes, struct err *err)
{
    size_t length = 0;
    bool ended;
    struct str key;

    while (length < bytes->len && bytes->ptr[length] != '"' && bytes->ptr[length] != '\\')
        length++;
    ended = length < bytes->len;
    if (ended && bytes->ptr[length] == '\\')
        return bad("as the API server writes it: an escape in the name of a member", err);
    if (buf_append_str(&l->key, str_slice(*bytes, 0, length)) < 0)
        return l->key.no_memory ? err_no_memory(err) : bad("or the name of a member too long", err);
    *bytes = str_slice(*bytes, ended ? length + 1 : length, bytes->len);
    if (!ended)
        return 0;
    key = buf_str(&l->key);
    l->member = MEMBER_OTHER;
    if (str_is(key, "metadata"))
        l->member = MEMBER_METADATA;
    else if (str_is(key, "items"))
        l->member = MEMBER_ITEMS;
    l->state = AT_COLON;
    return 0;
}

/* --- the page --------------------------------------------------------------------------------- */

static int begin_value(struct kube_list *l, char c, struct err *err)
{
    bool again = (l->member == MEMBER_METADATA && l->has_metadata) ||
                 (l->member == MEMBER_ITEMS && l->has_items);

    if (again)
        return bad("as the API server writes it: a member comes twice", err);
    l->has_items = l->has_items || l->member == MEMBER_ITEMS;
    l->depth = 0;
    l->in_string = false;
    l->escaped = false;
    if (c == '[' && l->member == MEMBER_ITEMS) {
        l->state = AT_FIRST_ITEM;
        return ENDED;
    }
    if (strchr(",}]:", c) != NULL)
        return bad("where a value is expected", err);
    if (l->member == MEMBER_ITEMS && c != 'n')
        return err_set(err, ERR_INVALID, "list page: 'items' is no array");
    l->state = strchr("{[\"", c) != NULL ? IN_VALUE : IN_WORD;
    return 0;
}

static int begin_item(struct kube_list *l, char c, struct err *err)
{
    if (c != '{')
        return bad("where an item is expected", err);
    l->state = IN_ITEM;
    l->depth = 0;
    l->in_string = false;
    l->escaped = false;
    return 0;
}

/* One character outside values and keys. ENDED: it is used up; 0: the new state looks at it. */
static int step(struct kube_list *l, char c, struct err *err)
{
    enum state from = (enum state)l->state;

    if (from == AT_START && c == '{') {
        l->state = AT_FIRST_KEY;
    } else if ((from == AT_FIRST_KEY || from == AT_KEY) && c == '"') {
        buf_clear(&l->key);
        l->state = IN_KEY;
    } else if ((from == AT_FIRST_KEY || from == AFTER_VALUE) && c == '}') {
        l->state = AT_END;
    } else if (from == AFTER_VALUE && c == ',') {
        l->state = AT_KEY;
    } else if (from == AT_COLON && c == ':') {
        l->state = AT_VALUE;
    } else if ((from == AT_FIRST_ITEM || from == AFTER_ITEM) && c == ']') {
        l->state = AFTER_VALUE;
    } else if (from == AFTER_ITEM && c == ',') {
        l->state = AT_ITEM;
    } else if (from == AT_VALUE) {
        return begin_value(l, c, err);
    } else if (from == AT_FIRST_ITEM || from == AT_ITEM) {
        return begin_item(l, c, err);
    } else {
        return bad("between its members", err);
    }
    return ENDED;
}

static int take(struct kube_list *l, struct str *bytes, struct err *err)
{
    int r;

    switch ((enum state)l->state) {
    case IN_KEY:
        return in_key(l, bytes, err);
    case IN_VALUE:
        return in_value(l, bytes, err);
    case IN_WORD:
        return in_word(l, bytes, err);
    case IN_ITEM:
        return in_item(l, bytes, err);
    default:
        break;
    }
    r = is_space(bytes->ptr[0]) ? ENDED : step(l, bytes->ptr[0], err);
    if (r == ENDED)
        *bytes = str_slice(*bytes, 1, bytes->len);
    return r < 0 ? r : 0;
}

int kube_list_feed(struct kube_list *l, struct str bytes, struct err *err)
{
    int r = 0;

    if (l->failed < 0)
        return err_set(err, (enum err_code) - l->failed, "list page: it has failed before");
    while (bytes.len > 0 && r == 0)
        r = take(l, &bytes, err);
    l->failed = r;
    return r;
}

int kube_list_end(struct kube_list *l, struct err *err)
{
    if (l->failed < 0)
        return err_set(err, (enum err_code) - l->failed, "list page: it has failed before");
    if (l->state != AT_END)
        return err_set(err, ERR_PROTOCOL, "list page: it ends in the middle");
    if (!l->has_items || !l->has_metadata)
        return err_set(err, ERR_PROTOCOL, "list page: it has no 'items' or no 'metadata'");
    return 0;
}
