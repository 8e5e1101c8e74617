/* SPDX-License-Identifier: Apache-2.0 */
/* The command line of spate-operator, for the reference page. */
#ifndef SPATE_OPERATOR_OPTIONS_H
#define SPATE_OPERATOR_OPTIONS_H

#include "base/args.h"

extern const struct arg_command operator_command;

#endif
