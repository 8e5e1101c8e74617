# SPDX-License-Identifier: Apache-2.0
"""
The Kubernetes client against a real API server: lists and watches, apply, status, preconditions,
leases, Events, tokens and rights. And the scripted API server of its unit tests against the real
one: they answer alike. Uses the cluster that SPATE_CLUSTER names; else makes one, and takes it down.
"""
import concurrent.futures
import json
import os
import pathlib
import statistics
import subprocess
import sys
import time
import unittest

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE.parents[1] / "unit" / "operator" / "kube")]

import questions  # noqa: E402
import rig  # noqa: E402
from api_server import ApiServer  # noqa: E402
from kube_tool import Tool, temporary_folder  # noqa: E402

OBJECTS = 1200
PAIRS = 5  # of a leader and a standby, side by side
KILLS = 50  # by all of them
FORGOTTEN_S = 80
TAKEOVER_MEDIAN_S, TAKEOVER_MOST_S = 5, 8
MAPS = "v1/configmaps"
THINGS = "test.spate.dev/v1/things"
THING_CRD = {
    "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
    "metadata": {"name": "things.test.spate.dev"},
    "spec": {"group": "test.spate.dev", "scope": "Namespaced",
             "names": {"plural": "things", "singular": "thing", "kind": "Thing", "listKind": "ThingList"},
             "versions": [{"name": "v1", "served": True, "storage": True, "subresources": {"status": {}},
                           "schema": {"openAPIV3Schema": {"type": "object",
                                                          "x-kubernetes-preserve-unknown-fields": True}}}]}}


class Case(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        existing = os.environ.get("SPATE_CLUSTER")
        cls.cluster = rig.Cluster(existing or f"kube-client-{os.getpid()}")
        if not existing:
            cls.addClassCleanup(cls.cluster.down)
            cls.cluster.up(control_plane_only=True)

    def setUp(self):
        self.namespace = f"t{time.monotonic_ns()}"
        self.kubectl("create", "namespace", self.namespace)
        self.addCleanup(self.kubectl, "delete", "namespace", self.namespace, "--wait=false", "--ignore-not-found")

    def kubectl(self, *arguments, **options):
        return rig.api.kubectl(self.cluster.plan, *arguments, **options)

    def versions(self, kind="configmaps"):
        items = json.loads(self.kubectl("-n", self.namespace, "get", kind, "-o", "json"))["items"]
        return {f"{self.namespace}/{i['metadata']['name']}": i["metadata"]["resourceVersion"] for i in items}

    def tool(self, **opening):
        tool = Tool(**({"kubeconfig": str(self.cluster.plan.kubeconfig)} | opening))
        self.addCleanup(tool.end)
        return tool

    def request(self, tool, verb, resource=MAPS, **arguments):
        return tool.request(verb, resource, **({"namespace": self.namespace} | arguments))

    def asker(self, token=None):
        config = json.loads(self.kubectl("config", "view", "--raw", "--minify", "-o", "json"))
        host, port = config["clusters"][0]["cluster"]["server"].removeprefix("https://").split(":")
        return questions.Asker(host, int(port), self.namespace, config, token)


class Agreement(Case):
    """The scripted server answers as the real one does."""

    def scripted(self):
        server = ApiServer()
        self.addCleanup(server.close)
        return server

    def both(self, ask, server=None, token=None):
        server = server or self.scripted()
        self.assertEqual(ask(questions.Asker("127.0.0.1", server.port, self.namespace, token=token)), ask(self.asker(token)))

    def test_writes(self):
        self.both(questions.writes)

    def test_pages(self):
        self.both(questions.pages)

    def test_watches(self):
        self.both(questions.watches)

    def test_unauthorized(self):
        server = self.scripted()
        server.token = "another"
        self.both(questions.unauthorized, server, token="wrong")

    def test_forbidden(self):
        """To anybody, who is nobody to the real one."""
        server = self.scripted()
        server.refuse(lambda request: request.plural == "secrets", 403, times=3)
        self.both(questions.forbidden, server, token="")

    def test_forbidden_in_a_namespace_that_ends(self):
        server = self.scripted()
        server.terminating.add(self.namespace)
        held = questions.config_map("held", "1", finalizers=["spate.invalid/held"])
        self.assertEqual(self.asker().ask("POST", questions.MAPS, held)[0], 201)
        self.kubectl("delete", "namespace", self.namespace, "--wait=false")
        self.both(lambda asker: questions.refusal(asker, "POST", questions.MAPS, questions.config_map("late", "1")), server)
        self.asker().ask("PATCH", questions.MAPS + "/held", {"metadata": {"finalizers": None}}, questions.MERGE)

    def test_too_many_requests(self):
        server = self.scripted()
        server.refuse(lambda request: request.subresource == "eviction", 429)
        budget = {"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": "kept"}, "spec": {
            "minAvailable": 1, "selector": {"matchLabels": {"app": "kept"}}}}
        # It is never scheduled: that it runs is what it is said to do.
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "kept", "labels": {"app": "kept"}}, "spec": {
            "schedulerName": "nobody", "containers": [{"name": "main", "image": "spate.invalid/none:1"}]}}
        rig.wait_for(lambda: rig.api.can_make_pods(self.cluster.plan, self.namespace), 30, "a service account")
        self.kubectl("-n", self.namespace, "create", "-f", "-", text=json.dumps(
            {"apiVersion": "v1", "kind": "List", "items": [budget, pod]}))
        status = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}
        self.kubectl("-n", self.namespace, "patch", "pod", "kept", "--subresource", "status", "--type", "merge",
                     "--patch", json.dumps({"status": status}))
        self.both(questions.eviction, server)

    def test_compressed(self):
        server = self.scripted()
        server.gzip = True
        self.both(questions.compressed, server)

    def test_expired(self):
        """The real one forgets changes that are older than 75 s when many have come since."""
        server = self.scripted()
        server.compact()
        real = self.asker()
        real.ask("POST", questions.MAPS, questions.config_map("busy", "0"))
        for count in (120, 400):
            for number in range(count):
                real.ask("PATCH", questions.MAPS + "/busy", {"data": {"value": f"{count}-{number}"}},
                         content_type=questions.MERGE)
            time.sleep(FORGOTTEN_S if count == 120 else 0)
        self.assertEqual(questions.expired(questions.Asker("127.0.0.1", server.port, self.namespace)),
                         questions.expired(real))


class Views(Case):
    def fill(self, count, value="x" * 500):
        items = [{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": f"m{n}", "namespace": self.namespace},
                  "data": {"value": value}} for n in range(count)]
        self.kubectl("create", "-f", "-", text=json.dumps({"apiVersion": "v1", "kind": "List", "items": items}))

    def test_lists_and_watches(self):
        self.fill(OBJECTS)
        tool = self.tool()
        tool.watch("stream", namespace=self.namespace, quiet=True)
        tool.watch("pages", namespace=self.namespace, quiet=True, no_streaming=True, page_items=100)
        expected = self.versions()
        self.assertGreaterEqual(len(expected), OBJECTS)
        for name in ("stream", "pages"):
            tool.wait_store(lambda: expected, name)
        self.kubectl("-n", self.namespace, "delete", "configmaps", *[f"m{n}" for n in range(0, OBJECTS, 3)])
        self.kubectl("-n", self.namespace, "label", "configmaps", "--all", "touched=yes")
        expected = self.versions()
        for name in ("stream", "pages"):
            found = tool.wait_store(lambda: expected, name)
            self.assertEqual((found["lists"], found["failures"], found["expiries"]), (1, 0, 0))

    def test_watches_that_the_server_ends(self):
        """Changes go on over several watches, none of which sees them all."""
        tool = self.tool()
        tool.watch(namespace=self.namespace, times={"watch_ms": 1000}, quiet=True)
        number, deadline = 0, time.monotonic() + 60
        while number < 10 or tool.dump()["watches"] < 4:
            self.assertLess(time.monotonic(), deadline, "the server ends no watch")
            self.kubectl("-n", self.namespace, "create", "configmap", f"c{number}")
            if number % 3 == 0:
                self.kubectl("-n", self.namespace, "delete", "configmap", f"c{number}")
            number += 1
        expected = self.versions()
        found = tool.wait_store(lambda: expected)
        self.assertEqual((found["lists"], found["failures"]), (1, 0))

    def test_selectors(self):
        self.fill(5)
        self.kubectl("-n", self.namespace, "label", "configmaps", "m1", "m3", "colour=red")
        tool = self.tool()
        tool.watch("red", namespace=self.namespace, label_selector="colour in (red,green)")
        tool.watch("one", namespace=self.namespace, field_selector="metadata.name=m2")
        self.assertEqual(set(tool.dump("red")["objects"]), {f"{self.namespace}/m1", f"{self.namespace}/m3"})
        self.assertEqual(set(tool.dump("one")["objects"]), {f"{self.namespace}/m2"})
        self.kubectl("-n", self.namespace, "label", "configmaps", "m1", "colour-")
        tool.wait("DELETED", id="red", key=f"{self.namespace}/m1")

    def test_bookmarks_end_silence(self):
        """Streams that are quiet longer than idle_ms are opened anew from the same place, without a list."""
        tool = self.tool()
        tool.watch(namespace=self.namespace, times={"idle_ms": 500, "backoff_first_ms": 50, "backoff_max_ms": 100})
        time.sleep(3)
        self.kubectl("-n", self.namespace, "create", "configmap", "late")
        tool.wait("ADDED", key=f"{self.namespace}/late")
        found = tool.dump()
        self.assertEqual(found["lists"], 1)
        self.assertGreater(found["silences"], 2)

    def test_namespace_deleted_under_us(self):
        self.fill(3)
        tool = self.tool()
        tool.watch(namespace=self.namespace)
        self.kubectl("delete", "namespace", self.namespace, "--wait=false")
        refused = self.request(tool, "create", body={"metadata": {"name": "a"}})
        self.assertIn((refused["http"], refused["code"]), ((403, "denied"), (404, "not_found")))
        tool.wait_store(dict, seconds=60)
        self.assertEqual(tool.dump()["lists"], 1)

    def test_relist_is_told(self):
        self.fill(3)
        tool = self.tool()
        tool.watch(namespace=self.namespace)
        tool.ask("relist", "RELISTED", id="w")
        expected = self.versions()
        self.assertEqual(tool.wait_store(lambda: expected)["lists"], 2)


class Writes(Case):
    def test_server_side_apply(self):
        tool = self.tool()

        def apply(manager, force, **data):
            return self.request(tool, "apply", name="a", manager=manager, force=force, body={
                "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": data})
        self.assertEqual(apply("spate-one", False, x="1", y="1")["http"], 201)
        refused = apply("spate-two", False, x="2")
        self.assertEqual((refused["http"], refused["code"]), (409, "conflict"))
        self.assertIn("spate-one", refused["message"])
        self.assertEqual(apply("spate-two", True, x="2")["body"]["data"], {"x": "2", "y": "1"})
        self.assertEqual(apply("spate-one", False, z="3")["body"]["data"], {"x": "2", "z": "3"})

    def test_status_and_conflicts(self):
        self.kubectl("apply", "-f", "-", text=json.dumps(THING_CRD))
        self.kubectl("wait", "--for=condition=Established", "crd/things.test.spate.dev", "--timeout=30s")
        tool = self.tool()
        body = {"apiVersion": "test.spate.dev/v1", "kind": "Thing", "metadata": {"name": "a"}, "spec": {"x": 1}}
        where = {"resource": THINGS, "name": "a"}
        made = self.request(tool, "create", THINGS, body=body)["body"]
        version = made["metadata"]["resourceVersion"]
        patched = self.request(tool, "patch", subresource="status", **where, body={
            "metadata": {"resourceVersion": version}, "status": {"ready": True}, "spec": {"x": 9}})["body"]
        self.assertEqual((patched["spec"], patched["status"]), ({"x": 1}, {"ready": True}))
        for verb in ("patch", "update"):
            stale = dict(made, status={"ready": False})
            refused = self.request(tool, verb, subresource="status", **where, body=stale)
            self.assertEqual((refused["http"], refused["code"], refused["reason"]), (409, "conflict", "Conflict"))
        applied = self.request(tool, "apply", subresource="status", manager="spate-status", force=True, **where, body={
            "apiVersion": "test.spate.dev/v1", "kind": "Thing", "metadata": {"name": "a"}, "status": {"ready": False}})
        self.assertEqual(applied["body"]["status"], {"ready": False})

    def test_deletes_with_preconditions(self):
        tool = self.tool()
        made = self.request(tool, "create", body={"metadata": {"name": "a"}})["body"]["metadata"]
        for wrong in ({"uid": "other"}, {"resource_version": "1"}):
            refused = self.request(tool, "delete", name="a", **wrong)
            self.assertEqual((refused["http"], refused["code"]), (409, "conflict"))
        good = self.request(tool, "delete", name="a", uid=made["uid"], resource_version=made["resourceVersion"])
        self.assertEqual(good["http"], 200)
        self.assertEqual(self.request(tool, "delete", name="a", uid=made["uid"])["code"], "not_found")

    def test_refusals_are_typed(self):
        tool = self.tool()
        self.assertEqual(self.request(tool, "create", body={"metadata": {"name": "a"}})["http"], 201)
        self.assertEqual(self.request(tool, "create", body={"metadata": {"name": "a"}})["code"], "already_exists")
        invalid = self.request(tool, "create", body={"metadata": {"name": "Not_A_Name"}})
        self.assertEqual((invalid["http"], invalid["code"], invalid["reason"]), (422, "invalid", "Invalid"))
        self.assertEqual(self.request(tool, "get", "v1/nothings", name="a")["code"], "not_found")
        large = self.request(tool, "create", body={"metadata": {"name": "b"}, "data": {"value": "x" * 4_000_000}})
        self.assertEqual((large["http"], large["code"]), (413, "limit"))

    def test_events_appear(self):
        tool = self.tool()
        uid = self.request(tool, "create", body={"metadata": {"name": "a"}})["body"]["metadata"]["uid"]
        for _ in range(20):
            tool.do("record", api_version="v1", kind="ConfigMap", namespace=self.namespace, name="a", uid=uid,
                    reason="ScaledUp", action="Scaling", note="from 1 to 2", warning=True)
        deadline = time.monotonic() + 30
        while True:
            found = json.loads(self.kubectl("-n", self.namespace, "get", "events", "-o", "json"))["items"]
            if found and found[0].get("series", {}).get("count") == 20:
                break
            self.assertLess(time.monotonic(), deadline, found)
            time.sleep(0.2)
        self.assertEqual(len(found), 1)
        self.assertEqual((found[0]["type"], found[0]["reason"], found[0]["message"]), ("Warning", "ScaledUp", "from 1 to 2"))
        self.assertIn("ScaledUp", self.kubectl("-n", self.namespace, "describe", "configmap", "a"))


class Rights(Case):
    def test_service_account_token(self):
        kubectl = ["-n", self.namespace]
        self.kubectl(*kubectl, "create", "serviceaccount", "reader")
        self.kubectl(*kubectl, "create", "role", "reader", "--verb=get,list,watch", "--resource=configmaps")
        self.kubectl(*kubectl, "create", "rolebinding", "reader", "--role=reader",
                     f"--serviceaccount={self.namespace}:reader")
        folder = temporary_folder(self)
        token = os.path.join(folder, "token")
        with open(token, "w", encoding="utf-8") as file:
            file.write("not-a-token")
        config = json.loads(self.kubectl("config", "view", "--raw", "--minify", "-o", "json"))
        config["users"][0]["user"] = {"tokenFile": "token"}
        path = os.path.join(folder, "config")
        with open(path, "w", encoding="utf-8") as file:
            json.dump(config, file)
        tool = self.tool(kubeconfig=path)
        self.assertEqual(self.request(tool, "get", name="kube-root-ca.crt")["http"], 401)
        with open(token, "w", encoding="utf-8") as file:
            file.write(self.kubectl(*kubectl, "create", "token", "reader"))
        self.assertEqual(self.request(tool, "get", name="kube-root-ca.crt")["http"], 200)
        denied = self.request(tool, "create", body={"metadata": {"name": "a"}})
        self.assertEqual((denied["http"], denied["code"], denied["reason"]), (403, "denied", "Forbidden"))
        tool.watch("maps", namespace=self.namespace)
        tool.watch("secrets", "v1/secrets", synced=False, namespace=self.namespace)
        tool.wait("TROUBLE", id="secrets", code="denied")
        self.assertTrue(tool.dump("maps")["synced"])


class Leading(Case):
    def elect(self, identity, lease="lead"):
        tool = self.tool()
        tool.do("elect", namespace=self.namespace, name=lease, identity=identity)
        return tool

    def takeovers(self, lease, kills):
        """The leader is killed again and again, in different phases of its renewing: how long each time nobody led."""
        leader, times = self.elect(f"{lease}-0", lease), []
        term = leader.wait("LEADING")["term"]
        for number in range(1, kills + 1):
            standby = self.elect(f"{lease}-{number}", lease)
            standby.wait("LEADER")
            time.sleep(1 + number % 7 * 0.1)
            self.assertGreater(leader.ask("sure", "SURE")["ms"], 0)
            killed = time.monotonic()
            leader.process.kill()
            leader.process.wait()
            won = standby.wait("LEADING")
            times.append(time.monotonic() - killed)
            self.assertEqual(won["term"], term + 1)
            leader, term = standby, won["term"]
        return times

    def test_takeovers(self):
        """Several pairs beside each other, each with a lease of its own."""
        with concurrent.futures.ThreadPoolExecutor(PAIRS) as pairs:
            rounds = [pairs.submit(self.takeovers, f"lead-{number}", KILLS // PAIRS) for number in range(PAIRS)]
            times = [took for one in rounds for took in one.result()]
        self.assertEqual(len(times), KILLS)
        print(f"takeover over {KILLS} kills: median {statistics.median(times):.2f} s, most {max(times):.2f} s, "
              f"least {min(times):.2f} s", file=sys.stderr)
        self.assertLessEqual(statistics.median(times), TAKEOVER_MEDIAN_S)
        self.assertLessEqual(max(times), TAKEOVER_MOST_S)

    def test_release_and_kubectl(self):
        first, second = self.elect("one"), self.elect("two")
        leader = first.wait("LEADING") if first_leads(self, "lead") else None
        if leader is None:
            first, second = second, first
            leader = first.wait("LEADING")
        lease = json.loads(self.kubectl("-n", self.namespace, "get", "lease", "lead", "-o", "json"))
        self.assertEqual(lease["metadata"]["uid"], leader["uid"])
        self.assertEqual(lease["spec"]["leaseDurationSeconds"], 4)
        first.do("release")
        first.wait("RELEASED")
        begun = time.monotonic()
        self.assertEqual(second.wait("LEADING")["term"], leader["term"] + 1)
        self.assertLess(time.monotonic() - begun, 4)


def first_leads(case, name):
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            lease = json.loads(case.kubectl("-n", case.namespace, "get", "lease", name, "-o", "json"))
            return lease["spec"].get("holderIdentity") == "one"
        except (rig.plan.ClusterError, subprocess.SubprocessError):
            time.sleep(0.1)
    raise AssertionError("nobody leads")


if __name__ == "__main__":
    unittest.main(verbosity=2)
