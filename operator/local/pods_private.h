/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of local pods share. */
#ifndef SPATE_OPERATOR_PODS_PRIVATE_H
#define SPATE_OPERATOR_PODS_PRIVATE_H

#include "operator/local/pods.h"

enum { PODS_PATH_MAX = 4096, PODS_ADOPTED_GRACE_MS = 15 * 1000 };

/* A pod by its spec, with a new uid; nothing is on disk yet. -ERR_INVALID for a model that this
 * platform can't run. */
int pods_make(struct local_pods *pods, const struct platform_pod_spec *spec, struct local_pod **out,
              struct err *err);
/* Also stops its timers and forgets its process. NULL is allowed. */
void pods_free(struct local_pod *pod);

/* In the pool; done(user) on the loop. */
void pods_write_folder(struct local_pod *pod, local_pods_done done, void *user);
void pods_remove_folder(struct local_pod *pod, local_pods_done done);

/* So that a restarted operator goes on with the deletion. */
void pods_mark_deleting(const struct local_pod *pod);
/* Starts the process in the folder: one that serves, or one that only reports. */
int pods_start_agent(struct local_pod *pod, bool report_only, struct err *err);
/* Moves the folder to STATE/unreported/; nothing in it is lost. */
int pods_set_aside(const struct local_pod *pod, struct err *err);
/* Whether an agent ever ran in the folder: then there may be usage in it. */
bool pods_has_run(const struct local_pod *pod);
/* True once the agent of this run has written where it listens. */
bool pods_read_address(struct local_pod *pod);
void pods_rotate_log(const struct local_pod *pod);
/* Fills the map with what lies in the folders. */
int pods_read_folders(struct local_pods *pods, struct err *err);

/* pods.c */
void pods_changed(struct local_pod *pod, enum platform_change change);
void pods_set_timer(struct local_pod *pod, struct loop_timer *timer, loop_fn fn, int64_t delay_ms);
void pods_prepare_process(struct local_pod *pod);
/* A process runs: its log and its limits are looked after. */
void pods_watch_run(struct local_pod *pod);
/* After one more crash in a row. */
int64_t pods_back_off_ms(struct local_pod *pod);
/* Removes the folder, then the pod. */
void pods_finish(struct local_pod *pod);
/* The pod is gone: tells it and frees it. */
void pods_forget(struct local_pod *pod);

/* pods_report.c: the process of a pod that is being deleted has ended so (as waitpid says it; -1:
 * not known, or there was none). */
void pods_leave(struct local_pod *pod, int status);

#endif
