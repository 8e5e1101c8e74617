/* SPDX-License-Identifier: Apache-2.0 */
/* What pods.c and pods_disk.c share. */
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
/* Starts the process in the folder. */
int pods_start_agent(struct local_pod *pod, struct err *err);
/* Whether an agent ever ran in the folder: then there may be usage in it. */
bool pods_has_run(const struct local_pod *pod);
/* True once the agent of this run has written where it listens. */
bool pods_read_address(struct local_pod *pod);
void pods_rotate_log(const struct local_pod *pod);
/* Fills the map with what lies in the folders. */
int pods_read_folders(struct local_pods *pods, struct err *err);

#endif
