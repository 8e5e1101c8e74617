# SPDX-License-Identifier: Apache-2.0
# ./dev cluster: a real Kubernetes cluster on this machine, for tests. What it does is Python, in
# tests/cluster/testbed; here is what that needs from the system.
. scripts/dev/deps.sh

dev_cluster() {
    dev_deps cluster
    PYTHONPATH=$SPATE_ROOT/tests/cluster exec python3 -m testbed "$@"
}

test_cluster_all() {
    if [ "$(id -u)" -ne 0 ]; then
        test_missing 'cluster tests' 'they need the rights of root'
        return
    fi
    dev_deps cluster
    test_ctest dev cluster 1
}
