/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is shown to the API server at the moment: token, client certificate, authorities. Loading
 * blocks (files, a plug-in), so it belongs on a worker thread; the result is immutable and is
 * swapped as a whole. Files are read anew each time; a plug-in runs only when what it gave expires
 * or was refused.
 */
#ifndef SPATE_OPERATOR_KUBE_CREDENTIALS_H
#define SPATE_OPERATOR_KUBE_CREDENTIALS_H

#include <stdint.h>

#include "operator/kube/client/kube_config.h"

enum {
    KUBE_CREDENTIAL_BYTES_MAX = 256 << 10, /* one file, or the answer of a plug-in */
    KUBE_CREDENTIAL_EARLY_MS = 30 * 1000, /* a plug-in's answer is renewed so long before it ends */
};

/* Owns its texts; NULL: none. */
struct kube_credentials {
    char *token;
    char *ca_pem;
    char *cert_pem;
    char *key_pem;
    int64_t expires_ms; /* Unix time; 0: never, or not known */
};

/* `old` (may be NULL) is what was valid before: a plug-in's part of it is taken over while it lasts
 * and was not `refused`. Messages never hold a secret. */
int kube_credentials_load(struct kube_credentials **out, const struct kube_config *config,
                          const struct kube_credentials *old, bool refused, int64_t now_ms,
                          struct err *err);
bool kube_credentials_equal(const struct kube_credentials *a, const struct kube_credentials *b);
void kube_credentials_free(struct kube_credentials *c); /* wipes; NULL is allowed */
void kube_credentials_freep(struct kube_credentials **c);

/* Runs the plug-in (posix_spawn, at most timeout_ms) and takes its answer into `out`, which must be
 * zeroed. Blocks. */
int kube_exec_run(struct kube_credentials *out, const struct kube_config *config,
                  uint64_t timeout_ms, struct err *err);
/* The plug-in's answer: an ExecCredential. Pure. */
int kube_exec_answer_read(struct kube_credentials *out, struct str text, const char *api_version,
                          struct err *err);

#endif
