/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Platform local with real processes: spate-operator and the real spate-agent with the shipped
 * model. The operator is killed and adopts, agents are killed and frozen, bad objects are refused.
 */
#include "cmocka_plain.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/fetch.h"
#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"

enum { PATIENCE_MS = 30000, STEP_MS = 20, PIDS_MAX = 16, ANSWER_MAX = 16 << 20 };

#define MODELS "/apis/spate.dev/v1alpha1/namespaces/team/modeldeployments"

struct fixture {
    char state[64];
    char address[64];
    char admin[128];
    pid_t operator_pid;
};

static void pause_ms(int64_t ms)
{
    const struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};

    nanosleep(&t, NULL);
}

static void read_line(const struct fixture *f, const char *name, char *out, size_t size)
{
    CLEANUP(mem_freep) char *path = path_join(f->state, name);
    struct buf text;

    buf_init(&text, size - 1);
    assert_int_equal(file_read(path, &text, NULL), 0);
    snprintf(out, size, "%.*s", STR_ARG(str_trim(buf_str(&text))));
    buf_fini(&text);
}

/* --- the operator ----------------------------------------------------------------------------- */

/* Its folder goes with the test, so this is the last chance to read what it said. */
static void show_log(const struct fixture *f)
{
    CLEANUP(mem_freep) char *path = path_join(f->state, "operator.log");
    struct buf text;

    buf_init(&text, ANSWER_MAX);
    if (file_read(path, &text, NULL) == 0)
        print_error("%.*s", STR_ARG(buf_str(&text)));
    buf_fini(&text);
}

static void start_operator(struct fixture *f)
{
    CLEANUP(mem_freep) char *address = path_join(f->state, "address");
    CLEANUP(mem_freep) char *log = path_join(f->state, "operator.log");
    bool ended = false;

    unlink(address);
    f->operator_pid = fork();
    assert_true(f->operator_pid >= 0);
    if (f->operator_pid == 0) {
        int fd = open(log, O_WRONLY | O_CREAT | O_APPEND, 0600);

        dup2(fd, 1);
        dup2(fd, 2);
        execl(OPERATOR_BINARY, OPERATOR_BINARY, "--state", f->state, "--listen", "127.0.0.1:0",
              "--address-file", address, "--agent-binary", AGENT_BINARY, (char *)NULL);
        _exit(127);
    }
    for (int waited = 0; !file_exists(address); waited += STEP_MS) {
        ended = waitpid(f->operator_pid, NULL, WNOHANG) != 0;
        if (ended || waited >= PATIENCE_MS)
            show_log(f);
        assert_false(ended);
        assert_true(waited < PATIENCE_MS);
        pause_ms(STEP_MS);
    }
    read_line(f, "address", f->address, sizeof(f->address));
    read_line(f, "admin-token", f->admin, sizeof(f->admin));
}

static void kill_operator(struct fixture *f, int signal_number)
{
    int status = 0;

    kill(f->operator_pid, signal_number);
    assert_int_equal(waitpid(f->operator_pid, &status, 0), f->operator_pid);
    if (signal_number == SIGTERM)
        assert_int_equal(status, 0);
}

static int ask(const struct fixture *f, const char *method, const char *path, const char *body,
               const char *token, json_t **out)
{
    const struct http_header type = {STR("content-type"), STR("application/apply-patch+json")};
    struct buf answer;
    char url[512];
    int status;

    snprintf(url, sizeof(url), "http://%s%s", f->address, path);
    buf_init(&answer, ANSWER_MAX);
    status = fetch_wait(
        &(struct fetch_options){
            .method = method,
            .url = url,
            .headers = &type,
            .header_count = body != NULL ? 1 : 0,
            .body = body != NULL ? str_of(body) : STR_NONE,
            .bearer_token = token,
            .timeout_ms = PATIENCE_MS,
        },
        &answer, NULL);
    if (out != NULL && json_read(out, buf_str(&answer), &json_limits_default, "answer", NULL) < 0)
        *out = NULL;
    buf_fini(&answer);
    return status;
}

static int admin(const struct fixture *f, const char *method, const char *path, const char *body,
                 json_t **out)
{
    return ask(f, method, path, body, f->admin, out);
}

static int apply(const struct fixture *f, const char *name, const char *uri, const char *scaling)
{
    char body[2048], path[256];

    snprintf(body, sizeof(body),
             "{\"apiVersion\":\"spate.dev/v1alpha1\",\"kind\":\"ModelDeployment\",\"metadata\":{"
             "\"name\":\"%s\",\"namespace\":\"team\"},\"spec\":{\"model\":{\"uri\":\"%s\"},"
             "\"scaling\":%s}}",
             name, uri, scaling);
    snprintf(path, sizeof(path), MODELS "/%s", name);
    return admin(f, "PATCH", path, body, NULL);
}

#define BROOK  "file://" SPATE_SOURCE_DIR "/models/brook"
#define MANUAL "{\"mode\":\"Manual\",\"replicas\":2}"

/* --- what is ---------------------------------------------------------------------------------- */

struct pods {
    int count;
    pid_t pids[PIDS_MAX];
    int64_t restarts;
};

static struct pods list_pods(const struct fixture *f)
{
    json_auto_t *answer = NULL;
    struct pods pods = {0};
    const json_t *pod;
    size_t i;

    assert_int_equal(admin(f, "GET", "/api/v1/namespaces/team/pods", NULL, &answer), 200);
    json_array_foreach (json_object_get(answer, "items"), i, pod) {
        const json_t *status = json_object_get(pod, "status");

        if (pods.count == PIDS_MAX)
            break;
        pods.pids[pods.count++] = (pid_t)json_integer_value(json_object_get(status, "pid"));
        pods.restarts += json_integer_value(json_object_get(status, "restartCount"));
    }
    return pods;
}

static int64_t status_number(const struct fixture *f, const char *name, const char *field)
{
    json_auto_t *answer = NULL;
    char path[256];

    snprintf(path, sizeof(path), MODELS "/%s", name);
    assert_int_equal(admin(f, "GET", path, NULL, &answer), 200);
    return json_integer_value(json_object_get(json_object_get(answer, "status"), field));
}

static void wait_for_ready(const struct fixture *f, const char *name, int64_t wanted)
{
    for (int waited = 0; status_number(f, name, "readyReplicas") != wanted ||
                         status_number(f, name, "replicas") != wanted;
         waited += STEP_MS) {
        if (waited >= PATIENCE_MS)
            fail_msg("%s: %lld ready, wanted %lld (see %s/operator.log)", name,
                     (long long)status_number(f, name, "readyReplicas"), (long long)wanted,
                     f->state);
        pause_ms(STEP_MS);
    }
}

/* Pods that go may stay a moment longer than their model knows them: they look for usage. */
static void wait_for_pods(const struct fixture *f, int wanted)
{
    for (int waited = 0; list_pods(f).count != wanted; waited += STEP_MS) {
        assert_true(waited < PATIENCE_MS);
        pause_ms(STEP_MS);
    }
}

static void wait_for_restarts(const struct fixture *f, int64_t wanted)
{
    for (int waited = 0; list_pods(f).restarts < wanted; waited += STEP_MS) {
        assert_true(waited < PATIENCE_MS);
        pause_ms(STEP_MS);
    }
}

static bool has_pid(const struct pods *pods, pid_t pid)
{
    for (int i = 0; i < pods->count; i++) {
        if (pods->pids[i] == pid)
            return true;
    }
    return false;
}

static int set_up(void **state)
{
    struct fixture *f = mem_alloc(sizeof(*f));

    snprintf(f->state, sizeof(f->state), "/tmp/spate-local-XXXXXX");
    if (mkdtemp(f->state) == NULL)
        return -1;
    start_operator(f);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(admin(f, "POST", "/internal/v1/shutdown", "", NULL), 200);
    assert_int_equal(list_pods(f).count, 0);
    kill_operator(f, SIGTERM);
    file_remove_tree(f->state, NULL);
    mem_free(f);
    return 0;
}

/* --- tests ------------------------------------------------------------------------------------ */

static void a_killed_operator_adopts_its_pods(void **state)
{
    struct fixture *f = *state;
    struct pods before, after;

    assert_int_equal(apply(f, "brook", BROOK, MANUAL), 201);
    wait_for_ready(f, "brook", 2);
    before = list_pods(f);
    assert_int_equal(before.count, 2);
    for (int i = 0; i < 3; i++) {
        kill_operator(f, SIGKILL);
        start_operator(f);
        wait_for_ready(f, "brook", 2);
        after = list_pods(f);
        assert_int_equal(after.count, 2);
        assert_true(has_pid(&after, before.pids[0]) && has_pid(&after, before.pids[1]));
    }
}

/* Killed at some instant of a scale-up: nothing is doubled, nothing left over. */
static void a_killed_operator_doubles_nothing(void **state)
{
    struct fixture *f = *state;

    for (int delay_ms = 1; delay_ms < 60; delay_ms += 7) {
        char scaling[64];

        snprintf(scaling, sizeof(scaling), "{\"mode\":\"Manual\",\"replicas\":%d}",
                 1 + delay_ms % 3);
        apply(f, "brook", BROOK, scaling);
        pause_ms(delay_ms);
        kill_operator(f, SIGKILL);
        start_operator(f);
        wait_for_ready(f, "brook", 1 + delay_ms % 3);
        wait_for_pods(f, 1 + delay_ms % 3);
    }
}

static void a_killed_agent_comes_back(void **state)
{
    struct fixture *f = *state;
    struct pods before, after;

    apply(f, "brook", BROOK, MANUAL);
    wait_for_ready(f, "brook", 2);
    before = list_pods(f);
    kill(before.pids[0], SIGKILL);
    wait_for_restarts(f, 1);
    wait_for_ready(f, "brook", 2);
    after = list_pods(f);
    assert_int_equal(after.count, 2);
    assert_false(has_pid(&after, before.pids[0]));
    assert_true(has_pid(&after, before.pids[1]));
}

/* Also one that an operator before started: that is nobody's child. */
static void a_killed_agent_of_an_operator_before_comes_back(void **state)
{
    struct fixture *f = *state;

    apply(f, "brook", BROOK, MANUAL);
    wait_for_ready(f, "brook", 2);
    kill_operator(f, SIGTERM);
    start_operator(f);
    wait_for_ready(f, "brook", 2);
    kill(list_pods(f).pids[1], SIGKILL);
    wait_for_restarts(f, 1);
    wait_for_ready(f, "brook", 2);
}

static void a_frozen_agent_is_started_again(void **state)
{
    struct fixture *f = *state;

    apply(f, "brook", BROOK, MANUAL);
    wait_for_ready(f, "brook", 2);
    kill(list_pods(f).pids[0], SIGSTOP);
    wait_for_restarts(f, 1);
    wait_for_ready(f, "brook", 2);
}

static void scaling_down_ends_processes_and_folders(void **state)
{
    struct fixture *f = *state;
    CLEANUP(mem_freep) char *folder = path_join(f->state, "pods");
    struct pods before;
    struct stat info;

    apply(f, "brook", BROOK, MANUAL);
    wait_for_ready(f, "brook", 2);
    before = list_pods(f);
    apply(f, "brook", BROOK, "{\"mode\":\"Manual\",\"replicas\":0}");
    wait_for_ready(f, "brook", 0);
    wait_for_pods(f, 0);
    assert_int_equal(kill(before.pids[0], 0), -1);
    assert_int_equal(kill(before.pids[1], 0), -1);
    assert_int_equal(stat(folder, &info), 0);
    assert_int_equal(info.st_nlink, 2); /* no folder in it */
}

static void a_deleted_model_takes_its_pods_along(void **state)
{
    struct fixture *f = *state;

    apply(f, "brook", BROOK, MANUAL);
    wait_for_ready(f, "brook", 2);
    assert_int_equal(admin(f, "DELETE", MODELS "/brook", NULL, NULL), 200);
    assert_int_equal(admin(f, "DELETE", MODELS "/brook", NULL, NULL), 404);
    wait_for_pods(f, 0);
}

static void bad_calls_are_refused_with_a_reason(void **state)
{
    static const struct {
        const char *method, *path, *body;
        int status;
    } cases[] = {
        {"GET", MODELS "/none", NULL, 404},
        {"GET", "/apis/spate.dev/v1alpha1/namespaces/team/wolves", NULL, 404},
        {"GET", "/apis/spate.dev/v1alpha1/namespaces/Team/modeldeployments", NULL, 404},
        {"PATCH", MODELS "/brook", "{", 400},
        {"PATCH", MODELS "/brook", "[]", 422},
        {"PATCH", MODELS "/brook", "{\"kind\":\"ModelDeployment\"}", 422},
        {"PUT", MODELS "/brook", "{}", 405},
        {"DELETE", MODELS, NULL, 405},
        {"DELETE", "/api/v1/namespaces/team/pods/x", NULL, 405},
        {"GET", "/api/v1/namespaces/team/pods/x/log", NULL, 404},
        {"GET", "/nowhere", NULL, 404},
        {"DELETE", "/health", NULL, 405},
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        json_auto_t *answer = NULL;
        int status = admin(f, cases[i].method, cases[i].path, cases[i].body, &answer);

        if (status != cases[i].status)
            fail_msg("%s %s: %d, wanted %d", cases[i].method, cases[i].path, status,
                     cases[i].status);
        assert_string_equal(json_string_value(json_object_get(answer, "kind")), "Status");
        assert_true(json_str(json_object_get(answer, "message")).len > 0);
    }
    assert_int_equal(ask(f, "GET", MODELS, NULL, "wrong", NULL), 401);
    assert_int_equal(ask(f, "GET", MODELS, NULL, NULL, NULL), 401);
    assert_int_equal(ask(f, "GET", "/internal/v1/routes", NULL, f->admin, NULL), 401);
    assert_int_equal(ask(f, "POST", "/internal/v1/token", "{\"gateway\":\"g\"}", "wrong", NULL),
                     401);
}

static void dry_run_changes_nothing(void **state)
{
    struct fixture *f = *state;
    const char *body = "{\"apiVersion\":\"spate.dev/v1alpha1\",\"kind\":\"Tenant\",\"metadata\":{"
                       "\"name\":\"acme\"},\"spec\":{}}";

    assert_int_equal(
        admin(f, "PATCH", "/apis/spate.dev/v1alpha1/tenants/acme?dryRun=All", body, NULL), 201);
    assert_int_equal(admin(f, "GET", "/apis/spate.dev/v1alpha1/tenants/acme", NULL, NULL), 404);
    assert_int_equal(admin(f, "POST", "/apis/spate.dev/v1alpha1/tenants", body, NULL), 201);
    assert_int_equal(admin(f, "POST", "/apis/spate.dev/v1alpha1/tenants", body, NULL), 409);
    assert_int_equal(admin(f, "PATCH", "/apis/spate.dev/v1alpha1/tenants/acme", body, NULL), 200);
}

/* As a kill -9 in the middle of a write leaves it; the pid is that of a process that has ended,
 * perhaps before it made the folder. */
static void leave_half(struct fixture *f, const char *place, char path[256])
{
    char folder[256];

    snprintf(folder, sizeof(folder), "%s/%s", f->state, place);
    *strrchr(folder, '/') = '\0';
    assert_int_equal(file_make_folder(folder, NULL), 0);
    snprintf(path, 256, "%s/%s.%ld.tmp", f->state, place, (long)f->operator_pid);
    assert_int_equal(file_write_atomic(path, STR("half"), 0600, NULL), 0);
}

static void what_a_killed_operator_left_is_swept(void **state)
{
    static const char *const places[] = {"epoch", "token.pub", "gateways/g-0",
                                         "objects/tenants/acme.json"};
    struct fixture *f = *state;
    char path[ARRAY_COUNT(places)][256];

    kill_operator(f, SIGKILL);
    for (size_t i = 0; i < ARRAY_COUNT(places); i++)
        leave_half(f, places[i], path[i]);
    start_operator(f);
    for (size_t i = 0; i < ARRAY_COUNT(places); i++)
        assert_false(file_exists(path[i]));
}

/* Of the first model of the routes. A snapshot follows what the status says by a moment. */
static size_t pods_in_routes(const struct fixture *f, const char *token)
{
    json_auto_t *routes = NULL;
    const json_t *models;

    assert_int_equal(ask(f, "GET", "/internal/v1/routes?gateway=g-0&run=00000000000000000000000001",
                         NULL, token, &routes),
                     200);
    models = json_object_get(routes, "models");
    assert_int_equal(json_array_size(models), 1);
    return json_array_size(json_object_get(json_array_get(models, 0), "pods"));
}

static void gateways_get_tokens_and_routes(void **state)
{
    struct fixture *f = *state;
    json_auto_t *tokens = NULL;
    char secret[128];
    const char *token;

    apply(f, "brook", BROOK, MANUAL);
    wait_for_ready(f, "brook", 2);
    read_line(f, "gateway-secret", secret, sizeof(secret));
    assert_int_equal(ask(f, "POST", "/internal/v1/token", "{\"gateway\":\"g-0\"}", secret, &tokens),
                     200);
    token = json_string_value(json_object_get(json_object_get(tokens, "tokens"), "operator"));
    assert_non_null(token);
    for (int waited = 0; pods_in_routes(f, token) != 2; waited += STEP_MS) {
        assert_true(waited < PATIENCE_MS);
        pause_ms(STEP_MS);
    }
}

static void missing_weights_are_said(void **state)
{
    struct fixture *f = *state;
    json_auto_t *answer = NULL;
    char *text;

    apply(f, "gone", "file:///nowhere/at/all", MANUAL);
    pause_ms(500);
    assert_int_equal(list_pods(f).count, 0);
    assert_int_equal(admin(f, "GET", MODELS "/gone", NULL, &answer), 200);
    text = json_dumps(answer, JSON_COMPACT);
    assert_non_null(strstr(text, "/nowhere/at/all: correct spec.model.uri"));
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_killed_operator_adopts_its_pods, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_killed_operator_doubles_nothing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_killed_agent_comes_back, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_killed_agent_of_an_operator_before_comes_back, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_frozen_agent_is_started_again, set_up, tear_down),
        cmocka_unit_test_setup_teardown(scaling_down_ends_processes_and_folders, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_deleted_model_takes_its_pods_along, set_up, tear_down),
        cmocka_unit_test_setup_teardown(bad_calls_are_refused_with_a_reason, set_up, tear_down),
        cmocka_unit_test_setup_teardown(dry_run_changes_nothing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_a_killed_operator_left_is_swept, set_up, tear_down),
        cmocka_unit_test_setup_teardown(gateways_get_tokens_and_routes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(missing_weights_are_said, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
