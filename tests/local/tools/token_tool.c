/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For tests that stand in for an operator: makes the key pair and signs tokens.
 *
 *     spate-token-tool make FOLDER              writes FOLDER/token.key and FOLDER/token.pub
 *     spate-token-tool sign FOLDER AUD SUBJECT  prints a token that is valid for a day
 */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/mem.h"
#include "wire/token.h"

static int load(const char *folder, struct token_key *key, struct err *err)
{
    CLEANUP(mem_freep) char *path = path_join(folder, "token.key");

    return path == NULL ? err_no_memory(err) : token_key_load_or_make(key, path, err);
}

static int make(const char *folder, struct err *err)
{
    CLEANUP(mem_freep) char *path = path_join(folder, "token.pub");
    char text[2 * TOKEN_KEY_BYTES + 1];
    struct token_key key;
    int r = load(folder, &key, err);

    if (r < 0 || path == NULL)
        return r < 0 ? r : err_no_memory(err);
    hex_format(key.public_key, TOKEN_KEY_BYTES, text);
    return file_write_atomic(path, str_of(text), 0644, err);
}

static int sign(const char *folder, const char *audience, const char *subject, struct err *err)
{
    int64_t now_s = clock_wall_ms(clock_system()) / 1000;
    struct token_claims claims = {.issued_s = now_s, .expires_s = now_s + TOKEN_LIFETIME_S};
    struct token_key key;
    struct buf token;
    int r = load(folder, &key, err);

    if (r < 0)
        return r;
    snprintf(claims.audience, sizeof(claims.audience), "%s", audience);
    snprintf(claims.subject, sizeof(claims.subject), "%s", subject);
    buf_init(&token, TOKEN_TEXT_MAX);
    r = token_sign(&token, &key, &claims, err);
    if (r == 0)
        printf("%.*s\n", STR_ARG(buf_str(&token)));
    buf_fini(&token);
    return r;
}

int main(int argc, char **argv)
{
    struct err err = {0};
    int r = -ERR_INVALID;

    if (argc == 3 && strcmp(argv[1], "make") == 0)
        r = make(argv[2], &err);
    else if (argc == 5 && strcmp(argv[1], "sign") == 0)
        r = sign(argv[2], argv[3], argv[4], &err);
    else
        (void)err_set(&err, ERR_INVALID, "usage: make FOLDER | sign FOLDER AUDIENCE SUBJECT");
    if (r < 0)
        fprintf(stderr, "spate-token-tool: %s\n", err_message(&err));
    return r < 0 ? 1 : 0;
}
