/* SPDX-License-Identifier: Apache-2.0 */
/* The inside of reading a configuration, shared by its files: see kube_config.h. */
#ifndef SPATE_OPERATOR_KUBE_CONFIG_READER_H
#define SPATE_OPERATOR_KUBE_CONFIG_READER_H

#include "base/json.h"
#include "operator/kube/client/kube_config.h"

/* What one reading carries along. */
struct kube_config_reader {
    struct kube_config *config;
    const char *folder; /* where relative paths start */
    struct err *err;
};

/* Empty, with the namespace "default". */
int kube_config_new(struct kube_config **out, struct err *err);
/* https://, or http:// to this machine; a host, maybe a port and a path, nothing else. */
int kube_config_check_server(const char *server, struct err *err);

/* A copy that lives with the configuration; a NUL inside is refused. */
int kube_config_keep(struct kube_config_reader *r, struct str text, const char **out);

/* A member that may be missing or empty: then *out stays as it is. Text; a path, made absolute with
 * the folder; the decoded text of a member in base64. */
int kube_config_text(struct kube_config_reader *r, const json_t *object, const char *key,
                     const char **out);
int kube_config_path(struct kube_config_reader *r, const json_t *object, const char *key,
                     const char **out);
int kube_config_data(struct kube_config_reader *r, const json_t *object, const char *key,
                     const char **out);

/* A setting that would change who we are or whom we trust must not be passed over in silence. */
int kube_config_refuse(struct kube_config_reader *r, const json_t *object, const char *const *keys,
                       size_t count, const char *cure);

/* kube_config_user.c: the part "user". */
int kube_config_user(struct kube_config_reader *r, const json_t *user);

#endif
