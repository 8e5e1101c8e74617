/* SPDX-License-Identifier: Apache-2.0 */
/* The command line of spate-gateway, for the reference page. */
#ifndef SPATE_GATEWAY_OPTIONS_H
#define SPATE_GATEWAY_OPTIONS_H

#include "base/args.h"

extern const struct arg_command gateway_command;

#endif
