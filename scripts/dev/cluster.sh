# SPDX-License-Identifier: Apache-2.0
# ./dev cluster: a real Kubernetes cluster on this machine, for tests. What it does is Python, in
# tests/cluster/testbed; here is what that needs from the system. And the tests that use it: those of
# tests/cluster, and of chart and images in tests/helm.
. scripts/dev/deps.sh

dev_cluster() {
    dev_deps cluster
    PYTHONPATH=$SPATE_ROOT/tests/cluster exec python3 -m testbed "$@"
}

# Three at a time: they wait more than they work. One has three nodes, and the inotify instances of a host do for four of those.
test_cluster_all() {
    test_cluster_label cluster '^(cluster|helm)$' 3
}

# A hundred long streams, and leaders that are killed and stopped.
test_loss_all() {
    test_cluster_label loss '^loss$' 1
}

# test_cluster_label PART LABELS JOBS
test_cluster_label() {
    if [ "$(id -u)" -ne 0 ]; then
        test_missing "$1 tests" 'they need the rights of root'
        return
    fi
    if ! making_wait programs; then
        test_failed "$1 tests: Kubernetes' programs were not built"
        return
    fi
    test_ctest_log "build/dev/ctest-$1.log" "$1" --test-dir build/dev -L "$2" -j "$3"
}
