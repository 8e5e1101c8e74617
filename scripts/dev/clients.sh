# SPDX-License-Identifier: Apache-2.0
# The official OpenAI clients of Python and Node, unmodified, against a real gateway with agents.

test_clients_all() {
    if [ -n "$(packages_missing clients)" ]; then
        test_missing clients "./dev deps clients installs $(packages_missing clients | tr '\n' ' ')"
        return
    fi
    SPATE_BIN=$SPATE_ROOT/build/dev/bin test_sum 'official clients' tests/clients/run.sh
}
