/* SPDX-License-Identifier: Apache-2.0 */
/* Added tokens: see added.h. The sorted array serves as a trie: the tokens that begin with a text
 * stand together, and each further byte narrows the range. */
#include "engine/text/added.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "engine/text/unicode.h"

void added_fini(struct added *a)
{
    for (size_t i = 0; i < a->count; i++)
        mem_free(a->tokens[i].text);
    mem_free(a->tokens);
    *a = (struct added){0};
}

int added_add(struct added *a, const struct added_token *token, struct err *err)
{
    struct added_token *copy;

    if (token->length == 0 || token->length > ADDED_BYTES_MAX)
        return err_set(err, ERR_INVALID, "added token %d has %zu bytes; it must have 1 to %d",
                       (int)token->id, token->length, ADDED_BYTES_MAX);
    if (a->count >= ADDED_TOKENS_MAX)
        return err_set(err, ERR_LIMIT, "there are more than %d added tokens", ADDED_TOKENS_MAX);
    if (a->count == a->cap) {
        size_t cap = a->cap == 0 ? 32 : 2 * a->cap;
        struct added_token *tokens = mem_resize(a->tokens, cap, sizeof(*tokens));

        if (tokens == NULL)
            return err_no_memory(err);
        a->tokens = tokens;
        a->cap = cap;
    }
    copy = &a->tokens[a->count];
    *copy = *token;
    copy->text = mem_strndup(token->text, token->length);
    if (copy->text == NULL)
        return err_no_memory(err);
    a->count++;
    a->first_byte[(unsigned char)token->text[0]] = true;
    return 0;
}

static struct str text_of(const struct added_token *token)
{
    return (struct str){token->text, token->length};
}

static int by_text_then_id(const void *a, const void *b)
{
    const struct added_token *x = a;
    const struct added_token *y = b;
    int order = str_compare(text_of(x), text_of(y));

    return order != 0 ? order : (x->id > y->id) - (x->id < y->id);
}

void added_sort(struct added *a)
{
    size_t kept = 0;

    if (a->count == 0)
        return;
    qsort(a->tokens, a->count, sizeof(*a->tokens), by_text_then_id);
    for (size_t i = 1; i < a->count; i++) {
        if (str_eq(text_of(&a->tokens[kept]), text_of(&a->tokens[i])))
            mem_free(a->tokens[kept].text);
        else
            kept++;
        a->tokens[kept] = a->tokens[i];
    }
    a->count = kept + 1;
}

/* Byte `depth` of a token in a range where all share the first `depth` bytes; -1: it ends there. */
static int byte_at(const struct added_token *token, size_t depth)
{
    return depth < token->length ? (unsigned char)token->text[depth] : -1;
}

/* The first index in [low, high) whose byte at `depth` is at least `byte`. */
static size_t lower_bound(const struct added *a, size_t low, size_t high, size_t depth, int byte)
{
    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (byte_at(&a->tokens[middle], depth) < byte)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* The longest token that stands at text[at], or NULL. */
static const struct added_token *longest_at(const struct added *a, struct str text, size_t at)
{
    const struct added_token *found = NULL;
    size_t low = 0;
    size_t high = a->count;

    for (size_t depth = 0; low < high; depth++) {
        int byte;

        if (a->tokens[low].length == depth && depth > 0)
            found = &a->tokens[low]; /* the shortest of the range stands first */
        if (at + depth >= text.len)
            break;
        byte = (unsigned char)text.ptr[at + depth];
        low = lower_bound(a, low, high, depth, byte);
        high = lower_bound(a, low, high, depth, byte + 1);
    }
    return found;
}

/* Beginning of the character that ends at text[end]. */
static size_t before(struct str text, size_t end)
{
    size_t at = end - 1;

    while (at > 0 && ((unsigned char)text.ptr[at] & 0xc0) == 0x80)
        at--;
    return at;
}

static bool within_word(struct str text, size_t start, size_t end)
{
    size_t next;

    if (start > 0 && unicode_is_word(unicode_at(text.ptr, before(text, start), &next)))
        return true;
    return end < text.len && unicode_is_word(unicode_at(text.ptr, end, &next));
}

static void take_spaces(const struct added_token *token, struct str text, size_t from,
                        size_t *start, size_t *end)
{
    size_t next;

    while (token->strip_left && *start > from) {
        size_t at = before(text, *start);

        if ((unicode_class(unicode_at(text.ptr, at, &next)) & UNICODE_SPACE) == 0)
            break;
        *start = at < from ? from : at;
    }
    while (token->strip_right && *end < text.len) {
        if ((unicode_class(unicode_at(text.ptr, *end, &next)) & UNICODE_SPACE) == 0)
            break;
        *end = next;
    }
}

const struct added_token *added_next(const struct added *a, struct str text, size_t from,
                                     bool plain, size_t *start, size_t *end)
{
    for (size_t at = from; at < text.len; at++) {
        const struct added_token *token;

        if (!a->first_byte[(unsigned char)text.ptr[at]])
            continue;
        token = longest_at(a, text, at);
        if (token == NULL)
            continue;
        if ((plain && token->special) ||
            (token->single_word && within_word(text, at, at + token->length))) {
            at += token->length - 1;
            continue;
        }
        *start = at;
        *end = at + token->length;
        take_spaces(token, text, from, start, end);
        return token;
    }
    return NULL;
}

const struct added_token *added_find(const struct added *a, struct str text)
{
    const struct added_token *token = text.len == 0 ? NULL : longest_at(a, text, 0);

    return token != NULL && token->length == text.len ? token : NULL;
}
