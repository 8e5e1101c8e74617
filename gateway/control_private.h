/* SPDX-License-Identifier: Apache-2.0 */
/* What control.c and control_load.c share. */
#ifndef SPATE_GATEWAY_CONTROL_PRIVATE_H
#define SPATE_GATEWAY_CONTROL_PRIVATE_H

#include "base/fetch.h"
#include "base/loop.h"
#include "gateway/control.h"
#include "gateway/gateway.h"
#include "gateway/keep.h"

enum { CONTROL_TOKENS = 3 };

struct control_suspect {
    char pod_uid[USAGE_POD_MAX + 1];
    char reason[32];
};

struct control {
    struct gateway *g;
    struct {
        const char *audience;
        char text[TOKEN_TEXT_MAX];
    } tokens[CONTROL_TOKENS];
    struct keep tokens_kept;
    struct keep routes_kept;
    struct buf version; /* of the routes in force, as text */
    struct fetch *token_fetch;
    struct fetch *routes_fetch;
    struct loop_timer token_timer;
    struct loop_timer routes_timer;
    bool token_trouble;
    bool routes_trouble;

    struct fetch *load_fetch;
    struct loop_timer load_timer;
    bool load_dirty;
    bool load_trouble;
    uint64_t load_sequence;
    int64_t load_sent_ms;
    int load_models; /* in the last report */
    struct control_suspect suspects[CONTROL_SUSPECTS_MAX];
    int suspect_count;
    int suspects_told; /* the first ones: in the report under way */
};

/* A heap URL of the operator, or NULL. */
char *control_url(const struct control *c, const char *path);
void control_poll_soon(struct control *c, uint64_t delay_ms);
void control_load_init(struct control *c);
void control_load_fini(struct control *c);

#endif
