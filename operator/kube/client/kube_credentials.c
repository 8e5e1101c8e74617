/* SPDX-License-Identifier: Apache-2.0 */
/* Credentials from files and plug-ins: see kube_credentials.h. */
#include "operator/kube/client/kube_credentials.h"

#include <string.h>

#include "base/file.h"
#include "base/mem.h"

/* A plain memset before free is optimised away. */
static void wipe(char *secret)
{
    if (secret != NULL)
        explicit_bzero(secret, strlen(secret));
    mem_free(secret);
}

void kube_credentials_free(struct kube_credentials *c)
{
    if (c == NULL)
        return;
    wipe(c->token);
    mem_free(c->ca_pem);
    mem_free(c->cert_pem);
    wipe(c->key_pem);
    mem_free(c);
}

void kube_credentials_freep(struct kube_credentials **c)
{
    kube_credentials_free(*c);
}

static bool same_text(const char *a, const char *b)
{
    return (a == NULL) == (b == NULL) && (a == NULL || strcmp(a, b) == 0);
}

bool kube_credentials_equal(const struct kube_credentials *a, const struct kube_credentials *b)
{
    return same_text(a->token, b->token) && same_text(a->ca_pem, b->ca_pem) &&
           same_text(a->cert_pem, b->cert_pem) && same_text(a->key_pem, b->key_pem);
}

/* --- texts and files -------------------------------------------------------------------------- */

static int copy(char **out, const char *text, struct err *err)
{
    if (text == NULL)
        return 0;
    *out = mem_strdup(text);
    return *out == NULL ? err_no_memory(err) : 0;
}

static int read_whole(char **out, const char *path, bool trim, struct err *err)
{
    struct buf text;
    struct str part;
    int r;

    buf_init(&text, KUBE_CREDENTIAL_BYTES_MAX);
    r = file_read(path, &text, err);
    part = trim ? str_trim(buf_str(&text)) : buf_str(&text);
    if (r == 0 && (part.len == 0 || memchr(part.ptr, '\0', part.len) != NULL))
        r = err_set(err, ERR_INVALID, "%s is empty, or no text", path);
    if (r == 0) {
        *out = mem_strndup(part.ptr, part.len);
        r = *out == NULL ? err_no_memory(err) : 0;
    }
    if (text.ptr != NULL)
        explicit_bzero(text.ptr, text.cap);
    buf_fini(&text);
    return r;
}

static int from_file_or_text(char **out, const char *path, const char *pem, struct err *err)
{
    return path != NULL ? read_whole(out, path, false, err) : copy(out, pem, err);
}

static int check_token(const struct kube_credentials *c, const struct kube_config *config,
                       struct err *err)
{
    if (c->token == NULL)
        return 0;
    for (const char *at = c->token; *at != '\0'; at++) {
        if (*at <= ' ' || *at >= 0x7f)
            return err_set(err, ERR_INVALID, "the token%s%s has characters that no token has",
                           config->token_file != NULL ? " in " : "",
                           config->token_file != NULL ? config->token_file : "");
    }
    return 0;
}

static int load_files(struct kube_credentials *c, const struct kube_config *config, struct err *err)
{
    int r = from_file_or_text(&c->ca_pem, config->ca_file, config->ca_pem, err);

    if (r == 0)
        r = from_file_or_text(&c->cert_pem, config->cert_file, config->cert_pem, err);
    if (r == 0)
        r = from_file_or_text(&c->key_pem, config->key_file, config->key_pem, err);
    if (r < 0)
        return r;
    if (config->token_file != NULL)
        return read_whole(&c->token, config->token_file, true, err);
    return copy(&c->token, config->token, err);
}

/* --- the plug-in ------------------------------------------------------------------------------ */

static bool still_good(const struct kube_credentials *old, bool refused, int64_t now_ms)
{
    if (old == NULL || refused)
        return false;
    return old->expires_ms == 0 || now_ms < old->expires_ms - KUBE_CREDENTIAL_EARLY_MS;
}

/* As in kubectl: what the file gives beside a plug-in (token, certificate) wins. */
static int load_exec(struct kube_credentials *c, const struct kube_config *config,
                     const struct kube_credentials *old, bool refused, int64_t now_ms,
                     struct err *err)
{
    int r;

    if (config->exec == NULL || c->token != NULL || c->cert_pem != NULL)
        return 0;
    if (!still_good(old, refused, now_ms))
        return kube_exec_run(c, config, KUBE_EXEC_TIMEOUT_MS, err);
    c->expires_ms = old->expires_ms;
    r = copy(&c->token, old->token, err);
    if (r == 0)
        r = copy(&c->cert_pem, old->cert_pem, err);
    return r < 0 ? r : copy(&c->key_pem, old->key_pem, err);
}

int kube_credentials_load(struct kube_credentials **out, const struct kube_config *config,
                          const struct kube_credentials *old, bool refused, int64_t now_ms,
                          struct err *err)
{
    CLEANUP(kube_credentials_freep) struct kube_credentials *c = mem_alloc(sizeof(*c));
    int r;

    if (c == NULL)
        return err_no_memory(err);
    r = load_files(c, config, err);
    if (r == 0)
        r = load_exec(c, config, old, refused, now_ms, err);
    if (r == 0)
        r = check_token(c, config, err);
    if (r < 0)
        return err_wrap(err, r, "credentials of %s", config->server);
    *out = STEAL(c);
    return 0;
}
