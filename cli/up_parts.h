/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of `spate up` share: the installation that it runs. */
#ifndef SPATE_CLI_UP_PARTS_H
#define SPATE_CLI_UP_PARTS_H

#include "base/fetch.h"
#include "cli/child.h"
#include "cli/ports.h"

#define GATEWAY_LISTEN_DEFAULT "127.0.0.1:8080"

enum { PROGRAM_OPERATOR, PROGRAM_LEDGER, PROGRAM_GATEWAY, PROGRAM_COUNT };

struct up_settings {
    const char *state;
    const char *gateway_listen;
    bool quiet;
};

struct up {
    const struct up_settings *settings;
    struct loop loop;
    char *folder;
    int lock_fd;
    char addresses[PROGRAM_COUNT][PORTS_ADDRESS_MAX];
    char *address_files[PROGRAM_COUNT];
    struct child children[PROGRAM_COUNT];
    struct fetcher *fetcher;
    struct loop_timer poll;
    uint64_t deadline_ms;
    bool started[PROGRAM_COUNT];
    bool announced;
    int interrupts;
    int exit_code;
};

/* The state folder with all below it that programs expect, locked, and its secrets. */
int up_make_folders(struct up *up, struct err *err);
/* Fills up->addresses: the last ones where they are free. */
int up_choose_addresses(struct up *up, struct err *err);
void up_url(const struct up *up, int program, char out[PORTS_ADDRESS_MAX + 8]);
/* Tells the other commands: endpoints.json. */
int up_write_endpoints(const struct up *up, struct err *err);

/* Adds "--option value" to a program's command line; with `below` the value is a path below the
 * state folder. */
int up_add_option(struct up *up, int program, const char *option, const char *value, bool below,
                  struct err *err);
/* Adds what that program needs beside its address. */
int up_add_options(struct up *up, int program, struct err *err);

#endif
