/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What keeps a pod from running, in words for people, with the cure. The texts that the API has of
 * it come from the scheduler, from nodes and from the agent: they are shortened, and nothing in
 * them reaches a terminal or a log as it is. Pure.
 */
#ifndef SPATE_OPERATOR_KUBE_WORDS_H
#define SPATE_OPERATOR_KUBE_WORDS_H

#include <stdbool.h>

#include "base/json.h"
#include "operator/platform.h"

/* What only a look at the nodes can explain further. */
enum kube_lack { KUBE_LACKS_NOTHING, KUBE_LACKS_GPUS, KUBE_LACKS_TOLERATION };

/* A message that is being written; it is cut between characters. */
struct kube_words {
    char text[PLATFORM_MESSAGE_MAX];
    size_t len;
};

void kube_words_add(struct kube_words *words, const char *text);
/* Of somebody else's making: characters that are not seen become blanks, and several one. */
void kube_words_add_foreign(struct kube_words *words, struct str text);

/* The condition of a type in the status of a pod or a node; NULL: not there. */
const json_t *kube_condition(const json_t *status, const char *type);

/* Of a container that waits; false if its reason is nothing to speak of. */
bool kube_words_waiting(struct kube_words *words, const json_t *waiting);
void kube_words_out_of_memory(struct kube_words *words);
/* Of a container that ended; the agent's last line tells why. */
void kube_words_ended(struct kube_words *words, const json_t *ended);
/* Of a pod without a node or without a container; `blocked`: not by itself, and not soon. */
void kube_words_pending(struct kube_words *words, const json_t *status, bool *blocked,
                        enum kube_lack *lack);

#endif
