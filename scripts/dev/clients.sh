# SPDX-License-Identifier: Apache-2.0
# The official OpenAI clients of Python and Node, unmodified, against a real gateway with agents.

test_clients_all() {
    if [ -n "$(packages_missing clients)" ]; then
        if in_ci; then
            dev_deps clients
        else
            test_missing clients "install $(packages_missing clients | tr '\n' ' ')by ./dev deps clients"
            return
        fi
    fi
    SPATE_BIN=$SPATE_ROOT/build/dev/bin test_sum 'official clients' tests/clients/run.sh
}
