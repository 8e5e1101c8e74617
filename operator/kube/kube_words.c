/* SPDX-License-Identifier: Apache-2.0 */
/* Words for what keeps a pod from running: see kube_words.h. */
#include "operator/kube/kube_words.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"

enum { MARGIN = 8 }; /* of a text that is full: for one more character */

static struct str text_of(const json_t *object, const char *key)
{
    return json_str(json_object_get(object, key));
}

/* --- writing ---------------------------------------------------------------------------------- */

static void add(struct kube_words *words, struct str piece)
{
    if (words->len + piece.len >= sizeof(words->text))
        return;
    memcpy(words->text + words->len, piece.ptr, piece.len);
    words->len += piece.len;
    words->text[words->len] = '\0';
}

void kube_words_add(struct kube_words *words, const char *text)
{
    add(words, str_of(text));
}

void kube_words_add_foreign(struct kube_words *words, struct str text)
{
    bool gap = false;

    while (text.len > 0 && words->len + MARGIN < sizeof(words->text)) {
        uint32_t c = 0;
        int length = utf8_decode(text, &c);

        if (length <= 0 || utf8_is_unseen(c)) {
            gap = true;
        } else {
            if (gap)
                add(words, STR(" "));
            gap = false;
            add(words, str_slice(text, 0, (size_t)length));
        }
        text = str_slice(text, length > 0 ? (size_t)length : 1, text.len);
    }
}

static void add_detail(struct kube_words *words, struct str detail)
{
    if (detail.len == 0)
        return;
    kube_words_add(words, ": ");
    kube_words_add_foreign(words, str_trim(detail));
}

/* Of a chain of errors the last one is the cause: where not all of it fits, that stays. */
static void add_cause(struct kube_words *words, struct str chain)
{
    size_t room = sizeof(words->text) - words->len;

    chain = str_trim(chain);
    if (chain.len + MARGIN > room) {
        kube_words_add(words, ": ...");
        chain =
            str_slice(chain, chain.len - (room > 2 * MARGIN ? room - 2 * MARGIN : 0), chain.len);
        (void)str_cut(&chain, ' '); /* what is left of a word */
        kube_words_add(words, " ");
        kube_words_add_foreign(words, chain);
    } else {
        add_detail(words, chain);
    }
}

/* --- a container that waits ------------------------------------------------------------------- */

#define IMAGE_CURE                                                                         \
    "; check spec.model.uri of an oci:// model, the agent's image, and that the node may " \
    "pull them (agent.pullSecret)"

bool kube_words_waiting(struct kube_words *words, const json_t *waiting)
{
    static const struct {
        const char *reason, *words;
    } rows[] = {
        {"ErrImagePull", "its image can't be pulled" IMAGE_CURE},
        {"ImagePullBackOff", "its image can't be pulled" IMAGE_CURE},
        {"ErrImageNeverPull", "its image is not on the node, and may not be pulled: load it there, "
                              "or set image.pullPolicy=IfNotPresent"},
        {"InvalidImageName", "the name of its image is not valid: correct spec.model.uri"},
        {"ImageInspectError", "its image is damaged on the node: delete it there"},
        {"RegistryUnavailable", "the registry of its image does not answer"},
        {"CreateContainerConfigError",
         "a Secret or ConfigMap that it needs is missing: make it in the model's namespace"},
        {"CreateContainerError", "the node can't make its container"},
        {"RunContainerError", "the node can't start its container"},
        {"PreCreateHookError", "the node can't make its container"},
    };
    struct str reason = text_of(waiting, "reason");

    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        if (str_is(reason, rows[i].reason)) {
            kube_words_add(words, rows[i].words);
            add_cause(words, text_of(waiting, "message"));
            return true;
        }
    }
    return false;
}

/* --- a container that ended ------------------------------------------------------------------- */

/* The last line that is not empty. */
static struct str last_line(struct str text)
{
    struct str rest = str_trim(text);
    struct str line = STR_NONE;

    while (rest.ptr != NULL)
        line = str_cut(&rest, '\n');
    return str_trim(line);
}

/* A line of our log says what happened and why; another line is told as it is. */
static void add_last_words(struct kube_words *words, struct str line)
{
    json_auto_t *tree = NULL;
    struct str event;

    if (line.len == 0)
        return;
    if (json_read(&tree, line, &json_limits_default, "line", NULL) < 0 ||
        (event = text_of(tree, "event")).len == 0) {
        add_detail(words, line);
        return;
    }
    add_detail(words, event);
    add_detail(words, text_of(tree, "error"));
}

void kube_words_out_of_memory(struct kube_words *words)
{
    kube_words_add(words, "its agent needed more memory than its limit allows: raise "
                          "spec.hardware.memoryMiB, or lower spec.engine.kvCacheMiB or slots");
}

void kube_words_ended(struct kube_words *words, const json_t *ended)
{
    char status[64];

    if (str_is(text_of(ended, "reason"), "OOMKilled")) {
        kube_words_out_of_memory(words);
        return;
    }
    snprintf(status, sizeof(status), "its agent ended with status %lld",
             (long long)json_integer_value(json_object_get(ended, "exitCode")));
    kube_words_add(words, status);
    add_last_words(words, last_line(text_of(ended, "message")));
}

/* --- a pod without a node --------------------------------------------------------------------- */

/* What the scheduler says, and the cure, but where the nodes must be asked. The rarest comes first.
 */
static const struct {
    const char *says, *cure;
    enum kube_lack lack;
} scheduler_rows[] = {
    {"unbound immediate PersistentVolumeClaims",
     "its claim has no volume yet: see `kubectl describe pvc`", KUBE_LACKS_NOTHING},
    {"persistentvolumeclaim", "make that claim in the model's namespace, or correct spec.model.uri",
     KUBE_LACKS_NOTHING},
    {"Insufficient nvidia.com/gpu", NULL, KUBE_LACKS_GPUS},
    {"untolerated taint", NULL, KUBE_LACKS_TOLERATION},
    {"Insufficient memory", "add nodes, or lower spec.hardware.memoryMiB", KUBE_LACKS_NOTHING},
    {"Insufficient cpu", "add nodes, or lower spec.engine.threads or spec.hardware.cpuMillis",
     KUBE_LACKS_NOTHING},
    {"node affinity",
     "no node has what spec.placement.nodeLabels or spec.scaling.spot ask for: correct them, or "
     "label nodes",
     KUBE_LACKS_NOTHING},
};

/* "0/3 nodes are available: 3 Insufficient cpu. no new claims ...": what stands in the middle. */
static struct str essence(struct str text)
{
    static const struct str head = {"nodes are available: ", sizeof("nodes are available: ") - 1};
    int64_t at = str_find(text, head);
    int64_t end;

    if (at >= 0)
        text = str_slice(text, (size_t)at + head.len, text.len);
    end = str_find(text, STR(". "));
    text = end >= 0 ? str_slice(text, 0, (size_t)end) : text;
    return str_ends(text, STR(".")) ? str_slice(text, 0, text.len - 1) : text;
}

static void explain_unschedulable(struct kube_words *words, struct str says, enum kube_lack *lack)
{
    kube_words_add(words, "no node has room for it: ");
    kube_words_add_foreign(words, essence(says));
    for (size_t i = 0; i < ARRAY_COUNT(scheduler_rows); i++) {
        if (str_find(says, str_of(scheduler_rows[i].says)) < 0)
            continue;
        *lack = scheduler_rows[i].lack;
        if (*lack == KUBE_LACKS_NOTHING) {
            kube_words_add(words, "; ");
            kube_words_add(words, scheduler_rows[i].cure);
        }
        return;
    }
}

const json_t *kube_condition(const json_t *status, const char *type)
{
    const json_t *condition;
    size_t i;

    json_array_foreach (json_object_get(status, "conditions"), i, condition) {
        if (str_is(text_of(condition, "type"), type))
            return condition;
    }
    return NULL;
}

void kube_words_pending(struct kube_words *words, const json_t *status, bool *blocked,
                        enum kube_lack *lack)
{
    const json_t *scheduled = kube_condition(status, "PodScheduled");

    *blocked = str_is(text_of(scheduled, "status"), "False");
    if (scheduled == NULL) {
        kube_words_add(words, "it waits for the scheduler");
    } else if (!*blocked) {
        kube_words_add(words, "its node prepares volumes and images");
    } else if (str_is(text_of(scheduled, "reason"), "SchedulingGated")) {
        kube_words_add(words, "something holds its scheduling back");
        add_detail(words, text_of(scheduled, "message"));
    } else {
        explain_unschedulable(words, text_of(scheduled, "message"), lack);
    }
}
