# SPDX-License-Identifier: Apache-2.0
# Tests of the chart and of the images, in tests/helm: with helm 3 and 4, and with an API server.
. scripts/dev/deps.sh

test_helm_all() {
    if [ "$(id -u)" -ne 0 ]; then
        test_missing 'helm tests' 'they need the rights of root, for an API server in a namespace of its own'
        return
    fi
    dev_deps cluster
    test_ctest dev helm 1
}
