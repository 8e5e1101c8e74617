/* SPDX-License-Identifier: Apache-2.0 */
/* Addresses to listen on, "HOST:PORT": is one free, is it loopback, find a free port. */
#ifndef SPATE_CLI_PORTS_H
#define SPATE_CLI_PORTS_H

#include <stdbool.h>

#include "base/err.h"

enum { PORTS_ADDRESS_MAX = 128 };

/* True if it could be bound a moment ago. */
bool ports_is_free(const char *address);
bool ports_is_loopback(const char *address);
/* The address with its port, or with a free one where the port is 0. -ERR_BUSY when it is taken,
 * -ERR_INVALID when it is no numeric address or localhost. */
int ports_pick(const char *address, char out[PORTS_ADDRESS_MAX], struct err *err);

#endif
