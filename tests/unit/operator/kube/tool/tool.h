/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kube_tool: the Kubernetes client as a program, for tests against a scripted API server and a real
 * one. Commands are JSON lines on standard input, results and events JSON lines on standard output.
 * Times may be given in each command, so that nothing need be waited for in full.
 */
#ifndef SPATE_TESTS_KUBE_TOOL_H
#define SPATE_TESTS_KUBE_TOOL_H

#include "base/json.h"
#include "base/metrics.h"
#include "operator/kube/client/kube_elector.h"
#include "operator/kube/client/kube_informer.h"
#include "operator/kube/client/kube_recorder.h"

enum { TOOL_TEXT_MAX = 64 << 20, TOOL_WATCHES_MAX = 16, TOOL_PART_MAX = 64 };

/* A kind given as text: "v1/pods", "spate.dev/v1alpha1/tenants". */
struct tool_resource {
    char text[4 * TOOL_PART_MAX];
    char group[TOOL_PART_MAX], version[TOOL_PART_MAX], plural[TOOL_PART_MAX];
    struct kube_resource resource;
};

struct tool {
    struct loop loop;
    struct metrics *metrics;
    struct kube_api *api;
    struct tool_watch *watches[TOOL_WATCHES_MAX];
    int watch_count;
    struct kube_elector *elector;
    struct kube_recorder *recorder;
    struct tool_requested *requested; /* not answered yet */
};

/* One line out. */
void tool_say(json_t *line); /* takes it over */
/* The text of a member, or "". */
const char *tool_text(const json_t *command, const char *key);
int64_t tool_number(const json_t *command, const char *key);
void tool_resource_read(struct tool_resource *out, const json_t *command);

/* tool_watch.c */
void tool_watch_begin(struct tool *t, const json_t *command);
void tool_watch_dump(struct tool *t, const json_t *command);
void tool_watch_relist(struct tool *t, const json_t *command);
void tool_watches_free(struct tool *t);

/* tool_request.c */
void tool_request(struct tool *t, const json_t *command);
void tool_requests_free(struct tool *t);

#endif
