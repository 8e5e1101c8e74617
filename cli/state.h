/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The state folder of an installation on this machine, and the folders that belong to the program:
 *
 *     endpoints.json   {"operator": URL, "gateway": URL, "ledger": URL}   written by `spate up`
 *     admin-token      what the operator's endpoint wants as bearer token; mode 0600
 *     local-key        the API key of tenant "local", made by the first `spate run`; mode 0600
 */
#ifndef SPATE_CLI_STATE_H
#define SPATE_CLI_STATE_H

#include <sys/types.h>

#include "base/buf.h"
#include "base/err.h"

#define STATE_ENDPOINTS "endpoints.json"
#define STATE_TOKEN     "admin-token"
#define STATE_LOCAL_KEY "local-key"

/* All results are NUL-terminated heap memory. */

/* --state, else $SPATE_STATE, else $XDG_STATE_HOME/spate, else ~/.local/state/spate. */
int state_folder(char **out, const char *option, struct err *err);
/* $SPATE_CACHE, else $XDG_CACHE_HOME/spate, else ~/.cache/spate. */
int state_cache_folder(char **out, struct err *err);

/* The folder of the running program, and another program beside it: -ERR_NOT_FOUND if missing. */
int state_binary_folder(char **out, struct err *err);
int state_binary(char **out, const char *name, struct err *err);

/* The folder of a model that ships with Spate: $SPATE_SHARE/models/NAME, PREFIX/share/spate/models
 * beside PREFIX/bin, or models/NAME of a source tree above the program. */
int state_shipped_model(char **out, const char *name, struct err *err);

/* The first line of a small file in the folder. */
int state_read_line(char **out, const char *folder, const char *name, struct err *err);

struct state_endpoints {
    char *operator_url;
    char *gateway_url; /* NULL while it does not run */
    char *ledger_url;  /* NULL likewise */
};
void state_endpoints_fini(struct state_endpoints *endpoints);
/* -ERR_NOT_FOUND with the cure when nothing runs from that folder. */
int state_endpoints_read(struct state_endpoints *out, const char *folder, struct err *err);
int state_endpoints_write(const struct state_endpoints *endpoints, const char *folder,
                          struct err *err);

#endif
