# SPDX-License-Identifier: Apache-2.0
"""The lines of the conformance list about credentials, TLS, leases and writing, as test_conformance.py does the others."""
import copy
import json
import os
import ssl
import subprocess
import time
import unittest

from api_server import ApiServer
from conformance import QUICK, Case
from kube_tool import Tool, temporary_folder


def make_authority(folder, name):
    """A CA, and a certificate of 127.0.0.1 by it: returns the two paths of the server, and the CA's."""
    def run(*arguments):
        subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)
    curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    run("req", "-x509", *curve, "-keyout", f"{name}-ca.key", "-out", f"{name}-ca.crt", "-days", "2", "-subj", f"/CN={name}")
    run("req", *curve, "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", "/CN=server")
    with open(os.path.join(folder, "san"), "w", encoding="utf-8") as file:
        file.write("subjectAltName=IP:127.0.0.1\n")
    run("x509", "-req", "-in", f"{name}.csr", "-CA", f"{name}-ca.crt", "-CAkey", f"{name}-ca.key", "-CAcreateserial",
        "-out", f"{name}.crt", "-days", "2", "-extfile", "san")
    return [os.path.join(folder, f"{name}{end}") for end in (".crt", ".key", "-ca.crt")]


class Secured(unittest.TestCase):
    """As in a pod: TLS, a token file, a CA file."""

    def setUp(self):
        self.folder = temporary_folder(self)
        self.account = temporary_folder(self)
        certificate, key, self.ca = make_authority(self.folder, "first")
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(certificate, key)
        self.server = ApiServer(self.context)
        self.addCleanup(self.server.close)
        self.server.token = "token-1"
        self.write("namespace", "team-a\n")
        self.write("token", "token-1\n")
        with open(self.ca, encoding="utf-8") as file:
            self.write("ca.crt", file.read())
        self.server.put_map("a", "x")
        os.environ |= {"KUBERNETES_SERVICE_HOST": "127.0.0.1", "KUBERNETES_SERVICE_PORT": str(self.server.port)}

    def write(self, name, text):
        path = os.path.join(self.account, name)
        with open(path + ".new", "w", encoding="utf-8") as file:
            file.write(text)
        os.rename(path + ".new", path)

    def tool(self, **opening):
        tool = Tool(in_cluster=self.account, **opening)
        self.addCleanup(tool.end)
        self.assertEqual(tool.opened["namespace"], "team-a")
        return tool

    def test_12_401_then_token_rotated(self):
        tool = self.tool(credentials_ms=3_600_000)  # only the 401 makes it look
        tool.watch(times=QUICK)
        self.write("token", "token-2\n")
        self.server.token = "token-2"
        answer = tool.request("get", "v1/configmaps", namespace="n", name="a")
        self.assertEqual(answer["http"], 200)
        self.server.token = "token-3"  # not in the file yet
        self.assertEqual(tool.request("get", "v1/configmaps", namespace="n", name="a")["http"], 401)
        self.server.drop_watches()
        tool.wait("TROUBLE", code="denied")
        self.write("token", "token-3\n")
        self.server.put_map("b", "y")
        self.assertEqual(tool.wait_store(self.server.versions)["lists"], 1)

    def test_12_token_rotated_before_it_ends(self):
        tool = self.tool(credentials_ms=50)
        tool.watch(times=QUICK)
        self.write("token", "token-2\n")
        time.sleep(0.5)
        self.server.token = "token-2"
        tool.request("get", "v1/configmaps", namespace="n", name="a")
        self.assertEqual(self.server.requests[-1].headers["authorization"], "Bearer token-2")

    def test_12_token_file_gone_for_a_while(self):
        tool = self.tool(credentials_ms=50)
        tool.watch(times=QUICK)
        os.rename(os.path.join(self.account, "token"), os.path.join(self.account, "hidden"))
        self.assertIn("token", tool.wait("API_TROUBLE")["message"])
        self.assertEqual(tool.request("get", "v1/configmaps", namespace="n", name="a")["http"], 200)
        os.rename(os.path.join(self.account, "hidden"), os.path.join(self.account, "token"))
        self.server.put_map("b", "y")
        tool.wait_store(self.server.versions)

    def test_12_no_token_at_the_start(self):
        os.unlink(os.path.join(self.account, "token"))
        tool = self.tool(credentials_ms=100)
        answer = tool.request("get", "v1/configmaps", namespace="n", name="a")
        self.assertEqual((answer["http"], answer["code"]), (0, "not_found"))
        self.write("token", "token-1")
        tool.watch(times=QUICK)
        tool.wait_store(self.server.versions)

    def test_21_certificate_rotated(self):
        tool = self.tool(credentials_ms=50)
        tool.watch(times=QUICK)
        certificate, key, new_ca = make_authority(self.folder, "second")
        fresh = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        fresh.load_cert_chain(certificate, key)
        self.server.context = fresh  # only now: a thread that shakes hands by it meanwhile would end all of Python
        self.server.drop_connections()
        tool.wait("TROUBLE")  # nobody vouches for the new certificate yet
        requests = len(self.server.requests)
        tool.wait("TROUBLE")
        self.assertEqual(len(self.server.requests), requests)  # so it is told nothing
        with open(new_ca, encoding="utf-8") as file:
            self.write("ca.crt", file.read())
        self.server.put_map("b", "y")
        self.assertEqual(tool.wait_store(self.server.versions)["lists"], 1)

    def test_client_certificate(self):
        certificate, key, ca = make_authority(self.folder, "client")
        self.server.context.verify_mode = ssl.CERT_REQUIRED
        self.server.context.load_verify_locations(ca)
        self.server.token = None
        path = os.path.join(self.folder, "config")
        config = {"current-context": "c", "contexts": [{"name": "c", "context": {"cluster": "k", "user": "u"}}],
                  "clusters": [{"name": "k", "cluster": {"server": f"https://127.0.0.1:{self.server.port}",
                                                         "certificate-authority": "first-ca.crt"}}],
                  "users": [{"name": "u", "user": {"client-certificate": certificate, "client-key": key}}]}
        with open(path, "w", encoding="utf-8") as file:
            json.dump(config, file)
        tool = Tool(kubeconfig=path)
        self.addCleanup(tool.end)
        self.assertEqual(tool.request("get", "v1/configmaps", namespace="n", name="a")["http"], 200)

    def test_12_401_then_plug_in_runs_again(self):
        """A credential plug-in whose token does not say when it ends."""
        script = os.path.join(self.folder, "login")
        with open(script, "w", encoding="utf-8") as file:
            file.write('#!/bin/sh\ncd "$(dirname "$0")" && printf x >>runs && cat answer\n')
        os.chmod(script, 0o700)
        self.answer_token("token-1")
        path = os.path.join(self.folder, "config")
        plug_in = {"apiVersion": "client.authentication.k8s.io/v1", "command": "./login", "interactiveMode": "Never"}
        config = {"current-context": "c", "contexts": [{"name": "c", "context": {"cluster": "k", "user": "u"}}],
                  "clusters": [{"name": "k", "cluster": {"server": f"https://127.0.0.1:{self.server.port}",
                                                         "certificate-authority": "first-ca.crt"}}],
                  "users": [{"name": "u", "user": {"exec": plug_in}}]}
        with open(path, "w", encoding="utf-8") as file:
            json.dump(config, file)
        tool = Tool(kubeconfig=path, credentials_ms=50)
        self.addCleanup(tool.end)
        tool.watch(times=QUICK)
        time.sleep(0.5)
        self.assertEqual(os.path.getsize(os.path.join(self.folder, "runs")), 1)
        self.answer_token("token-2")
        self.server.token = "token-2"
        self.server.drop_watches()
        self.server.put_map("b", "y")
        self.assertEqual(tool.wait_store(self.server.versions)["lists"], 1)
        self.assertEqual(os.path.getsize(os.path.join(self.folder, "runs")), 2)

    def answer_token(self, token):
        with open(os.path.join(self.folder, "answer"), "w", encoding="utf-8") as file:
            json.dump({"apiVersion": "client.authentication.k8s.io/v1", "status": {"token": token}}, file)

    def test_unknown_authority_is_refused(self):
        _, _, other = make_authority(self.folder, "other")
        with open(other, encoding="utf-8") as file:
            self.write("ca.crt", file.read())
        answer = self.tool().request("get", "v1/configmaps", namespace="n", name="a")
        self.assertEqual((answer["http"], answer["code"]), (0, "network"))
        self.assertEqual(self.server.requests, [])


class Writing(Case):
    def elect(self, tool, identity, **times):
        tool.do("elect", namespace="n", name="lead", identity=identity,
                **({"lease_ms": 2000, "renew_ms": 1200, "retry_ms": 200} | times))

    def test_22_lease_lost_mid_reconcile(self):
        first, second = self.tool(), self.tool()
        self.elect(first, "one")
        self.assertEqual(first.wait("LEADING")["term"], 1)
        self.elect(second, "two")
        self.assertEqual(second.wait("LEADER")["identity"], "one")
        first.stop()  # between its check and its write
        frozen = time.monotonic()
        self.assertEqual(second.wait("LEADING")["term"], 2)
        self.assertGreaterEqual(time.monotonic() - frozen, 1.3)
        self.assertLess(time.monotonic() - frozen, 5)
        first.do("sure")
        first.go_on()
        self.assertEqual(first.wait("SURE")["ms"], 0)
        if not any(e["event"] == "STOPPED" for e in first.seen):
            first.wait("STOPPED")
        self.assertGreater(second.ask("sure", "SURE")["ms"], 0)

    def test_lease_released_is_taken_at_once(self):
        first, second = self.tool(), self.tool()
        self.elect(first, "one", lease_ms=60000, renew_ms=30000, retry_ms=200)
        first.wait("LEADING")
        self.elect(second, "two", lease_ms=60000, renew_ms=30000, retry_ms=200)
        second.wait("LEADER", identity="one")
        first.do("release")
        first.wait("STOPPED")
        first.wait("RELEASED")
        self.assertEqual(second.wait("LEADING", 5)["term"], 2)

    def test_lease_without_a_server_is_given_up(self):
        tool = self.tool()
        self.elect(tool, "one")
        tool.wait("LEADING")
        self.server.frozen = True
        self.server.drop_connections()
        tool.wait("STOPPED", 3)
        self.assertEqual(tool.ask("sure", "SURE")["ms"], 0)
        self.server.frozen = False
        self.server.drop_connections()
        self.assertEqual(tool.wait("LEADING")["term"], 2)

    def test_lease_survives_half_open_connections(self):
        tool = self.tool()
        for number in range(8):  # several connections are kept open
            tool.do("request", id=f"r{number}", verb="get", resource="v1/configmaps", namespace="n", name="a")
        for _ in range(8):
            tool.wait("ANSWER")
        self.elect(tool, "one")
        tool.wait("LEADING")
        self.assertGreater(len(self.server.connections), 3)
        self.server.forget_connections()
        time.sleep(3)
        self.assertGreater(tool.ask("sure", "SURE")["ms"], 0)
        self.assertNotIn("STOPPED", [e["event"] for e in tool.seen])

    def test_deleted_lease_is_another_installation(self):
        tool = self.tool()
        self.elect(tool, "one")
        before = tool.wait("LEADING")
        with self.server.condition:
            lease = self.server.objects["leases", "n", "lead"]
            self.server.change("DELETED", "leases", lease)
        tool.wait("STOPPED")
        after = tool.wait("LEADING")
        self.assertEqual((before["term"], after["term"]), (1, 1))
        self.assertNotEqual(before["uid"], after["uid"])

    def test_watch_passes_by_requests_that_wait(self):
        self.server.put_map("a", "x")
        tool = self.tool(rate_per_s=5, burst=1)
        for number in range(200):
            tool.do("request", id=f"r{number}", verb="get", resource="v1/configmaps", namespace="n", name="a")
        tool.watch(times=QUICK)
        self.assertLess(len(self.asked(lambda r: r.name == "a")), 100)

    def test_23_end_during_a_patch(self):
        with self.server.condition:
            self.server.create("configmaps", {"metadata": {"name": "a"}}, "n")
        tool = self.tool()
        self.server.on(lambda r: r.method == "PATCH", lambda connection, request: time.sleep(5) or False)
        tool.do("request", id="r", verb="patch", resource="v1/configmaps", namespace="n", name="a",
                body={"data": {"value": "2"}})
        self.wait_for(lambda: self.asked(lambda r: r.method == "PATCH"), "the patch")
        begun = time.monotonic()
        self.assertEqual(tool.quit(), 0)
        self.assertLess(time.monotonic() - begun, 3)

    def test_24_conflict_on_status_update(self):
        with self.server.condition:
            self.server.create("models", {"metadata": {"name": "a"}, "spec": {"x": 1}}, "n")
        tool = self.tool()
        where = {"resource": "spate.dev/v1alpha1/models", "namespace": "n", "name": "a"}
        seen = tool.request("get", **where)["body"]
        with self.server.condition:
            self.server.change("MODIFIED", "models", copy.deepcopy(seen) | {"spec": {"x": 2}})
        mine = dict(seen, status={"ready": True})
        refused = tool.request("update", subresource="status", body=mine, **where)
        self.assertEqual((refused["http"], refused["code"], refused["reason"]), (409, "conflict", "Conflict"))
        mine = dict(tool.request("get", **where)["body"], status={"ready": True})
        written = tool.request("update", subresource="status", body=mine, **where)
        self.assertEqual(written["http"], 200)
        self.assertEqual(self.server.objects["models", "n", "a"]["spec"], {"x": 2})
        self.assertEqual(self.server.objects["models", "n", "a"]["status"], {"ready": True})

    def test_hostile_names_reach_no_request(self):
        tool = self.tool()
        for name in ("..", "a/b", "a%2fb", "a?x", "a\r\nX: y", "a b", "A", "\u00e4"):
            answer = tool.request("get", "v1/configmaps", namespace="n", name=name)
            self.assertEqual((answer["http"], answer["code"]), (0, "invalid"))
            answer = tool.request("get", "v1/configmaps", namespace=name, name="a")
            self.assertEqual((answer["http"], answer["code"]), (0, "invalid"))
        self.assertEqual(self.server.requests, [])

    def test_events_are_merged(self):
        tool = self.tool()
        for _ in range(50):
            tool.do("record", api_version="v1", kind="ConfigMap", namespace="n", name="a", uid="u", reason="ScaledUp",
                    action="Scaling", note="more")
        tool.do("record", api_version="v1", kind="ConfigMap", namespace="n", name="a", uid="u", reason="Other",
                action="Scaling", note="more")
        self.wait_for(lambda: tool.ask("recorded", "RECORDED")["created"] == 2, "the Events")
        counts = tool.ask("recorded", "RECORDED")
        self.assertEqual((counts["recorded"], counts["merged"], counts["dropped"]), (51, 49, 0))
        self.assertLessEqual(len(self.server.requests), 3)


if __name__ == "__main__":
    unittest.main(verbosity=2)
