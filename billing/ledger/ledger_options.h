/* SPDX-License-Identifier: Apache-2.0 */
/* The command line of spate-ledger, for the program and the reference page. */
#ifndef SPATE_LEDGER_OPTIONS_H
#define SPATE_LEDGER_OPTIONS_H

#include "base/program.h"

struct ledger_settings {
    const char *listen;
    const char *db;
    const char *token_public_key;
    int64_t settle_ms;
    bool verify;
    struct program_settings program;
};

extern const struct arg_command ledger_command;

#endif
