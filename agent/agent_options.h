/* SPDX-License-Identifier: Apache-2.0 */
/* The command line of spate-agent, for the reference page. */
#ifndef SPATE_AGENT_OPTIONS_H
#define SPATE_AGENT_OPTIONS_H

#include "base/args.h"

extern const struct arg_command agent_command;

#endif
