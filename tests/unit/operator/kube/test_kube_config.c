/* SPDX-License-Identifier: Apache-2.0 */
/* kubeconfig files, the pod's own account, and credentials from files and plug-ins. */
#include "cmocka_plain.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"
#include "operator/kube/client/kube_credentials.h"

enum { PATH_BYTES = 256, NOW_MS = 1000000 };

#define HEAD                                                                                 \
    "current-context: c\ncontexts:\n- name: c\n  context: {cluster: k, user: u, namespace: " \
    "team-a}\n"                                                                              \
    "- name: d\n  context: {cluster: k, user: v}\n"
#define CLUSTER "clusters:\n- name: k\n  cluster:\n    server: https://h:6443/\n"
#define USERS   "users:\n- name: v\n  user: {token: t2}\n- name: u\n  user:\n"

/* --- reading ---------------------------------------------------------------------------------- */

static int read_config(struct kube_config **out, const char *text, const char *context,
                       struct err *err)
{
    return kube_config_read(out, str_of(text), "/home/x", context, "file", err);
}

static void reads_a_file(void **state)
{
    CLEANUP(kube_config_freep) struct kube_config *c = NULL;
    CLEANUP(kube_config_freep) struct kube_config *d = NULL;
    static const char text[] =
        HEAD CLUSTER "    certificate-authority: ca.crt\n    disable-compression: true\n" USERS
                     "    client-certificate-data: Q0VSVA==\n    client-key: /k/key\n"
                     "    tokenFile: sub/token\n    token: first\n";

    (void)state;
    assert_int_equal(read_config(&c, text, NULL, NULL), 0);
    assert_string_equal(c->server, "https://h:6443");
    assert_string_equal(c->name_space, "team-a");
    assert_string_equal(c->ca_file, "/home/x/ca.crt");
    assert_null(c->ca_pem);
    assert_string_equal(c->cert_pem, "CERT");
    assert_string_equal(c->key_file, "/k/key");
    assert_string_equal(c->token_file, "/home/x/sub/token");
    assert_string_equal(c->token, "first");
    assert_false(c->compress);
    assert_null(c->exec);
    assert_int_equal(read_config(&d, text, "d", NULL), 0); /* another context */
    assert_string_equal(d->name_space, "default");
    assert_string_equal(d->token, "t2");
    assert_null(d->cert_pem);
}

static void reads_a_plug_in(void **state)
{
    CLEANUP(kube_config_freep) struct kube_config *c = NULL;
    static const char text[] =
        HEAD CLUSTER "    certificate-authority-data: Q0E=\n    certificate-authority: x\n" USERS
                     "    exec:\n      apiVersion: client.authentication.k8s.io/v1\n"
                     "      command: ./bin/login\n      args: [get, token]\n"
                     "      env: [{name: A, value: b=c}]\n      provideClusterInfo: true\n"
                     "      interactiveMode: IfAvailable\n      installHint: install it\n";

    (void)state;
    assert_int_equal(read_config(&c, text, NULL, NULL), 0);
    assert_string_equal(c->ca_pem, "CA"); /* data overrides the file */
    assert_null(c->ca_file);
    assert_string_equal(c->exec->command, "/home/x/./bin/login");
    assert_string_equal(c->exec->args[0], "get");
    assert_string_equal(c->exec->args[1], "token");
    assert_null(c->exec->args[2]);
    assert_string_equal(c->exec->env[0], "A=b=c");
    assert_null(c->exec->env[1]);
    assert_string_equal(c->exec->install_hint, "install it");
    assert_true(c->exec->provide_cluster_info);
}

static void refuses_by_name(void **state)
{
    static const struct {
        const char *text;
        const char *says;
    } cases[] = {
        {"", "one object is expected"},
        {"[]", "one object is expected"},
        {"a: 1\n---\nb: 2\n", "one object is expected"},
        {"contexts: []\n", "'current-context' is missing"},
        {"current-context: x\ncontexts: []\n", "no context is named 'x'"},
        {HEAD "clusters: []\n", "no cluster is named 'k'"},
        {HEAD CLUSTER "users: []\n", "no user is named 'u'"},
        {HEAD CLUSTER "    insecure-skip-tls-verify: true\n" USERS "    token: t\n",
         "'insecure-skip-tls-verify' is not supported"},
        {HEAD CLUSTER "    proxy-url: http://p\n" USERS "    token: t\n", "'proxy-url'"},
        {HEAD CLUSTER "    tls-server-name: x\n" USERS "    token: t\n", "'tls-server-name'"},
        {HEAD CLUSTER "    certificate-authority-data: '!!'\n" USERS "    token: t\n",
         "certificate-authority-data"},
        {HEAD CLUSTER USERS "    username: a\n    password: b\n", "'username' is not supported"},
        {HEAD CLUSTER USERS "    auth-provider: {name: gcp}\n", "'auth-provider'"},
        {HEAD CLUSTER USERS "    as: root\n", "'as' is not supported"},
        {HEAD CLUSTER USERS "    client-certificate: c\n", "needed together"},
        {HEAD CLUSTER USERS "    exec: {apiVersion: client.authentication.k8s.io/v1}\n",
         "'command' is missing"},
        {HEAD CLUSTER USERS "    exec: {command: x}\n", "'apiVersion' must be"},
        {HEAD CLUSTER USERS
         "    exec: {command: x, apiVersion: client.authentication.k8s.io/v1alpha1}\n",
         "'apiVersion' must be"},
        {HEAD CLUSTER USERS "    exec: {command: x, apiVersion: client.authentication.k8s.io/v1, "
                            "interactiveMode: Always}\n",
         "needs a terminal"},
        {HEAD CLUSTER USERS "    exec: {command: x, apiVersion: client.authentication.k8s.io/v1, "
                            "env: [{name: 'A=', value: b}]}\n",
         "no name of a variable"},
        {HEAD CLUSTER USERS "    token: 5\n", "'token' must be a string"},
        {HEAD "clusters:\n- name: k\n  cluster: {server: 'http://h'}\n" USERS "    token: t\n",
         "would show the token"},
        {HEAD "clusters:\n- name: k\n  cluster: {server: 'http://127.evil.example'}\n" USERS
              "    token: t\n",
         "would show the token"},
        {HEAD "clusters:\n- name: k\n  cluster: {server: 'http://localhost.example'}\n" USERS
              "    token: t\n",
         "would show the token"},
        {HEAD "clusters:\n- name: k\n  cluster: {server: 'ftp://h'}\n" USERS "    token: t\n",
         "must begin with https://"},
        {HEAD "clusters:\n- name: k\n  cluster: {server: 'https://u@h'}\n" USERS "    token: t\n",
         "no plain https:// address"},
        {HEAD "clusters:\n- name: k\n  cluster: {server: 'https:///x'}\n" USERS "    token: t\n",
         "names no host"},
        {HEAD "clusters:\n- name: k\n  cluster: {}\n" USERS "    token: t\n",
         "'server' is missing"},
        {"current-context: c\ncontexts:\n- name: c\n  context: {cluster: k, user: u, namespace: "
         "A/b}\n" CLUSTER USERS "    token: t\n",
         "no name of a namespace"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct kube_config *c = NULL;
        struct err err = {0};

        assert_true(read_config(&c, cases[i].text, NULL, &err) < 0);
        assert_null(c);
        if (strstr(err.message, cases[i].says) == NULL || strncmp(err.message, "file", 4) != 0)
            fail_msg("case %zu says: %s", i, err.message);
    }
}

static void takes_http_to_this_machine(void **state)
{
    static const char *const servers[] = {"http://127.0.0.1:8001", "http://localhost:1",
                                          "http://[::1]:8001", "http://127.0.0.1/k8s"};

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(servers); i++) {
        CLEANUP(kube_config_freep) struct kube_config *c = NULL;
        char text[1024];

        snprintf(text, sizeof(text),
                 HEAD "clusters:\n- name: k\n  cluster: {server: '%s'}\n" USERS "    token: t\n",
                 servers[i]);
        assert_int_equal(read_config(&c, text, NULL, NULL), 0);
        assert_string_equal(c->server, servers[i]);
    }
}

/* --- files ------------------------------------------------------------------------------------ */

struct folder {
    char path[PATH_BYTES];
};

static void folder_make(struct folder *f)
{
    snprintf(f->path, sizeof(f->path), "kube.XXXXXX");
    assert_non_null(mkdtemp(f->path));
}

static void folder_remove(struct folder *f)
{
    assert_int_equal(file_remove_tree(f->path, NULL), 0);
}

static void put_file(const struct folder *f, const char *name, const char *text, mode_t mode)
{
    char path[2 * PATH_BYTES];

    snprintf(path, sizeof(path), "%s/%s", f->path, name);
    assert_int_equal(file_write_atomic(path, str_of(text), mode, NULL), 0);
}

static void reads_the_account_of_a_pod(void **state)
{
    CLEANUP(kube_config_freep) struct kube_config *c = NULL;
    CLEANUP(kube_config_freep) struct kube_config *v6 = NULL;
    CLEANUP(kube_credentials_freep) struct kube_credentials *one = NULL;
    CLEANUP(kube_credentials_freep) struct kube_credentials *two = NULL;
    struct kube_config *none = NULL;
    struct folder f;
    struct err err = {0};

    (void)state;
    folder_make(&f);
    unsetenv("KUBERNETES_SERVICE_HOST");
    assert_int_equal(kube_config_in_cluster(&none, f.path, &err), -ERR_NOT_FOUND);
    setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1", 1);
    setenv("KUBERNETES_SERVICE_PORT", "443", 1);
    put_file(&f, "namespace", "team-a\n", 0600);
    put_file(&f, "token", "abc\n", 0600);
    put_file(&f, "ca.crt", "CA\n", 0600);
    assert_int_equal(kube_config_in_cluster(&c, f.path, NULL), 0);
    assert_string_equal(c->server, "https://10.0.0.1:443");
    assert_string_equal(c->name_space, "team-a");
    assert_int_equal(kube_credentials_load(&one, c, NULL, false, NOW_MS, NULL), 0);
    assert_string_equal(one->token, "abc");
    assert_string_equal(one->ca_pem, "CA\n");
    put_file(&f, "token", "def\n", 0600); /* rotated */
    assert_int_equal(kube_credentials_load(&two, c, one, false, NOW_MS, NULL), 0);
    assert_string_equal(two->token, "def");
    assert_false(kube_credentials_equal(one, two));
    setenv("KUBERNETES_SERVICE_HOST", "fd00::1", 1);
    assert_int_equal(kube_config_in_cluster(&v6, f.path, NULL), 0);
    assert_string_equal(v6->server, "https://[fd00::1]:443");
    put_file(&f, "namespace", "../x", 0600);
    assert_int_equal(kube_config_in_cluster(&none, f.path, &err), -ERR_INVALID);
    folder_remove(&f);
}

static void refuses_bad_tokens(void **state)
{
    static const char *const bad[] = {"", "\n", "a b", "a\r\nX-Evil: 1", "\xc3\xa4"};
    struct folder f;

    (void)state;
    folder_make(&f);
    setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1", 1);
    put_file(&f, "namespace", "a", 0600);
    put_file(&f, "ca.crt", "CA\n", 0600);
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
        CLEANUP(kube_config_freep) struct kube_config *c = NULL;
        struct kube_credentials *out = NULL;
        struct err err = {0};

        put_file(&f, "token", bad[i], 0600);
        assert_int_equal(kube_config_in_cluster(&c, f.path, NULL), 0);
        assert_int_equal(kube_credentials_load(&out, c, NULL, false, NOW_MS, &err), -ERR_INVALID);
        assert_null(out);
        assert_null(strstr(err.message, "Evil"));
    }
    folder_remove(&f);
}

static void finds_the_file(void **state)
{
    CLEANUP(kube_config_freep) struct kube_config *c = NULL;
    CLEANUP(kube_config_freep) struct kube_config *d = NULL;
    struct kube_config *none = NULL;
    struct folder f;
    char path[2 * PATH_BYTES];
    struct err err = {0};

    (void)state;
    folder_make(&f);
    put_file(&f, "config",
             HEAD CLUSTER "    certificate-authority: ca.crt\n" USERS "    token: t\n", 0600);
    snprintf(path, sizeof(path), "%s/config", f.path);
    setenv("KUBECONFIG", path, 1);
    assert_int_equal(kube_config_load(&c, NULL, NULL, NULL), 0);
    assert_int_equal(strncmp(c->ca_file, f.path, strlen(f.path)), 0);
    assert_int_equal(kube_config_load(&d, path, "d", NULL), 0);
    assert_string_equal(d->token, "t2");
    setenv("KUBECONFIG", "a:b", 1);
    assert_int_equal(kube_config_load(&none, NULL, NULL, &err), -ERR_UNSUPPORTED);
    assert_non_null(strstr(err.message, "--flatten"));
    assert_int_equal(kube_config_load(&none, "missing", NULL, &err), -ERR_NOT_FOUND);
    unsetenv("KUBECONFIG");
    folder_remove(&f);
}

/* --- plug-ins --------------------------------------------------------------------------------- */

/* A configuration whose plug-in is this script. */
static void with_script(struct kube_config **out, const struct folder *f, const char *script)
{
    char text[2048];
    char *folder = realpath(f->path, NULL);

    put_file(f, "login", script, 0700);
    snprintf(text, sizeof(text),
             HEAD CLUSTER "    certificate-authority-data: Q0E=\n" USERS
                          "    exec:\n      apiVersion: client.authentication.k8s.io/v1\n"
                          "      command: ./login\n      args: [one]\n"
                          "      env: [{name: EXTRA, value: two}]\n      provideClusterInfo: true\n"
                          "      installHint: install the login program\n");
    assert_int_equal(kube_config_read(out, str_of(text), folder, NULL, "file", NULL), 0);
    free(folder);
}

#define ANSWER(status)                                                               \
    "#!/bin/sh\necho '{\"apiVersion\":\"client.authentication.k8s.io/v1\",\"kind\":" \
    "\"ExecCredential\",\"status\":" status "}'\n"

static void runs_a_plug_in(void **state)
{
    CLEANUP(kube_config_freep) struct kube_config *c = NULL;
    CLEANUP(kube_credentials_freep) struct kube_credentials *out = NULL;
    CLEANUP(buf_fini) struct buf told = {0};
    struct folder f;
    char path[2 * PATH_BYTES];

    (void)state;
    folder_make(&f);
    with_script(&c, &f,
                "#!/bin/sh\ncd \"$(dirname \"$0\")\"\n"
                "echo \"$1 $EXTRA $KUBERNETES_EXEC_INFO $(cat)\" > told\n"
                "echo '{\"apiVersion\":\"client.authentication.k8s.io/v1\",\"status\":{\"token\":"
                "\"secret\",\"expirationTimestamp\":\"1970-01-01T01:00:00Z\"}}'\n");
    assert_int_equal(kube_credentials_load(&out, c, NULL, false, NOW_MS, NULL), 0);
    assert_string_equal(out->token, "secret");
    assert_int_equal(out->expires_ms, 3600000);
    snprintf(path, sizeof(path), "%s/told", f.path);
    buf_init(&told, 4096);
    assert_int_equal(file_read(path, &told, NULL), 0);
    assert_string_equal(
        buf_cstr(&told),
        "one two {\"apiVersion\":\"client.authentication.k8s.io/v1\",\"kind\":\"ExecCredential\","
        "\"spec\":{\"interactive\":false,\"cluster\":{\"server\":\"https://h:6443\","
        "\"certificate-authority-data\":\"Q0E=\"}}} \n");
    folder_remove(&f);
}

static int run_count(const struct folder *f)
{
    CLEANUP(buf_fini) struct buf text = {0};
    char path[2 * PATH_BYTES];

    snprintf(path, sizeof(path), "%s/count", f->path);
    buf_init(&text, 4096);
    if (file_read(path, &text, NULL) < 0)
        return 0;
    return (int)text.len;
}

static void runs_a_plug_in_only_when_it_must(void **state)
{
    CLEANUP(kube_config_freep) struct kube_config *c = NULL;
    struct kube_credentials *have = NULL;
    struct folder f;
    static const struct {
        int64_t now_ms;
        bool refused;
        int runs;
    } steps[] = {
        {NOW_MS, false, 1}, {NOW_MS, false, 1},  {3500000, false, 1},
        {3500000, true, 2}, {3580000, false, 3}, /* it ends in 20 s */
    };

    (void)state;
    folder_make(&f);
    with_script(&c, &f,
                "#!/bin/sh\nprintf x >> \"$(dirname \"$0\")/count\"\n"
                "echo '{\"apiVersion\":\"client.authentication.k8s.io/v1\",\"status\":{\"token\":"
                "\"secret\",\"expirationTimestamp\":\"1970-01-01T01:00:00Z\"}}'\n");
    for (size_t i = 0; i < ARRAY_COUNT(steps); i++) {
        struct kube_credentials *next = NULL;

        assert_int_equal(
            kube_credentials_load(&next, c, have, steps[i].refused, steps[i].now_ms, NULL), 0);
        kube_credentials_free(have);
        have = next;
        assert_string_equal(have->token, "secret");
        assert_int_equal(run_count(&f), steps[i].runs);
    }
    kube_credentials_free(have);
    folder_remove(&f);
}

static void reports_failing_plug_ins(void **state)
{
    static const struct {
        const char *script;
        int code;
        const char *says;
    } cases[] = {
        {"#!/bin/sh\nexit 7\n", -ERR_DENIED, "ended with status 7"},
        {"#!/bin/sh\nkill -9 $$\n", -ERR_DENIED, "ended by signal 9"},
        {"#!/nonexistent\n", -ERR_NOT_FOUND, "install the login program"},
        {"#!/bin/sh\necho '{\"token\": \"secret'\n", -ERR_SYNTAX, "no JSON"},
        {"#!/bin/sh\necho '{}'\n", -ERR_INVALID, "'apiVersion' is missing"},
        {"#!/bin/sh\necho '{\"apiVersion\":\"client.authentication.k8s.io/v1beta1\"}'\n",
         -ERR_INVALID, "apiVersion is not"},
        {ANSWER("{}"), -ERR_INVALID, "neither a token nor a certificate"},
        {ANSWER("{\"clientCertificateData\":\"c\"}"), -ERR_INVALID, "needed together"},
        {ANSWER("{\"token\":\"t\",\"expirationTimestamp\":\"soon\"}"), -ERR_INVALID, "no time"},
        {ANSWER("{\"token\":\"a b\"}"), -ERR_INVALID, "the token"},
        {"#!/bin/sh\nyes x | head -c 600000\n", -ERR_LIMIT, "its output"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        CLEANUP(kube_config_freep) struct kube_config *c = NULL;
        struct kube_credentials *out = NULL;
        struct folder f;
        struct err err = {0};

        folder_make(&f);
        with_script(&c, &f, cases[i].script);
        assert_int_equal(kube_credentials_load(&out, c, NULL, false, NOW_MS, &err), cases[i].code);
        if (strstr(err.message, cases[i].says) == NULL)
            fail_msg("case %zu says: %s", i, err.message);
        assert_null(strstr(err.message, "secret"));
        folder_remove(&f);
    }
}

/* It hangs with its output open, or closed, or leaves a child that hangs. */
static void ends_a_plug_in_that_hangs(void **state)
{
    static const char *const scripts[] = {
        "#!/bin/sh\nexec sleep 100\n",
        "#!/bin/sh\nexec >&-\nexec sleep 100\n",
        "#!/bin/sh\nsleep 100 &\nwait\n",
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(scripts); i++) {
        CLEANUP(kube_config_freep) struct kube_config *c = NULL;
        struct kube_credentials out = {0};
        struct folder f;
        struct err err = {0};

        folder_make(&f);
        with_script(&c, &f, scripts[i]);
        assert_int_equal(kube_exec_run(&out, c, 200, &err), -ERR_TIMEOUT);
        assert_non_null(strstr(err.message, "did not end in time"));
        folder_remove(&f);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_a_file),
        cmocka_unit_test(reads_a_plug_in),
        cmocka_unit_test(refuses_by_name),
        cmocka_unit_test(takes_http_to_this_machine),
        cmocka_unit_test(reads_the_account_of_a_pod),
        cmocka_unit_test(refuses_bad_tokens),
        cmocka_unit_test(finds_the_file),
        cmocka_unit_test(runs_a_plug_in),
        cmocka_unit_test(runs_a_plug_in_only_when_it_must),
        cmocka_unit_test(reports_failing_plug_ins),
        cmocka_unit_test(ends_a_plug_in_that_hangs),
    };

    json_begin();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
