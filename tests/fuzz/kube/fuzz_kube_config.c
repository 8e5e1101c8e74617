/* SPDX-License-Identifier: Apache-2.0 */
/* kubeconfig files and the answers of credential plug-ins: whatever comes, only what is checked is
 * taken. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "fuzz_target.h"
#include "operator/kube/client/kube_credentials.h"

static void check_config(const struct kube_config *c)
{
    if (strncmp(c->server, "https://", 8) != 0 && strncmp(c->server, "http://", 7) != 0)
        abort();
    if (strpbrk(c->server, "\r\n @?#") != NULL || !str_is_dns_label(str_of(c->name_space)))
        abort();
    if ((c->cert_pem != NULL || c->cert_file != NULL) !=
        (c->key_pem != NULL || c->key_file != NULL))
        abort();
    if (c->exec != NULL && (c->exec->command == NULL || c->exec->args == NULL))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str text = {(const char *)data, size};
    CLEANUP(kube_credentials_freep) struct kube_credentials *c = mem_alloc(sizeof(*c));
    struct kube_config *config = NULL;
    struct err err = {0};

    if (c == NULL)
        abort();
    if (kube_config_read(&config, text, "/folder", NULL, "input", &err) == 0) {
        check_config(config);
        kube_config_free(config);
    } else if (config != NULL || err.message[0] == '\0') {
        abort();
    }
    if (kube_exec_answer_read(c, text, "client.authentication.k8s.io/v1", &err) == 0 &&
        c->token == NULL && c->cert_pem == NULL)
        abort();
    return 0;
}
