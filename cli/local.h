/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What `spate run` needs on this machine and makes on first use: tenant "local" with a key of which
 * the text is kept in the state folder (mode 0600), and a default ModelDeployment of a model that
 * is known by name. Both are looked at anew each time: nothing is assumed from an earlier run.
 */
#ifndef SPATE_CLI_LOCAL_H
#define SPATE_CLI_LOCAL_H

#include "cli/api.h"

#define LOCAL_TENANT "local"
#define LOCAL_KEY_ID "local-run"

/* Heap text of the key. *made: it has just been made, so the gateway may not know it yet. */
int local_key(char **out, const struct api *api, bool *made, struct err *err);

/* Sees to it that `model` (a name as clients write it) is deployed. */
int local_model(const struct api *api, const char *name_space, const char *model, bool *made,
                struct err *err);

#endif
