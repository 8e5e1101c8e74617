/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For tests of the gateway's side of the control plane: a gateway without flights, and an operator
 * beside it on the same loop, which says what the test tells it. Everything fails the running test
 * by itself.
 */
#ifndef SPATE_TESTS_CONTROL_RIG_H
#define SPATE_TESTS_CONTROL_RIG_H

#include "cmocka_plain.h"

#include "gateway/control_private.h"

struct control_rig {
    struct gateway g;
    struct gateway_settings settings;
    struct http_server *operator;
    char folder[32];
    char credential[64];
    char url[64];

    /* What the operator says. */
    int snapshots; /* so many versions, one after the other; then the poll is kept waiting */
    int models;    /* in each of them */
    int pods;      /* of each model, all with the address of the operator */
    int load_status;
    /* Called for each report, before it is answered. NULL: nothing. */
    void (*on_load)(struct control_rig *r, struct str report);

    /* What it heard. */
    int loads;
    int usage_asked; /* in the place of the pods */
    int version;     /* the last one it gave */
    struct http_exchange *held;
};

/* The gateway with its state in a new folder, and its control. Fields of "what the operator says"
 * are the caller's, set before. */
void control_rig_start(struct control_rig *r);
void control_rig_stop(struct control_rig *r);
/* A new run of the gateway over what the last one kept. */
void control_rig_restart(struct control_rig *r);
/* Turns the loop until it is true, 10 s at most. */
void control_rig_wait(struct control_rig *r, bool (*is_true)(const struct control_rig *r));

#endif
