# SPDX-License-Identifier: Apache-2.0
"""A release on nodes that enforce NetworkPolicies, from its installation on: what Spate needs gets through, and nothing else does.
Each test needs those before it."""
import json
import time
import unittest

import places
from places import product, rig

import release

QUICKSTART = product.ROOT / "docs" / "examples" / "quickstart-kubernetes.yaml"
KEY = "sk-spate-quickstart"  # that the quickstart has the digest of
WAIT_S = 90
WAIT = ("--wait", "--timeout", release.INSTALL_LIMIT)
OBSERVED_S = 5  # how long something is seen not to happen


def one_namespace(name):
    return {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": name}}}


POLICY = {"modelNamespaces": [places.MODELS],
          "scrapers": [one_namespace("monitoring") | {"podSelector": {"matchLabels": {"app": "prometheus"}}}]}

# Every way that is open, and no other: from a role to the (role, port) of another.
OPERATOR, LEDGER, AGENT, CLIENTS, METRICS = ("operator", 7001), ("ledger", 7002), ("agent", 8000), ("gateway", 8080), ("gateway", 9090)
NAMES = {("dns", "udp"), ("dns", "tcp")}
API_SERVER = {("api server", 443), ("api server", 6443)}
STRANGERS = {(name, port) for name in places.OTHERS for port in places.PORTS}
UNPROTECTED = STRANGERS | NAMES | API_SERVER
OPEN = {
    # An API server has no label: its ports are open to it wherever they are.
    "operator": {OPERATOR, LEDGER, AGENT} | NAMES | API_SERVER | {(name, port) for name, port in STRANGERS if port == 6443},
    "gateway": {OPERATOR, LEDGER, AGENT} | NAMES,
    "ledger": set(),
    "agent": set(),
    **{name: UNPROTECTED | {CLIENTS} for name in places.OTHERS},
}
OPEN["prometheus"] = OPEN["prometheus"] | {OPERATOR, LEDGER, AGENT, METRICS}


def ways(open_to):
    """As who_reaches_whom() finds them, where nobody is asked about himself: there is one ledger, one agent and one of each other."""
    alone = {"ledger", "agent", *places.OTHERS}
    return {(role, target) for role, all_targets in open_to.items() for target in all_targets
            if not (role == target[0] and role in alone)}


class Policies(unittest.TestCase):
    maxDiff = None

    @classmethod
    def setUpClass(cls):
        cls.release = release.Release("policies-test", with_policies=True)
        cls.addClassCleanup(cls.release.close)
        places.make_others(cls.release.cluster)
        began = time.monotonic()
        cls.release.install(values={"networkPolicy": POLICY})
        print(f"installed in {time.monotonic() - began:.1f} s")
        cls.kube = rig.Kube(cls.release.cluster, places.MODELS)

    def place(self, name):
        return next(place for place in places.places(self.release) if place.name == name)

    def set_policy(self, *arguments, gateways=2, **more):
        """The chart once more, with other values of networkPolicy."""
        self.release.helm("upgrade", self.release.name, release.CHART, *arguments,
                          values={"networkPolicy": POLICY | more, "gateway": {"replicas": gateways}})

    def assert_open(self, open_to):
        """Those ways and no others: as soon as the nodes have heard of it."""
        expected, found = ways(open_to), set()
        end = time.monotonic() + WAIT_S
        while found != expected and time.monotonic() < end:
            began = time.monotonic()
            found, tried = places.who_reaches_whom(self.release)
        self.assertEqual((found - expected, expected - found), (set(), set()), "what is open and should not be, what is not and should")
        print(f"{len(found)} of {len(tried)} ways are open; tried in {time.monotonic() - began:.1f} s")
        return tried

    def ask(self, name="client"):
        """An answer of the model to somebody's pod, by the service."""
        sent = {"address": self.release.gateway, "method": "POST", "path": "/v1/chat/completions",
                "headers": {"authorization": f"Bearer {KEY}", "content-type": "application/json"}, "body": json.dumps({
                    "model": f"{places.MODELS}/brook", "temperature": 0, "max_tokens": 200,
                    "messages": [{"role": "user", "content": "What is 345 + 678?"}]})}
        (status, text), = places.call(self.place(name), sent)
        return (status, json.loads(text)) if status == 200 else (status, text)

    def report(self, operator="deployment/spate-operator"):
        """The row of the quickstart's tenant."""
        said = self.release.kube.run("exec", operator, "--", "spate", "report", "--by", "tenant", "--json")
        return next((row for row in json.loads(said)["rows"] if row["tenant"] == "acme"), {"requests": 0})

    # The tests

    def test_1_a_pod_is_answered_from_zero_and_billed(self):
        self.kube.run("apply", "-f", QUICKSTART)
        self.assertEqual(product.pods_of(self.kube, "brook"), {})
        began = time.monotonic()
        _, answer = rig.wait_for(lambda: (lambda came: came if came[0] == 200 else None)(self.ask()), WAIT_S, "an answer")
        print(f"answered {time.monotonic() - began:.1f} s after the model was made")
        said = answer["choices"][0]["message"]
        self.assertIn("1023", said["reasoning_content"] + (said["content"] or ""))
        rig.wait_for(lambda: self.report()["requests"] == 1, WAIT_S, "the request in the report")
        row = self.report()
        self.assertEqual(row["input"] + row["cached"], answer["usage"]["prompt_tokens"])
        self.assertEqual(row["visible"] + row["reasoning"], answer["usage"]["completion_tokens"])

    def test_2_a_standby_relays_to_its_leader(self):
        leader = self.release.leader()
        operators = set(self.release.pods("operator"))
        self.assertEqual((len(operators), leader in operators), (2, True))
        for operator in operators:
            self.assertEqual(self.report(operator)["requests"], 1, f"{operator}, led by {leader}")

    def test_3_nobody_gets_anywhere_else(self):
        """Also, that a model's pod and the ledger open no connection at all."""
        self.kube.run("patch", "modeldeployment", "brook", "--type=merge", "--patch", '{"spec":{"scaling":{"minReplicas":1}}}')
        rig.wait_for(lambda: [rig.is_ready(pod) for pod in product.pods_of(self.kube, "brook").values()] == [True], WAIT_S, "its pod")
        tried = self.assert_open(OPEN)
        for role, target in (("agent", OPERATOR), ("ledger", ("dns", "udp")), ("impostor", AGENT), ("neighbour", LEDGER),
                             ("grafana", METRICS), ("gateway", ("api server", 443)), ("gateway", METRICS)):
            self.assertIn((role, target), tried)

    def test_4_a_scraper_reads_all_metrics(self):
        asked = []
        for place in places.places(self.release):
            port = {"operator": 7001, "gateway": 9090, "ledger": 7002, "agent": 8000}.get(place.role)
            if port:
                asked.append({"address": f"{place.address}:{port}", "method": "GET", "path": "/metrics"})
        self.assertEqual(len(asked), 6)
        for sent, (status, text) in zip(asked, places.call(self.place("prometheus"), *asked)):
            self.assertEqual((status, "# TYPE spate_" in text), (200, True), f"{sent}: {text[:300]}")

    def test_5_a_rule_that_is_missing_is_missed(self):
        """As where name servers listen at another port than the chart has been told: a new gateway finds nobody, until it may ask."""
        self.set_policy(dnsPorts=[5353])
        self.assert_open(OPEN | {name: OPEN[name] - NAMES for name in ("operator", "gateway")})
        self.set_policy(gateways=3, dnsPorts=[5353])  # a third, as the others would go on by what they know, even restarted
        rig.wait_for(lambda: self.runs("spate-gateway-2"), WAIT_S, "a new gateway")
        time.sleep(OBSERVED_S)
        self.assertFalse(rig.is_ready(self.release.pods("gateway")["spate-gateway-2"]))
        self.set_policy(*WAIT, gateways=3)
        self.assertTrue(rig.is_ready(self.release.pods("gateway")["spate-gateway-2"]))

    def runs(self, gateway):
        status = self.release.pods("gateway").get(gateway, {}).get("status", {})
        return any("running" in container["state"] for container in status.get("containerStatuses", ()))

    def test_6_clients_are_chosen_and_helm_test_is_one(self):
        self.set_policy(clients=[one_namespace("clients")], agentEgress=True)
        changed = {name: OPEN[name] - {CLIENTS} for name in places.OTHERS if name != "client"}
        self.assert_open(OPEN | changed | {"agent": UNPROTECTED})
        self.assertEqual((self.ask("client")[0], self.ask("neighbour")[0]), (200, 0))
        print(self.release.helm("test", self.release.name, "--timeout", release.INSTALL_LIMIT).splitlines()[-1])

    def test_7_without_policies_everybody_gets_everywhere(self):
        """Else all refusals above prove nothing."""
        self.set_policy(enabled=False)
        roles = {"operator", "gateway", "ledger", "agent", *places.OTHERS}
        everywhere = UNPROTECTED | {OPERATOR, LEDGER, AGENT, CLIENTS, METRICS}
        self.assert_open({role: everywhere for role in roles})


if __name__ == "__main__":
    unittest.main(verbosity=2, failfast=True)
