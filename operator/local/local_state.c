/* SPDX-License-Identifier: Apache-2.0 */
/* What lies in the state folder beside objects and pods: identity, secrets, gateways, the lock. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/file.h"
#include "base/hash.h"
#include "base/id.h"
#include "base/json.h"
#include "base/log.h"
#include "operator/common/must.h"
#include "operator/local/local_private.h"

enum { SECRET_BYTES = 32, SMALL_FILE_MAX = 64 << 10 };

static int read_line(const char *path, char out[LOCAL_SECRET_TEXT_MAX], struct err *err)
{
    CLEANUP(buf_fini) struct buf text = {0};
    struct str line;
    int r;

    buf_init(&text, LOCAL_SECRET_TEXT_MAX - 1);
    r = file_read(path, &text, err);
    if (r < 0)
        return r;
    line = str_trim(buf_str(&text));
    if (line.len == 0)
        return err_set(err, ERR_CORRUPT, "%s is empty: remove it, and a new one is made", path);
    snprintf(out, LOCAL_SECRET_TEXT_MAX, "%.*s", STR_ARG(line));
    return 0;
}

/* The line of the file, which is made of `made` if it is missing. */
static int keep_line(const struct local *local, const char *name, const char *made,
                     char out[LOCAL_SECRET_TEXT_MAX], struct err *err)
{
    CLEANUP(mem_freep) char *path = must(path_join(local->options.state, name));
    char line[LOCAL_SECRET_TEXT_MAX + 1];
    int r = 0;

    if (!file_exists(path)) {
        snprintf(line, sizeof(line), "%s\n", made);
        r = file_write_atomic(path, str_of(line), 0600, err);
    }
    return r < 0 ? r : read_line(path, out, err);
}

static int keep_secret(const struct local *local, const char *name, char out[LOCAL_SECRET_TEXT_MAX],
                       struct err *err)
{
    uint8_t random[SECRET_BYTES];
    char made[2 * SECRET_BYTES + 1];

    rng_fill(local->platform.rng, random, sizeof(random));
    hex_format(random, sizeof(random), made);
    return keep_line(local, name, made, out, err);
}

/* Raised and written before anything is published under it. */
static int raise_epoch(struct local *local, struct err *err)
{
    CLEANUP(mem_freep) char *path = must(path_join(local->options.state, "epoch"));
    char text[LOCAL_SECRET_TEXT_MAX];
    int r = 0;

    if (file_exists(path)) {
        r = read_line(path, text, err);
        if (r < 0)
            return r;
        if (!str_to_u64(str_of(text), &local->epoch))
            return err_set(err, ERR_CORRUPT,
                           "%s holds no number: write one there that is larger than any before",
                           path);
    }
    local->epoch++;
    snprintf(text, sizeof(text), "%llu\n", (unsigned long long)local->epoch);
    return file_write_atomic(path, str_of(text), 0600, err);
}

static int keep_keys(struct local *local, struct err *err)
{
    CLEANUP(mem_freep) char *key_path = must(path_join(local->options.state, "token.key"));
    char hex[2 * TOKEN_KEY_BYTES + 2];
    int r = token_key_load_or_make(&local->signer.key, key_path, err);

    if (r < 0)
        return r;
    snprintf(local->public_key_path, sizeof(local->public_key_path), "%s/token.pub",
             local->options.state);
    hex_format(local->signer.key.public_key, TOKEN_KEY_BYTES, hex);
    hex[2 * TOKEN_KEY_BYTES] = '\n';
    hex[2 * TOKEN_KEY_BYTES + 1] = '\0';
    return file_write_atomic(local->public_key_path, str_of(hex), 0644, err);
}

/* Held as long as the process lives; agents do not inherit it. */
static int take_lock(struct local *local, struct err *err)
{
    CLEANUP(mem_freep) char *path = must(path_join(local->options.state, "operator.lock"));

    local->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (local->lock_fd < 0)
        return err_errno(err, errno, "%s", path);
    if (flock(local->lock_fd, LOCK_EX | LOCK_NB) < 0)
        return err_set(err, ERR_BUSY,
                       "another operator runs in %s: stop it first, or use another "
                       "--state",
                       local->options.state);
    return 0;
}

/* Kill -9 in the middle of a write: the file is whole, its temporary one is left. */
static void sweep(const struct local *local)
{
    static const char *const folders[] = {"", "gateways"};

    for (size_t i = 0; i < ARRAY_COUNT(folders); i++) {
        CLEANUP(mem_freep) char *path = must(path_join(local->options.state, folders[i]));
        struct err err = {0};

        if (file_sweep_temporaries(path, &err) < 0)
            log_warn("temporary files of earlier runs stay", LOG_ERR(&err));
    }
}

int local_state_open(struct local *local, struct err *err)
{
    char made[ID_TEXT_LEN + 1];
    int r = file_make_folder(local->options.state, err);

    id_format(id_make(local->platform.clock, local->platform.rng), made);
    if (r == 0)
        r = take_lock(local, err);
    if (r == 0)
        sweep(local);
    if (r == 0)
        r = keep_line(local, "installation", made, local->installation, err);
    if (r == 0)
        r = raise_epoch(local, err);
    if (r == 0)
        r = keep_keys(local, err);
    if (r == 0)
        r = keep_secret(local, "admin-token", local->admin_token, err);
    if (r == 0)
        r = keep_secret(local, "gateway-secret", local->gateway_secret, err);
    return r;
}

/* --- gateways --------------------------------------------------------------------------------- */

void local_gateways_free(struct local *local)
{
    while (local->gateway_count > 0)
        mem_free(local->gateways[--local->gateway_count]);
}

static bool is_known(const struct local *local, const char *name)
{
    for (int i = 0; i < local->gateway_count; i++) {
        if (strcmp(local->gateways[i], name) == 0)
            return true;
    }
    return false;
}

int local_gateways_read(struct local *local, bool *is_changed, struct err *err)
{
    CLEANUP(mem_freep) char *folder = must(path_join(local->options.state, "gateways"));
    char *names[LOCAL_GATEWAYS_MAX];
    struct dirent *entry;
    int count = 0;
    DIR *dir;
    int r = file_make_folder(folder, err);

    if (r < 0)
        return r;
    dir = opendir(folder);
    if (dir == NULL)
        return err_errno(err, errno, "%s", folder);
    *is_changed = false;
    while ((entry = readdir(dir)) != NULL && count < LOCAL_GATEWAYS_MAX) {
        if (!str_is_dns_subdomain(str_of(entry->d_name)))
            continue;
        names[count++] = must_text(str_of(entry->d_name));
        if (!is_known(local, entry->d_name))
            *is_changed = true;
    }
    closedir(dir);
    if (count != local->gateway_count)
        *is_changed = true;
    local_gateways_free(local);
    memcpy(local->gateways, names, (size_t)count * sizeof(*names));
    local->gateway_count = count;
    return 0;
}

int local_gateway_register(struct local *local, struct str name, struct err *err)
{
    char path[PATH_MAX];
    char text[64];
    bool is_changed;
    int r;

    if (!str_is_dns_subdomain(name))
        return err_set(err, ERR_INVALID,
                       "the gateway's name must be a DNS name of lower-case "
                       "letters, digits, '-' and '.'");
    snprintf(text, sizeof(text), "%.*s", STR_ARG(name));
    if (is_known(local, text))
        return 0;
    snprintf(path, sizeof(path), "%s/gateways/%.*s", local->options.state, STR_ARG(name));
    r = file_write_atomic(path, STR("{}\n"), 0600, err);
    if (r == 0)
        r = local_gateways_read(local, &is_changed, err);
    local->gateways_told = false;
    if (r == 0)
        loop_timer_start(local->loop, &local->gateways_timer, 0);
    return r;
}

/* --- the ledger ------------------------------------------------------------------------------- */

static int url_from_endpoints(const struct local *local, struct buf *out, struct err *err)
{
    CLEANUP(mem_freep) char *path = must(path_join(local->options.state, "endpoints.json"));
    CLEANUP(buf_fini) struct buf text = {0};
    json_auto_t *tree = NULL;
    struct str url;
    int r;

    buf_init(&text, SMALL_FILE_MAX);
    r = file_read(path, &text, err);
    if (r == 0)
        r = json_read(&tree, buf_str(&text), &json_limits_default, path, err);
    if (r == 0)
        r = json_get_str(tree, "ledger", true, &url, err);
    return r < 0 ? r : buf_append_str(out, url);
}

int local_ledger_url(const struct local *local, struct buf *out, struct err *err)
{
    char address[LOCAL_SECRET_TEXT_MAX];
    int r;

    if (local->options.ledger_url != NULL)
        return buf_append_text(out, local->options.ledger_url);
    if (local->options.ledger_address_file == NULL) {
        r = url_from_endpoints(local, out, err);
        return r < 0 ? err_wrap(err, r, "no ledger is known (--ledger)") : 0;
    }
    r = read_line(local->options.ledger_address_file, address, err);
    return r < 0 ? r : buf_printf(out, "http://%s", address);
}
