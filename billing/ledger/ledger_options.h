/* SPDX-License-Identifier: Apache-2.0 */
/* The command line of spate-ledger, for the program and the reference page. */
#ifndef SPATE_LEDGER_OPTIONS_H
#define SPATE_LEDGER_OPTIONS_H

#include "base/args.h"

struct ledger_settings {
    const char *listen;
    const char *address_file;
    const char *db;
    const char *token_public_key;
    int64_t settle_ms;
    bool verify;
    const char *log_level;
    const char *log_format;
};

extern const struct arg_command ledger_command;

#endif
