# SPDX-License-Identifier: Apache-2.0
# The official OpenAI clients of Python and Node, unmodified, against a whole Spate on this machine.
# They are installed once into the cache, by pip and npm as they are set up here.
. scripts/dev/cache.sh
. scripts/dev/stack.sh

test_clients_all() {
    local key rate_key

    if [ -n "$(packages_missing clients)" ]; then
        if in_ci; then
            dev_deps clients
        else
            test_missing clients "install $(packages_missing clients | tr '\n' ' ')by ./dev deps clients"
            return
        fi
    fi
    cache_venv tests/clients/requirements.txt
    cache_node tests/clients/package.json
    stack_up
    stack_apply docs/examples/quickstart.yaml
    key=$(stack_spate tenant key create acme)
    stack_spate tenant create limited --namespace default --requests-per-minute 2 >/dev/null
    rate_key=$(stack_spate tenant key create limited)
    export OPENAI_BASE_URL=$STACK_GATEWAY/v1 OPENAI_API_KEY=$key SPATE_RATE_KEY=$rate_key
    test_sum "python client" "$CACHE_VENV/bin/python" tests/clients/client.py
    stack_spate tenant create limited-too --namespace default --requests-per-minute 2 >/dev/null
    SPATE_RATE_KEY=$(stack_spate tenant key create limited-too)
    SPATE_NODE_MODULES=$CACHE_NODE test_sum "node client" node tests/clients/client.mjs
    unset OPENAI_BASE_URL OPENAI_API_KEY SPATE_RATE_KEY
    stack_down
}
