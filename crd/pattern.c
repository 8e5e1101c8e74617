/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Patterns of the tables. To compile one takes longer than all else that is done with an object, so
 * it is done once for each; they are constants, and told apart by where they lie.
 */
#include <pthread.h>
#include <regex.h>

#include "crd/check.h"

enum { PATTERNS_MAX = 64 /* the tables have some two dozen */ };

static struct {
    const char *text;
    regex_t compiled;
} patterns[PATTERNS_MAX];
static size_t pattern_count;
static pthread_mutex_t patterns_lock = PTHREAD_MUTEX_INITIALIZER;

/* NULL: there is no memory, or no room. It stays for good. */
static const regex_t *compiled(const char *text)
{
    size_t i = 0;

    while (i < pattern_count && patterns[i].text != text)
        i++;
    if (i < pattern_count)
        return &patterns[i].compiled;
    if (i == PATTERNS_MAX || regcomp(&patterns[i].compiled, text, REG_EXTENDED) != 0)
        return NULL;
    patterns[i].text = text;
    pattern_count++;
    return &patterns[i].compiled;
}

bool check_matches(struct checker *c, const char *pattern, struct str text)
{
    regmatch_t whole = {.rm_so = 0, .rm_eo = (regoff_t)text.len};
    const regex_t *found;

    pthread_mutex_lock(&patterns_lock);
    found = compiled(pattern);
    pthread_mutex_unlock(&patterns_lock);
    if (found == NULL) {
        c->no_memory = true;
        return false;
    }
    return regexec(found, text.len > 0 ? text.ptr : "", 1, &whole, REG_STARTEND) == 0;
}
