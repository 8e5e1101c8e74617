/* SPDX-License-Identifier: Apache-2.0 */
/* Pods and Nodes as the API shows them, and what the operator makes of them. */
#include "cmocka_plain.h"

#include <string.h>

#include "base/mem.h"
#include "operator/kube/kube_lack.h"
#include "operator/kube/kube_node.h"
#include "operator/kube/kube_pod.h"

#define KEY "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
#define META                                                                                   \
    "\"metadata\":{\"name\":\"m-0123456789-7\",\"namespace\":\"team-a\",\"uid\":\"u-1\","      \
    "\"resourceVersion\":\"42\",\"creationTimestamp\":\"2026-11-22T10:00:00Z\","               \
    "\"labels\":{\"spate.dev/model\":\"m\",\"spate.dev/template-hash\":\"0123456789\","        \
    "\"spate.dev/ordinal\":\"7\",\"spate.dev/component\":\"agent\"},"                          \
    "\"annotations\":{\"spate.dev/token-public-key\":\"" KEY "\"},"                            \
    "\"ownerReferences\":[{\"apiVersion\":\"apps/v1\",\"kind\":\"ReplicaSet\",\"name\":\"x\"," \
    "\"uid\":\"u-x\"},{\"apiVersion\":\"spate.dev/v1alpha1\",\"kind\":\"ModelDeployment\","    \
    "\"name\":\"m\",\"uid\":\"u-m\",\"controller\":true}]}"
#define SPEC                                                                             \
    "\"spec\":{\"nodeName\":\"n1\",\"serviceAccountName\":\"default\",\"containers\":[{" \
    "\"name\":\"agent\",\"ports\":[{\"name\":\"http\",\"containerPort\":8000}]}]}"
#define POD(status)      "{" META "," SPEC ",\"status\":{" status "}}"
#define CONTAINER(state) "\"containerStatuses\":[{\"name\":\"agent\",\"restartCount\":2," state "}]"

#define UNSCHEDULABLE(message)                                                               \
    "\"phase\":\"Pending\",\"conditions\":[{\"type\":\"PodScheduled\",\"status\":\"False\"," \
    "\"reason\":\"Unschedulable\",\"message\":\"" message "\"}]"

static struct kube_pod *read_pod(const char *text)
{
    struct err err = {0};
    json_auto_t *tree = NULL;
    struct kube_meta meta;
    struct kube_pod *pod = NULL;

    if (kube_object_read(&tree, str_of(text), "pod", &err) < 0 ||
        kube_meta_read(&meta, tree, &err) < 0 || kube_pod_read(&pod, tree, &meta, &err) < 0)
        fail_msg("%s", err_message(&err));
    return pod;
}

static void everything_of_a_running_pod_is_read(void **state)
{
    struct kube_pod *pod = read_pod(POD(
        "\"phase\":\"Running\",\"podIP\":\"10.77.1.5\"," CONTAINER("\"state\":{\"running\":{}}")));

    (void)state;
    assert_true(str_is(kube_pod_text(pod, POD_NAME_SPACE), "team-a"));
    assert_true(str_is(kube_pod_text(pod, POD_NAME), "m-0123456789-7"));
    assert_true(str_is(kube_pod_text(pod, POD_UID), "u-1"));
    assert_true(kube_pod_is_owned(pod));
    assert_true(str_is(pod_record_owner_name(pod->record), "m"));
    assert_true(str_is(kube_pod_text(pod, POD_OWNER_UID), "u-m"));
    assert_true(str_is(kube_pod_text(pod, POD_OWNER_KEY), "team-a/m"));
    assert_true(str_is(kube_pod_text(pod, POD_TEMPLATE_HASH), "0123456789"));
    assert_true(str_is(kube_pod_text(pod, POD_ADDRESS), "10.77.1.5:8000"));
    assert_true(str_is(kube_pod_node(pod), "n1"));
    assert_null(pod->extras);
    assert_int_equal(pod->record->ordinal, 7);
    assert_int_equal(pod->record->restarts, 2);
    assert_int_equal(pod->phase, PLATFORM_POD_RUNNING);
    assert_int_equal(pod->gone_by_ms, 0);
    assert_int_equal(pod->record->created_ms, 1795341600000);
    assert_true(pod->key_mark == kube_pod_key_mark(STR(KEY)));
    assert_true(pod->key_mark != kube_pod_key_mark(STR("1" KEY)));
    assert_true(kube_pod_key_mark(STR("none")) == 0);
    kube_pod_free(pod);
}

/* What the API says, and what people and the reconciler are told. */
static const struct {
    const char *status;
    enum platform_pod_phase phase;
    const char *message;
    bool evicted;
} rows[] = {
    {"\"phase\":\"Pending\"", PLATFORM_POD_PENDING, "it waits for the scheduler", false},
    {"\"phase\":\"Pending\",\"conditions\":[{\"type\":\"PodScheduled\",\"status\":\"False\","
     "\"reason\":\"Unschedulable\",\"message\":\"0/3 nodes are available: 3 Insufficient "
     "nvidia.com/gpu.\"}]",
     PLATFORM_POD_PENDING, "no node has room for it: 3 Insufficient nvidia.com/gpu", false},
    {UNSCHEDULABLE("0/3 nodes are available: 1 Insufficient memory, 3 Insufficient cpu. no new "
                   "claims to deallocate, preemption: 0/3 nodes are available: 3 Preemption is not "
                   "helpful for scheduling."),
     PLATFORM_POD_PENDING,
     "no node has room for it: 1 Insufficient memory, 3 Insufficient cpu; add nodes, or lower "
     "spec.hardware.memoryMiB",
     false},
    {UNSCHEDULABLE("0/3 nodes are available: persistentvolumeclaim \\\"absent\\\" not found. not "
                   "found"),
     PLATFORM_POD_PENDING,
     "no node has room for it: persistentvolumeclaim \"absent\" not found; make that claim in the "
     "model's namespace, or correct spec.model.uri",
     false},
    {UNSCHEDULABLE("0/3 nodes are available: 3 node(s) didn't match Pod's node affinity/selector."),
     PLATFORM_POD_PENDING,
     "no node has room for it: 3 node(s) didn't match Pod's node affinity/selector; no node has "
     "what "
     "spec.placement.nodeLabels or spec.scaling.spot ask for: correct them, or label nodes",
     false},
    /* Somebody with rights on pods wrote this: no line ends here, no colour begins. */
    {UNSCHEDULABLE("a\\n{\\\"level\\\":\\\"error\\\"}\\r\\n\\u001b[31m\\u202efdp\\u0085x"),
     PLATFORM_POD_PENDING, "no node has room for it: a {\"level\":\"error\"} [31m fdp x", false},
    {"\"phase\":\"Pending\",\"conditions\":[{\"type\":\"PodScheduled\",\"status\":\"True\"}]",
     PLATFORM_POD_PENDING, "its node prepares volumes and images", false},
    {"\"phase\":\"Pending\"," CONTAINER("\"state\":{\"waiting\":{\"reason\":\"ImagePullBackOff\","
                                        "\"message\":\"Back-off pulling image x\"}}"),
     PLATFORM_POD_PENDING,
     "its image can't be pulled; check spec.model.uri of an oci:// model, the agent's image, and "
     "that the node may pull them (agent.pullSecret): Back-off pulling image x",
     false},
    {"\"phase\":\"Pending\"," CONTAINER(
         "\"state\":{\"waiting\":{\"reason\":\"ErrImagePull\",\"message\":\"failed to pull and "
         "unpack "
         "image x/y/z:1.2.3: failed to resolve reference x/y/z:1.2.3: unexpected status from HEAD "
         "request to https://x/v2/y/z/manifests/1.2.3: 401 Unauthorized\"}}"),
     PLATFORM_POD_PENDING,
     "its image can't be pulled; check spec.model.uri of an oci:// model, the agent's image, and "
     "that the node may pull them (agent.pullSecret): ... x/y/z:1.2.3: unexpected status from HEAD "
     "request to https://x/v2/y/z/manifests/1.2.3: 401 Unauthorized",
     false},
    {"\"phase\":\"Pending\"," CONTAINER(
         "\"state\":{\"waiting\":{\"reason\":\"CreateContainerConfigError\",\"message\":\"secret "
         "spate-x not found\"}}"),
     PLATFORM_POD_PENDING,
     "a Secret or ConfigMap that it needs is missing: make it in the model's namespace: secret "
     "spate-x not found",
     false},
    {"\"phase\":\"Running\"," CONTAINER(
         "\"state\":{\"waiting\":{\"reason\":\"CrashLoopBackOff\"}},\"lastState\":{\"terminated\":{"
         "\"exitCode\":1,\"reason\":\"Error\",\"message\":\"no such model\\n\"}}"),
     PLATFORM_POD_CRASHED, "its agent ended with status 1: no such model", false},
    {"\"phase\":\"Running\"," CONTAINER("\"state\":{\"terminated\":{\"exitCode\":1,\"message\":\"{"
                                        "\\\"event\\\":\\\"listening\\\"}\\n"
                                        "{\\\"time\\\":\\\"t\\\",\\\"event\\\":\\\"cannot "
                                        "start\\\",\\\"error\\\":\\\"no\\\\nroom\\\"}\\n\"}}"),
     PLATFORM_POD_CRASHED, "its agent ended with status 1: cannot start: no room", false},
    {"\"phase\":\"Running\"," CONTAINER(
         "\"state\":{\"terminated\":{\"exitCode\":137,\"reason\":\"OOMKilled\"}}"),
     PLATFORM_POD_CRASHED,
     "its agent needed more memory than its limit allows: raise spec.hardware.memoryMiB, or lower "
     "spec.engine.kvCacheMiB or slots",
     false},
    {"\"phase\":\"Failed\",\"reason\":\"Evicted\",\"message\":\"The node was low on resource: "
     "memory.\"",
     PLATFORM_POD_LOST, "its node ended it: Evicted: The node was low on resource: memory.", false},
    {"\"phase\":\"Succeeded\"", PLATFORM_POD_LOST, "its node ended it", false},
    {"\"phase\":\"Running\",\"conditions\":[{\"type\":\"DisruptionTarget\",\"status\":\"True\","
     "\"reason\":\"TerminationByKubelet\"}]," CONTAINER("\"state\":{\"running\":{}}"),
     PLATFORM_POD_RUNNING, "", true},
};

static void phases_are_told_in_words(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        char text[4096];
        struct kube_pod *pod;

        snprintf(text, sizeof(text), "{" META "," SPEC ",\"status\":{%s}}", rows[i].status);
        pod = read_pod(text);
        assert_int_equal(pod->unplaced,
                         str_starts(kube_pod_message(pod), STR("no node has room for it")));
        if (pod->phase != rows[i].phase || pod->evicted != rows[i].evicted ||
            !str_is(kube_pod_message(pod), rows[i].message))
            fail_msg("row %zu: phase %d, '%.*s'", i, pod->phase, STR_ARG(kube_pod_message(pod)));
        kube_pod_free(pod);
    }
}

static void an_address_is_digits_only(void **state)
{
    static const char *const rows_in[][2] = {
        {"10.0.0.1", "10.0.0.1:8000"},
        {"fd00::1", "[fd00::1]:8000"},
        {"", ""},
        {"evil.example/", ""},
        {"10.0.0.1:1@x", ""},
        {"10.0.0.1\\r\\nHost: example", ""},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(rows_in); i++) {
        char text[4096];
        struct kube_pod *pod;

        snprintf(text, sizeof(text), POD("\"podIP\":\"%s\""), rows_in[i][0]);
        pod = read_pod(text);
        assert_true(str_is(kube_pod_text(pod, POD_ADDRESS), rows_in[i][1]));
        kube_pod_free(pod);
    }
}

static void a_deletion_has_its_time(void **state)
{
    struct kube_pod *pod = read_pod(
        "{\"metadata\":{\"name\":\"p\",\"uid\":\"u\",\"deletionTimestamp\":\"2026-11-22T10:"
        "00:15Z\"}}");

    (void)state;
    assert_int_equal(pod->gone_by_ms, 1795341615000);
    kube_pod_free(pod);
}

static void a_finer_time_of_creation_is_believed_if_it_fits(void **state)
{
    static const struct {
        const char *annotation;
        int64_t created_ms;
    } times[] = {
        {"1795341600999", 1795341600999}, {"1795341599500", 1795341599500},
        {"1795341700000", 1795341600000}, {"0", 1795341600000},
        {"soon", 1795341600000},          {"", 1795341600000},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(times); i++) {
        char text[512];
        struct kube_pod *pod;

        snprintf(text, sizeof(text),
                 "{\"metadata\":{\"name\":\"p\",\"uid\":\"u\",\"creationTimestamp\":"
                 "\"2026-11-22T10:00:00Z\",\"annotations\":{\"spate.dev/created-ms\":\"%s\"}}}",
                 times[i].annotation);
        pod = read_pod(text);
        assert_int_equal(pod->record->created_ms, times[i].created_ms);
        kube_pod_free(pod);
    }
}

/* Whoever sets our labels is not yet one of ours. */
static void only_a_controller_is_an_owner(void **state)
{
    static const char *const owners[] = {
        "[]",
        "[{\"apiVersion\":\"spate.dev/v1alpha1\",\"kind\":\"ModelDeployment\",\"name\":\"m\","
        "\"uid\":\"u\"}]",
        "[{\"apiVersion\":\"other.dev/v1\",\"kind\":\"ModelDeployment\",\"name\":\"m\",\"uid\":"
        "\"u\",\"controller\":true}]",
        "{\"name\":7}",
        "7",
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(owners); i++) {
        char text[1024];
        struct kube_pod *pod;

        snprintf(text, sizeof(text),
                 "{\"metadata\":{\"name\":\"p\",\"uid\":\"u\",\"ownerReferences\":%s}}", owners[i]);
        pod = read_pod(text);
        assert_false(kube_pod_is_owned(pod));
        assert_int_equal(pod_record_owner_name(pod->record).len, 0);
        kube_pod_free(pod);
    }
}

/* What few pods have is kept with those alone. */
static void extras_are_of_those_that_have_them(void **state)
{
    struct kube_pod *gateway = read_pod(
        "{\"metadata\":{\"name\":\"gateway-0\",\"namespace\":\"n\",\"uid\":\"u\",\"labels\":{"
        "\"spate.dev/component\":\"gateway\"}}," SPEC
        ",\"status\":{\"phase\":\"Running\"," CONTAINER("\"state\":{\"running\":{}}") "}}");
    struct kube_pod *waiting = read_pod(
        "{" META
        ",\"spec\":{\"serviceAccountName\":\"default\",\"tolerations\":[{\"key\":\"b\"},{}]},"
        "\"status\":{" UNSCHEDULABLE("0/1 nodes are available: 1 untolerated taint.") "}}");

    (void)state;
    assert_true(str_is(kube_pod_account(gateway), "default"));
    assert_int_equal(kube_pod_message(gateway).len, 0);
    assert_int_equal(kube_pod_account(waiting).len, 0);
    assert_true(str_is(kube_pod_message(waiting), "no node has room for it: 1 untolerated taint"));
    assert_true(str_is(kube_pod_tolerated(waiting), "b * "));
    assert_int_equal(kube_pod_node(waiting).len, 0);
    kube_pod_free(gateway);
    kube_pod_free(waiting);
}

/* A long text is cut between characters: what is left can be sent to the API. */
static void a_long_message_stays_a_text(void **state)
{
    (void)state;
    for (int shift = 0; shift < 4; shift++) {
        char text[4096], long_text[1024] = "abcd";
        struct kube_pod *pod;

        for (size_t at = (size_t)shift; at + 4 < sizeof(long_text); at += 3)
            memcpy(long_text + at, "\xe2\x82\xac", 4);
        snprintf(text, sizeof(text), "{" META "," SPEC ",\"status\":{" UNSCHEDULABLE("%s") "}}",
                 long_text);
        pod = read_pod(text);
        assert_true(kube_pod_message(pod).len < PLATFORM_MESSAGE_MAX);
        assert_true(utf8_valid(kube_pod_message(pod)));
        kube_pod_free(pod);
    }
}

/* --- texts of any length ---------------------------------------------------------------------- */

enum { LONG_BYTES = 64 << 10, POD_BYTES = 1 << 20 };

/* `count` times the same character. The caller frees it. */
static char *repeated(char c, size_t count)
{
    char *text = mem_alloc(count + 1);

    assert_non_null(text);
    memset(text, c, count);
    text[count] = '\0';
    return text;
}

/* A pod whose texts all have the length that is given for them; the caller frees it. */
struct lengths {
    size_t name_space, name, uid, owner_name, owner_uid, label, annotation, node, words;
};

static char *make_pod(const struct lengths *l)
{
    char *name_space = repeated('s', l->name_space), *name = repeated('n', l->name);
    char *uid = repeated('u', l->uid), *owner_name = repeated('o', l->owner_name);
    char *owner_uid = repeated('i', l->owner_uid), *label = repeated('l', l->label);
    char *annotation = repeated('a', l->annotation), *node = repeated('m', l->node);
    char *words = repeated('w', l->words), *text = mem_alloc(POD_BYTES);
    char *all[] = {name_space, name, uid, owner_name, owner_uid, label, annotation, node, words};

    assert_non_null(text);
    snprintf(
        text, POD_BYTES,
        "{\"metadata\":{\"namespace\":\"%s\",\"name\":\"%s\",\"uid\":\"%s\",\"labels\":{"
        "\"spate.dev/template-hash\":\"%s\",\"spate.dev/model\":\"%s\",\"other\":\"%s\"},"
        "\"annotations\":{\"any\":\"%s\"},\"ownerReferences\":[{\"apiVersion\":"
        "\"spate.dev/v1alpha1\",\"kind\":\"ModelDeployment\",\"name\":\"%s\",\"uid\":\"%s\","
        "\"controller\":true}]},\"spec\":{\"nodeName\":\"%s\",\"serviceAccountName\":\"%s\"},"
        "\"status\":{\"phase\":\"Running\",\"message\":\"%s\",\"podIP\":"
        "\"2001:db8:1111:2222:3333:4444:5555:6666\",\"containerStatuses\":[{\"name\":\"agent\","
        "\"state\":{\"terminated\":{\"exitCode\":1,\"reason\":\"Error\",\"message\":\"%s\"}}"
        "}]}}",
        name_space, name, uid, label, label, label, annotation, owner_name, owner_uid, node, node,
        words, words);
    for (size_t i = 0; i < ARRAY_COUNT(all); i++)
        mem_free(all[i]);
    return text;
}

static int read_lengths(const struct lengths *l, struct kube_pod **out, struct err *err)
{
    CLEANUP(mem_freep) char *text = make_pod(l);
    json_auto_t *tree = NULL;
    struct kube_meta meta;

    assert_int_equal(kube_object_read(&tree, str_of(text), "pod", err), 0);
    assert_int_equal(kube_meta_read(&meta, tree, err), 0);
    return kube_pod_read(out, tree, &meta, err);
}

/* As long as the API takes them, and words for people of any length: the pod is seen all the same.
 */
static void no_length_that_is_legal_hides_a_pod(void **state)
{
    static const struct lengths pods[] = {
        /* The most that Kubernetes takes, and what a kubelet keeps of an agent's last words. */
        {63, 253, 36, 63, 36, 63, 200 << 10, 253, 4096},
        /* Nobody bounds what an owner reference says, nor the status. */
        {63, 253, 36, 253, LONG_BYTES, 63, 200 << 10, 253, LONG_BYTES},
        {63, 253, 36, LONG_BYTES, LONG_BYTES, LONG_BYTES, 1, 253, LONG_BYTES},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(pods); i++) {
        struct kube_pod *pod = NULL;
        struct err err = {0};

        if (read_lengths(&pods[i], &pod, &err) < 0)
            fail_msg("row %zu: %s", i, err_message(&err));
        assert_int_equal(kube_pod_text(pod, POD_NAME_SPACE).len, pods[i].name_space);
        assert_int_equal(kube_pod_text(pod, POD_NAME).len, pods[i].name);
        assert_int_equal(kube_pod_text(pod, POD_UID).len, pods[i].uid);
        assert_int_equal(kube_pod_node(pod).len, pods[i].node);
        assert_true(kube_pod_is_owned(pod));
        assert_int_equal(kube_pod_text(pod, POD_OWNER_UID).len,
                         pods[i].owner_uid < POD_RECORD_TEXT_MAX ? pods[i].owner_uid
                                                                 : POD_RECORD_TEXT_MAX);
        assert_true(str_is(kube_pod_text(pod, POD_ADDRESS),
                           "[2001:db8:1111:2222:3333:4444:5555:6666]:8000"));
        assert_int_equal(pod->phase, PLATFORM_POD_CRASHED);
        assert_true(str_starts(kube_pod_message(pod), STR("its agent ended with status 1: ww")));
        assert_true(kube_pod_message(pod).len < PLATFORM_MESSAGE_MAX);
        kube_pod_free(pod);
    }
}

/* What tells one object from another is never cut: longer than the API takes it, it is refused. */
static void what_no_api_takes_is_refused_by_name(void **state)
{
    static const struct {
        struct lengths lengths;
        const char *fault;
    } refused[] = {
        {{.name_space = 254, .name = 1}, "the namespace of a pod is longer than 253 bytes"},
        {{.name = 254}, "the name of a pod is longer than 253 bytes"},
        {{.name = 1, .uid = 254}, "the uid of a pod is longer than 253 bytes"},
        {{.name = 1, .node = 254}, "the node's name of a pod is longer than 253 bytes"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(refused); i++) {
        struct kube_pod *pod = NULL;
        struct err err = {0};

        assert_int_equal(read_lengths(&refused[i].lengths, &pod, &err), -ERR_LIMIT);
        assert_string_equal(err_message(&err), refused[i].fault);
        assert_null(pod);
    }
}

static struct kube_node *read_node(const char *text)
{
    json_auto_t *tree = NULL;
    struct kube_meta meta;
    struct kube_node *node = NULL;

    assert_int_equal(kube_object_read(&tree, str_of(text), "node", NULL), 0);
    assert_int_equal(kube_meta_read(&meta, tree, NULL), 0);
    assert_int_equal(kube_node_read(&node, tree, &meta, NULL), 0);
    return node;
}

/* What a pod lacks, and what is said with such a node beside one that has nothing. */
static const struct {
    enum kube_lack lack;
    const char *tolerated, *node, *ends;
} lacks[] = {
    {KUBE_LACKS_GPUS, "", "{\"metadata\":{\"name\":\"a\"}}",
     "x; no node offers nvidia.com/gpu: install the NVIDIA device plugin (gpu-operator), or leave "
     "spec.hardware.gpus out"},
    {KUBE_LACKS_GPUS, "",
     "{\"metadata\":{\"name\":\"a\",\"labels\":{\"feature.node.kubernetes.io/pci-10de.present\":"
     "\"true\"}}}",
     "x; no node offers nvidia.com/gpu, though there are NVIDIA devices (in 1): install their "
     "device plugin "
     "(gpu-operator)"},
    {KUBE_LACKS_GPUS, "",
     "{\"metadata\":{\"name\":\"a\"},\"status\":{\"allocatable\":{\"nvidia.com/gpu\":\"8\"}}}",
     "x; wait until GPUs are free, add nodes that have them, or lower spec.hardware.gpus"},
    {KUBE_LACKS_TOLERATION, "b ",
     "{\"metadata\":{\"name\":\"a\"},\"spec\":{\"taints\":[{\"key\":\"b\",\"effect\":\"NoExecute\"}"
     ","
     "{\"key\":\"soft\",\"effect\":\"PreferNoSchedule\"},{\"key\":\"gpu\",\"value\":\"yes\","
     "\"effect\":\"NoSchedule\"}]}}",
     "x (a has gpu=yes:NoSchedule); add the taint to spec.placement.tolerations, or take it from "
     "the node"},
    {KUBE_LACKS_TOLERATION, "* ",
     "{\"metadata\":{\"name\":\"a\"},\"spec\":{\"taints\":[{\"key\":\"b\"}]}}",
     "x; add the taint to spec.placement.tolerations, or take it from the node"},
};

static void nodes_tell_what_a_pod_lacks(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(lacks); i++) {
        struct kube_lack_search search = {.lack = lacks[i].lack,
                                          .tolerated = str_of(lacks[i].tolerated)};
        struct kube_node *plain = read_node("{\"metadata\":{\"name\":\"plain\"}}");
        struct kube_node *node = read_node(lacks[i].node);
        struct kube_words words = {0};

        kube_lack_see(&search, STR("plain"), plain);
        kube_lack_see(&search, STR("a"), node);
        kube_words_add(&words, "x");
        kube_lack_end(&search, &words);
        assert_string_equal(words.text, lacks[i].ends);
        mem_free(plain);
        mem_free(node);
    }
}

static const struct {
    const char *node;
    bool ready, reclaimed;
    enum platform_capacity capacity;
} nodes[] = {
    {"{\"metadata\":{\"name\":\"n\"}}", false, false, PLATFORM_CAPACITY_UNKNOWN},
    {"{\"metadata\":{\"name\":\"n\",\"labels\":{\"karpenter.sh/capacity-type\":\"spot\"}},"
     "\"status\":{\"conditions\":[{\"type\":\"MemoryPressure\",\"status\":\"False\"},{\"type\":"
     "\"Ready\",\"status\":\"True\"}]}}",
     true, false, PLATFORM_CAPACITY_SPOT},
    {"{\"metadata\":{\"name\":\"n\"},\"status\":{\"conditions\":[{\"type\":\"Ready\",\"status\":"
     "\"Unknown\"}]}}",
     false, false, PLATFORM_CAPACITY_UNKNOWN},
    {"{\"metadata\":{\"name\":\"n\",\"labels\":{\"cloud.google.com/gke-spot\":\"true\"}},\"spec\":{"
     "\"taints\":[{\"key\":\"other\"},{\"key\":\"karpenter.sh/disrupted\",\"effect\":\"NoSchedule\""
     "}]}}",
     false, true, PLATFORM_CAPACITY_SPOT},
    {"{\"metadata\":{\"name\":\"n\"},\"spec\":{\"taints\":[{\"key\":\"aws-node-termination-handler/"
     "spot-itn\"}]}}",
     false, true, PLATFORM_CAPACITY_UNKNOWN},
    {"{\"metadata\":{\"name\":\"n\",\"deletionTimestamp\":\"2026-11-22T10:00:15Z\",\"labels\":{"
     "\"eks.amazonaws.com/capacityType\":\"CAPACITY_BLOCK\"}}}",
     false, true, PLATFORM_CAPACITY_RESERVED},
    {"{\"metadata\":{\"name\":\"n\",\"labels\":{\"cloud.google.com/gke-nodepool\":\"a\"}}}", false,
     false, PLATFORM_CAPACITY_ON_DEMAND},
    {"{\"metadata\":{\"name\":\"n\",\"labels\":{\"karpenter.sh/capacity-type\":\"on-demand\"}}}",
     false, false, PLATFORM_CAPACITY_ON_DEMAND},
    {"{\"metadata\":{\"name\":\"n\"},\"spec\":{\"taints\":[{\"key\":\"nvidia.com/gpu\"}]}}", false,
     false, PLATFORM_CAPACITY_UNKNOWN},
};

static void nodes_are_read(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(nodes); i++) {
        json_auto_t *tree = NULL;
        struct kube_meta meta;
        struct kube_node *node = NULL;

        assert_int_equal(kube_object_read(&tree, str_of(nodes[i].node), "node", NULL), 0);
        assert_int_equal(kube_meta_read(&meta, tree, NULL), 0);
        assert_int_equal(kube_node_read(&node, tree, &meta, NULL), 0);
        if (node->ready != nodes[i].ready || node->reclaimed != nodes[i].reclaimed ||
            node->capacity != nodes[i].capacity)
            fail_msg("row %zu: ready %d, reclaimed %d, %s", i, node->ready, node->reclaimed,
                     kube_capacity_name(node->capacity));
        mem_free(node);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(everything_of_a_running_pod_is_read),
        cmocka_unit_test(phases_are_told_in_words),
        cmocka_unit_test(an_address_is_digits_only),
        cmocka_unit_test(a_deletion_has_its_time),
        cmocka_unit_test(a_finer_time_of_creation_is_believed_if_it_fits),
        cmocka_unit_test(only_a_controller_is_an_owner),
        cmocka_unit_test(extras_are_of_those_that_have_them),
        cmocka_unit_test(a_long_message_stays_a_text),
        cmocka_unit_test(no_length_that_is_legal_hides_a_pod),
        cmocka_unit_test(what_no_api_takes_is_refused_by_name),
        cmocka_unit_test(nodes_tell_what_a_pod_lacks),
        cmocka_unit_test(nodes_are_read),
    };

    json_begin();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
