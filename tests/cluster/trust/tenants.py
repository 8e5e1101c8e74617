# SPDX-License-Identifier: Apache-2.0
"""Who says that he is another tenant is not believed: neither by the gateway nor by an agent."""
import json
import re
import unittest

import routes
from foreign import bearer
from shared import MODEL, product, rig, system

QUESTION = [{"role": "user", "content": "What is 345 + 678?"}]
BODY = {"model": MODEL, "messages": QUESTION, "max_tokens": 16, "temperature": 0, "seed": 7}
ATTEMPT = "application/vnd.spate.attempt+json"
BILLED_S = 60
# Texts in headers and bodies that say who pays; each is tried as well with every name of the envelope, which is read from its source.
HEADERS = ("x-spate-tenant", "x-spate-key", "x-spate-key-id", "x-spate-priority", "x-spate-price-version", "x-tenant", "x-tenant-id",
           "x-forwarded-user", "x-remote-user", "x-remote-group", "x-spate-attempt", "x-openai-organization", "openai-organization",
           "openai-project", "spate-tenant", "tenant")


def envelope_names():
    """What a gateway tells an agent of an attempt, as wire/stream.c writes it."""
    writer = routes.source("wire/stream.c").split("void stream_attempt_write")[1].split("\n}")[0]
    names = set(re.findall(r'_(?:put_\w+|key)\(\w+, "(\w+)"', writer))
    assert {"tenant", "key_id", "price_version"} <= names, names
    return names


def envelope():
    """An attempt that a gateway might have written, for a tenant that has asked nothing."""
    return {"request_id": "01arz3ndektsv4rrffq69g5fav", "attempt": 1, "tenant": "victim", "key_id": "k1", "model": MODEL,
            "public_model": MODEL, "completion_id": "chatcmpl-x", "created": 1, "seed": "7", "price_version": 1, "admitted_ms": 1,
            "cache_salt": 1, "priority": 1000, "digest": "", "cached_tokens": -1, "output": []}


class Tenants(unittest.TestCase):
    def billed(self):
        """Of each tenant and key, the tokens that the ledger has seen."""
        ledger, = system.addresses()["ledger"]
        status, report = product.request_json(ledger, "GET", "/internal/v1/report?group_by=tenant,key", token=system.mint.good("ledger"))
        self.assertEqual(status, 200, report)
        return {(row["tenant"], row["key"]): tokens_of(row) for row in report["rows"]}

    def ask(self, address, headers=(), **more):
        body = json.dumps(BODY | more)
        (status, text), = system.foreign.call({"address": address, "method": "POST", "path": "/v1/chat/completions", "body": body,
                                               "headers": {"content-type": "application/json"} | bearer(product.KEY) | dict(headers)})
        self.assertEqual(status, 200, text)
        return json.loads(text)

    def test_a_client_is_billed_by_its_key_whatever_it_says(self):
        gateway = system.addresses()["gateway"][0]
        plain = self.ask(gateway)
        rig.wait_for(lambda: self.billed().get(("acme", "k1"), 0) > 0, BILLED_S, "the first answers in the ledger")
        before = self.settled()
        said = {name: "victim" for name in envelope_names()} | {"tenant": "victim", "spate": envelope(), "user": "victim",
                                                                "metadata": {"tenant": "victim"}}
        forged = [self.ask(gateway, {name: "victim"}) for name in HEADERS]
        forged.append(self.ask(gateway, {name: "victim" for name in (*HEADERS, "x-request-id")}, **(said | BODY)))
        for answer in forged:
            self.assertEqual(answer["choices"], plain["choices"])
            for count in ("prompt_tokens", "completion_tokens"):
                self.assertEqual(answer["usage"][count], plain["usage"][count])
        spent = sum(answer["usage"]["total_tokens"] for answer in forged)
        rig.wait_for(lambda: self.billed()[("acme", "k1")] == before[("acme", "k1")] + spent, BILLED_S, f"{spent} tokens of acme")
        self.assertEqual(set(self.billed()), set(before))  # disks.py has a tenant of its own
        self.assertNotIn("victim", {tenant for tenant, _ in before})

    def settled(self):
        """When nothing is on its way any more."""
        seen = []

        def same():
            seen.append(self.billed())
            return len(seen) > 2 and seen[-1] == seen[-2] == seen[-3]

        rig.wait_for(same, BILLED_S, "the ledger to rest")
        return seen[-1]

    def test_an_envelope_of_a_client_is_no_envelope(self):
        """Sent as a gateway would send it, but to a gateway, with a good key: it is a body without messages."""
        gateway = system.addresses()["gateway"][0]
        body = json.dumps({"spate": envelope(), "request": BODY})
        (status, text), = system.foreign.call({"address": gateway, "method": "POST", "path": "/v1/chat/completions", "body": body,
                                               "headers": {"content-type": ATTEMPT} | bearer(product.KEY)})
        self.assertEqual(status, 400, text)

    def test_an_agent_takes_no_envelope_of_a_stranger(self):
        agent, = system.addresses()["agent"]
        before, counted = self.settled(), self.agent_tokens(agent)
        body = json.dumps({"spate": envelope(), "request": json.dumps(BODY)})
        tokens = (None, product.KEY, system.foreign.operator_token, system.mint.good("ledger"), system.mint.good("operator"),
                  *system.mint.forged("agent").values())
        asked = [{"address": agent, "method": "POST", "path": "/v1/chat/completions", "body": body,
                  "headers": {"content-type": ATTEMPT} | {name: "acme" for name in HEADERS} | (bearer(token) if token else {})}
                 for token in tokens]
        for status, text in system.foreign.call(*asked):
            self.assertEqual(status, 401, text)
            self.assertNotIn("choices", text)
        self.assertEqual(self.agent_tokens(agent), counted)
        self.assertEqual(self.settled(), before)

    def agent_tokens(self, agent):
        (_, text), = system.foreign.call({"address": agent, "method": "GET", "path": "/metrics"})
        return [line for line in text.splitlines() if re.match(r"spate_\w*tokens\w*_total", line)]


def tokens_of(row):
    return sum(row[part] for part in ("input", "cached", "visible", "reasoning"))
