# SPDX-License-Identifier: Apache-2.0
"""Who is not one of us is refused on every port, path and method, with whatever token it can make. No NetworkPolicy helps: the
test cluster's network enforces none."""
import json
import unittest

import routes
import tokens
from foreign import bearer, declared_ports, listening_ports
from shared import MODEL, product, system

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "get", "X")
# What answers without a credential. Whoever adds a path to a program adds it here, or it is refused.
PROBES = {"/health", "/ready", "/live", "/ping", "/version", "/health/ready", "/health/live"}
OPEN = {"operator": {"/health", "/ready", "/metrics"}, "ledger": {"/health", "/metrics"},
        "agent": {"/health", "/ready", "/v1/health/ready", "/v1/health/live", "/live", "/ping", "/version", "/metrics"},
        "gateway": {prefix + path for prefix in ("", "/v1", "/beta", "/beta/v1") for path in PROBES}}
# Not where clients are: at a port that has nothing else.
MOVED = {prefix + "/metrics" for prefix in ("", "/v1", "/beta", "/beta/v1")}
CHAT = {"model": MODEL, "messages": [{"role": "user", "content": "What is 345 + 678?"}], "max_tokens": 4}
# Not one of them may be taken for a path that it resembles.
DISGUISES = ("/{path}", "{path}/", "{path}?", "{path}?a=/health", "/health/..{path}", "/metrics/../..{path}", "/./{bare}", "{escaped}",
             "{path}%00", "{path};/health", "{path}#/health", "//health{path}", "http://127.0.0.1{path}", "{upper}", "/v1{path}",
             "/beta{path}", "/v1/models/..{path}", "/v1/health/ready/../..{path}")


def body_of(path):
    """Such that only the credential can be wrong with it."""
    bodies = {"/internal/v1/token": {"gateway": "spate-gateway-0"}, "/internal/v1/usage": {"records": []},
              "/internal/v1/drain": {}}
    return json.dumps(bodies.get(path, CHAT))


def request(address, method, path, credential=None):
    headers = {"content-type": "application/vnd.spate.attempt+json", "x-spate-tenant": "victim"}
    return {"address": address, "method": method, "path": path, "headers": headers | (bearer(credential) if credential else {}),
            "body": body_of(path) if method not in ("GET", "HEAD") else None}


class Refusals(unittest.TestCase):
    def setUp(self):
        self.addresses = system.addresses()

    def test_the_list_of_paths_is_whole(self):
        self.assertEqual(routes.internal_paths_in_source() - routes.covered_paths(), set())
        self.assertEqual(set(self.addresses), set(routes.PROGRAMS))
        self.assertEqual({program: len(found) for program, found in self.addresses.items()},
                         {"operator": 2, "gateway": 2, "ledger": 1, "agent": 1})
        for program, open_paths in OPEN.items():
            self.assertLessEqual(open_paths, {route.path for route in routes.PROGRAMS[program]()}, program)

    def test_no_port_is_open_but_those_declared(self):
        for program, name, pod in system.pods():
            self.assertEqual(listening_ports(pod), declared_ports(pod), f"{program} {name}")

    def closed(self, program):
        return [route for route in routes.PROGRAMS[program]() if route.path not in OPEN[program]]

    def test_no_path_answers_a_stranger(self):
        """Each path with each method, on each pod; without a credential, and with those that the stranger really has."""
        for credential in (None, system.foreign.operator_token, system.foreign.server_token):
            asked = [(program, address, method, route) for program, addresses in self.addresses.items() for address in addresses
                     for route in self.closed(program) for method in METHODS]
            answers = system.foreign.call(*(request(address, method, route.path, credential) for _, address, method, route in asked))
            for (program, _, method, route), (status, text) in zip(asked, answers):
                there = 404 if program == "gateway" and route.path in MOVED else 401
                allowed = (there,) if method == route.method else (400, 401, 404, 405, 501)
                self.assertIn(status, allowed, f"{method} {route.path} of {program}: {text[:300]}")

    def test_the_port_for_metrics_has_nothing_else(self):
        for address in system.metrics_addresses()["gateway"]:
            for route in (*routes.PROGRAMS["gateway"](), routes.Route("GET", "/metrics")):
                (status, text), = system.foreign.call(request(address, route.method, route.path, product.KEY))
                self.assertEqual(status, 200 if route.path == "/metrics" else 404, f"{route}: {text[:300]}")

    def test_no_disguise_of_a_path_helps(self):
        asked = []
        for program, (address, *_) in self.addresses.items():
            for route in self.closed(program):
                escaped = "".join(f"%{ord(c):02x}" if c == "/" else c for c in route.path)
                for disguise in DISGUISES:
                    path = disguise.format(path=route.path, bare=route.path[1:], escaped=escaped, upper=route.path.upper())
                    asked.append((program, route, {"address": address, "raw": f"{route.method} {path} HTTP/1.1\r\nhost: x\r\n"
                                                   "connection: close\r\ncontent-length: 2\r\n\r\n{}"}))
        for (program, route, sent), (status, text) in zip(asked, system.foreign.call(*(row[2] for row in asked))):
            self.assertIn(status, (400, 401, 404, 405), f"{program}: {sent['raw'].splitlines()[0]}: {text[:300]}")

    def test_what_is_open_tells_no_secret(self):
        key = system.mint
        for program, addresses in self.addresses.items():
            asked = [request(address, "GET", path) for address in addresses for path in sorted(OPEN[program])]
            for sent, (status, text) in zip(asked, system.foreign.call(*asked)):
                self.assertEqual(status, 200, f"{program} {sent['path']}: {text[:300]}")
                for secret in (product.KEY, key.key.private.hex(), "eyJ"):
                    self.assertNotIn(secret, text)

    # Tokens

    def internal(self):
        """(program, its audience, address, route) of what takes the operator's tokens."""
        return [(program, program, address, route) for program, addresses in self.addresses.items() if program in tokens.AUDIENCES
                for address in addresses for route in self.closed(program) if route.path != "/internal/v1/token"]

    def test_forged_tokens_are_refused(self):
        forged = {audience: system.mint.forged(audience) for audience in tokens.AUDIENCES}
        asked = [(what, program, route, request(address, route.method, route.path, token))
                 for program, audience, address, route in self.internal() for what, token in forged[audience].items()]
        for (what, program, route, _), (status, text) in zip(asked, system.foreign.call(*(row[3] for row in asked))):
            self.assertEqual(status, 401, f"{what}, {route.method} {route.path} of {program}: {text[:300]}")

    def test_true_tokens_are_not(self):
        """Else the test above proves nothing: the same requests, signed as the operator signs."""
        harmless = ("/internal/v1/runs", "/internal/v1/prices", "/internal/v1/report", "/internal/v1/status", "/v1/models")
        asked = [(program, route, request(address, "GET", route.path, system.mint.good(audience)))
                 for program, audience, address, route in self.internal() if route.method == "GET" and route.path in harmless]
        self.assertEqual({program for program, _, _ in asked}, {"ledger", "agent"})
        answers = system.foreign.call(*(row[2] for row in asked))
        self.assertEqual([status for status, _ in answers], [200] * len(asked), answers)
        operator, = {address for address in self.addresses["operator"][:1]}
        (status, text), = system.foreign.call(request(operator, "GET", "/internal/v1/routes", system.mint.good("operator")))
        self.assertEqual((status, "run: the id" in text), (400, True), text)

    def test_only_our_gateways_get_tokens(self):
        """Its pod bears a gateway's name, label and account's name, and its token is of the right audience: only the namespace
        is another."""
        kube, stranger = system.release.kube, system.foreign
        account = [kube.run("create", "token", "spate-gateway", *arguments).strip() for arguments in (
            ("--audience", "spate-operator"), ("--audience", "other", "--bound-object-kind", "Pod", "--bound-object-name", "spate-gateway-0"))]
        for address in self.addresses["operator"]:
            for credential in (stranger.operator_token, stranger.server_token, *account, system.mint.good("operator"), "nonsense"):
                (status, text), = stranger.call(request(address, "POST", "/internal/v1/token", credential))
                self.assertEqual(status, 401, text)
                self.assertNotIn("tokens", json.loads(text), text)
        bound = kube.run("create", "token", "spate-gateway", "--audience", "spate-operator", "--bound-object-kind", "Pod",
                         "--bound-object-name", "spate-gateway-0").strip()
        (status, text), = stranger.call(request(self.addresses["operator"][0], "POST", "/internal/v1/token", bound))
        self.assertEqual((status, sorted(json.loads(text)["tokens"])), (200, sorted(tokens.AUDIENCES)))
