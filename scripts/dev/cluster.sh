# SPDX-License-Identifier: Apache-2.0
# ./dev cluster: a real Kubernetes cluster on this machine, for tests. What it does is Python, in
# tests/cluster/testbed; here is what that needs from the system. And the tests that use it: those of
# tests/cluster, and of chart and images in tests/helm.
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
    # Two at a time: they wait more than they work.
    test_ctest_log build/dev/ctest-cluster.log cluster --test-dir build/dev -L '^(cluster|helm)$' -j 2
}
