/* SPDX-License-Identifier: Apache-2.0 */
/* What `spate up` settles before it starts anything: folders, secrets, addresses, command lines. */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/mem.h"
#include "cli/state.h"
#include "cli/up_parts.h"

enum { SECRET_BYTES = 32 };

/* --- the folder ------------------------------------------------------------------------------ */

/* A file with a random secret, made if it is missing. */
static int ensure_secret(const struct up *up, const char *name, struct err *err)
{
    CLEANUP(mem_freep) char *path = path_join(up->folder, name);
    uint8_t random[SECRET_BYTES];
    char hex[2 * SECRET_BYTES + 1];
    char line[2 * SECRET_BYTES + 2];

    if (path == NULL)
        return err_no_memory(err);
    if (file_exists(path))
        return 0;
    rng_fill(rng_system(), random, sizeof(random));
    hex_format(random, sizeof(random), hex);
    snprintf(line, sizeof(line), "%s\n", hex);
    return file_write_atomic(path, str_of(line), 0600, err);
}

/* What programs that were killed left; the other folders have owners of their own. */
static int sweep(const struct up *up, struct err *err)
{
    CLEANUP(mem_freep) char *run = path_join(up->folder, "run");

    return run == NULL ? err_no_memory(err) : file_sweep_temporaries(run, err);
}

int up_make_folders(struct up *up, struct err *err)
{
    static const char *const below[] = {"logs", "run", "gateway", "ledger"};
    int r = file_make_folder(up->folder, err);

    for (size_t i = 0; r == 0 && i < ARRAY_COUNT(below); i++) {
        CLEANUP(mem_freep) char *path = path_join(up->folder, below[i]);

        r = path == NULL ? err_no_memory(err) : file_make_folder(path, err);
    }
    if (r == 0)
        r = child_folder_lock(&up->lock_fd, up->folder, err);
    if (r == 0)
        r = sweep(up, err);
    if (r == 0)
        r = ensure_secret(up, STATE_TOKEN, err);
    if (r == 0)
        r = ensure_secret(up, "gateway-secret", err);
    return r;
}

/* --- addresses ------------------------------------------------------------------------------- */

static void last_address(const char *url, char out[PORTS_ADDRESS_MAX])
{
    const char *scheme = "http://";

    out[0] = '\0';
    if (url != NULL && strncmp(url, scheme, strlen(scheme)) == 0)
        snprintf(out, PORTS_ADDRESS_MAX, "%s", url + strlen(scheme));
}

/* The last address if it is free, else a free port of loopback. */
static int choose_inner(struct up *up, int program, const char *last_url, struct err *err)
{
    char last[PORTS_ADDRESS_MAX];

    last_address(last_url, last);
    if (last[0] != '\0' && ports_is_free(last)) {
        snprintf(up->addresses[program], PORTS_ADDRESS_MAX, "%s", last);
        return 0;
    }
    return ports_pick("127.0.0.1:0", up->addresses[program], err);
}

static int choose_gateway(struct up *up, const char *last_url, struct err *err)
{
    char last[PORTS_ADDRESS_MAX];

    if (up->settings->gateway_listen != NULL) {
        int r = ports_pick(up->settings->gateway_listen, up->addresses[PROGRAM_GATEWAY], err);

        return r < 0 ? err_wrap(err, r, "--gateway-listen %s", up->settings->gateway_listen) : 0;
    }
    last_address(last_url, last);
    if (last[0] == '\0' || !ports_is_loopback(last))
        snprintf(last, sizeof(last), "%s", GATEWAY_LISTEN_DEFAULT);
    if (!ports_is_free(last))
        return ports_pick("127.0.0.1:0", up->addresses[PROGRAM_GATEWAY], err);
    snprintf(up->addresses[PROGRAM_GATEWAY], PORTS_ADDRESS_MAX, "%s", last);
    return 0;
}

int up_choose_addresses(struct up *up, struct err *err)
{
    CLEANUP(state_endpoints_fini) struct state_endpoints last = {0};
    int r;

    state_endpoints_read(&last, up->folder, NULL); /* none: the first start */
    r = choose_inner(up, PROGRAM_OPERATOR, last.operator_url, err);
    if (r == 0)
        r = choose_inner(up, PROGRAM_LEDGER, last.ledger_url, err);
    if (r == 0)
        r = choose_gateway(up, last.gateway_url, err);
    return r;
}

void up_url(const struct up *up, int program, char out[PORTS_ADDRESS_MAX + 8])
{
    snprintf(out, PORTS_ADDRESS_MAX + 8, "http://%s", up->addresses[program]);
}

int up_write_endpoints(const struct up *up, struct err *err)
{
    char urls[PROGRAM_COUNT][PORTS_ADDRESS_MAX + 8];
    struct state_endpoints endpoints = {urls[PROGRAM_OPERATOR], urls[PROGRAM_GATEWAY],
                                        urls[PROGRAM_LEDGER]};

    for (int i = 0; i < PROGRAM_COUNT; i++)
        up_url(up, i, urls[i]);
    return state_endpoints_write(&endpoints, up->folder, err);
}

/* --- command lines --------------------------------------------------------------------------- */

int up_add_option(struct up *up, int program, const char *option, const char *value, bool below,
                  struct err *err)
{
    CLEANUP(mem_freep) char *path = below ? path_join(up->folder, value) : mem_strdup(value);
    int r;

    if (path == NULL)
        return err_no_memory(err);
    r = child_add_arg(&up->children[program], option, err);
    return r < 0 ? r : child_add_arg(&up->children[program], path, err);
}

static int add_operator_options(struct up *up, struct err *err)
{
    CLEANUP(mem_freep) char *agent = NULL;
    int r = state_binary(&agent, "spate-agent", err);

    if (r == 0)
        r = up_add_option(up, PROGRAM_OPERATOR, "--platform", "local", false, err);
    if (r == 0)
        r = up_add_option(up, PROGRAM_OPERATOR, "--state", up->folder, false, err);
    if (r == 0)
        r = up_add_option(up, PROGRAM_OPERATOR, "--agent-binary", agent, false, err);
    return r;
}

static int add_ledger_options(struct up *up, struct err *err)
{
    int r = up_add_option(up, PROGRAM_LEDGER, "--db", "ledger/ledger.db", true, err);

    if (r == 0)
        r = up_add_option(up, PROGRAM_LEDGER, "--token-public-key", "token.pub", true, err);
    return r;
}

static int add_gateway_options(struct up *up, struct err *err)
{
    char operator_url[PORTS_ADDRESS_MAX + 8];
    char ledger_url[PORTS_ADDRESS_MAX + 8];
    int r;

    up_url(up, PROGRAM_OPERATOR, operator_url);
    up_url(up, PROGRAM_LEDGER, ledger_url);
    r = up_add_option(up, PROGRAM_GATEWAY, "--state", "gateway", true, err);
    if (r == 0)
        r = up_add_option(up, PROGRAM_GATEWAY, "--operator", operator_url, false, err);
    if (r == 0)
        r = up_add_option(up, PROGRAM_GATEWAY, "--credential-file", "gateway-secret", true, err);
    if (r == 0)
        r = up_add_option(up, PROGRAM_GATEWAY, "--ledger", ledger_url, false, err);
    if (r == 0)
        r = up_add_option(up, PROGRAM_GATEWAY, "--name", "gateway-0", false, err);
    return r;
}

int up_add_options(struct up *up, int program, struct err *err)
{
    static int (*const add[PROGRAM_COUNT])(struct up *up, struct err *err) = {
        [PROGRAM_OPERATOR] = add_operator_options,
        [PROGRAM_LEDGER] = add_ledger_options,
        [PROGRAM_GATEWAY] = add_gateway_options,
    };

    return add[program](up, err);
}
