/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which API server, and with what credentials: from a kubeconfig file or from the pod that we run
 * in. Reading it opens no other file and starts nothing: kube_credentials.h does that, again and
 * again, since tokens and certificates are rotated.
 *
 * The server's certificate is always verified: insecure-skip-tls-verify is refused. http:// is
 * taken only to this machine itself (kubectl proxy). Settings that we know but do not obey
 * (username, auth-provider, impersonation, proxy-url, tls-server-name) are refused by name.
 */
#ifndef SPATE_OPERATOR_KUBE_CONFIG_H
#define SPATE_OPERATOR_KUBE_CONFIG_H

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"

enum {
    KUBE_CONFIG_BYTES_MAX = 1 << 20,
    KUBE_EXEC_WORDS_MAX = 64, /* arguments, and variables, of a credential plug-in */
    KUBE_EXEC_TIMEOUT_MS = 30 * 1000,
};

/* A credential plug-in of client.authentication.k8s.io/v1 (or v1beta1, which is the same here). */
struct kube_exec {
    const char *api_version;
    const char *command;      /* with a slash: a path; else looked up in PATH */
    const char *const *args;  /* NULL at the end, without the command */
    const char *const *env;   /* "NAME=value", NULL at the end: added to ours */
    const char *install_hint; /* "": none */
    bool provide_cluster_info;
};

/* Immutable. All texts live as long as it. NULL: not given. */
struct kube_config {
    struct arena arena;
    const char *server; /* "https://host:port", maybe with a path, without a slash at its end */
    const char *name_space;
    const char *ca_pem, *ca_file; /* neither: the system's authorities */
    const char *cert_pem, *cert_file;
    const char *key_pem, *key_file;
    const char *token, *token_file; /* both: the file wins, the token is its first value */
    const struct kube_exec *exec;
    bool compress; /* ask for gzip */
};

/* From the text of a kubeconfig. Relative paths in it start at `folder`. context NULL: the current
 * one. `what` names the input in messages. The caller owns *out. */
int kube_config_read(struct kube_config **out, struct str text, const char *folder,
                     const char *context, const char *what, struct err *err);

/* From a file; path NULL: $KUBECONFIG (one file), else ~/.kube/config. Blocks. */
int kube_config_load(struct kube_config **out, const char *path, const char *context,
                     struct err *err);

/* Of the pod we run in: KUBERNETES_SERVICE_HOST and _PORT, and the service account mounted at
 * `folder` (NULL: the usual place). -ERR_NOT_FOUND outside a pod. Blocks. */
int kube_config_in_cluster(struct kube_config **out, const char *folder, struct err *err);

void kube_config_free(struct kube_config *config); /* NULL is allowed */
void kube_config_freep(struct kube_config **config);

#endif
