# SPDX-License-Identifier: Apache-2.0
"""ModelRoutes on the whole system: shares by weight, a target that is woken, fallbacks, and who is charged for what."""
import collections
import http.client
import json
import pathlib
import re
import shutil
import subprocess
import tempfile
import threading
import unittest

import rig as rigs

SPATE = str(rigs.BIN / "spate")
WEIGHTS = f"file://{rigs.ROOT}/models/brook"
MANUAL = {"mode": "Manual", "replicas": 1}
REQUESTS = 160


def model(name, uri=WEIGHTS, namespace="default", **spec):
    return {"apiVersion": "spate.dev/v1alpha1", "kind": "ModelDeployment",
            "metadata": {"name": name, "namespace": namespace}, "spec": {"model": {"uri": uri}, **spec}}


def route(name, targets, fallback=(), after=1):
    spec = {"targets": [{"model": target, "weight": weight} for target, weight in targets.items()],
            "fallback": {"models": list(fallback), "afterSeconds": after}}
    return {"apiVersion": "spate.dev/v1alpha1", "kind": "ModelRoute", "metadata": {"name": name}, "spec": spec}


TENANT = {"apiVersion": "spate.dev/v1alpha1", "kind": "Tenant", "metadata": {"name": "acme"},
          "spec": {"namespaces": ["default"]}}


class Route(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = pathlib.Path(tempfile.mkdtemp(prefix="spate-route-"))
        cls.addClassCleanup(shutil.rmtree, cls.folder, ignore_errors=True)
        cls.up = subprocess.Popen([SPATE, "up", "--quiet", "--state", str(cls.folder), "--gateway-listen", "127.0.0.1:0"],
                                  stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        cls.addClassCleanup(cls.end)
        address = cls.folder / "run" / "gateway.address"
        rigs.wait_for(address.exists, 60, "the gateway")
        cls.gateway = address.read_text().strip()
        cls.apply(TENANT, model("old", scaling=MANUAL), model("new", scaling=MANUAL),
                  model("asleep", scaling={"maxReplicas": 1}), model("off", scaling={"mode": "Manual", "replicas": 0}),
                  model("broken", f"file://{cls.folder}/nothing-here", scaling={"maxReplicas": 1}),
                  model("foreign", namespace="other", scaling=MANUAL,
                        routing={"fromNamespaces": ["default"]}))
        cls.key = cls.spate("tenant", "key", "create", "acme").splitlines()[-1]
        for name in ("default/old", "default/new", "other/foreign"):
            rigs.wait_for(lambda: cls.is_ready(name), 60, f"{name} ready")

    @classmethod
    def end(cls):
        cls.up.terminate()
        cls.up.wait(60)

    @classmethod
    def spate(cls, *arguments, text=None):
        done = subprocess.run([SPATE, *arguments, "--state", str(cls.folder)], capture_output=True, text=True,
                              timeout=60, input=text)
        if done.returncode != 0:
            raise AssertionError(f"{arguments}: {done.stderr}")
        return done.stdout.strip()

    @classmethod
    def apply(cls, *objects):
        for number, item in enumerate(objects):
            path = cls.folder / f"manifest-{number}.json"
            path.write_text(json.dumps(item))
            cls.spate("apply", "-f", str(path))

    @classmethod
    def is_ready(cls, name):
        namespace, _, short = name.partition("/")
        found = json.loads(cls.spate("get", "modeldeployment", short, "-n", namespace, "-o", "json"))
        return found.get("status", {}).get("readyReplicas", 0) > 0

    def use(self, name, *arguments, **options):
        """Applies a route, waits until the gateway knows it, and takes it away in the end."""
        self.apply(route(name, *arguments, **options))
        self.addCleanup(self.spate, "delete", "modelroute", name)
        rigs.wait_for(lambda: rigs.request_json(self.gateway, "GET", f"/v1/models/{name}", token=self.key)[0] == 200,
                      what=f"route {name} in the gateway")
        # Its targets may have come with a later snapshot than its name.
        rigs.wait_for(lambda: self.condition(name, "Ready") is not None, what="its status")

    def condition(self, name, kind):
        found = json.loads(self.spate("get", "modelroute", name, "-o", "json"))
        for row in found.get("status", {}).get("conditions", []):
            if row["type"] == kind:
                return row
        return None

    def ask(self, name, timeout=60):
        body = {"model": name, "prompt": "Once", "max_tokens": 2, "temperature": 0}
        return rigs.request_json(self.gateway, "POST", "/v1/completions", body, self.key, timeout)

    def answered(self):
        """Requests that each model has answered so far."""
        counts = collections.Counter()
        status, text = self.metrics()
        self.assertEqual(status, 200)
        for found in re.finditer(r'^spate_gateway_requests_total\{([^}]*)\} (\d+)', text, re.MULTILINE):
            labels = dict(re.findall(r'(\w+)="([^"]*)"', found[1]))
            if labels["result"] == "ok":
                counts[labels["model"]] += int(found[2])
        return counts

    def metrics(self):
        host, port = self.gateway.rsplit(":", 1)
        connection = http.client.HTTPConnection(host, int(port), timeout=10)
        try:
            connection.request("GET", "/metrics")
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()

    def gauge(self, what, name):
        found = re.search(rf'^spate_gateway_{what}\{{model="{name}"\}} (\d+)', self.metrics()[1], re.MULTILINE)
        return int(found[1]) if found else 0

    def crowd(self, name):
        """A model with one replica of one slot, and more requests for it than it takes."""
        self.apply(model(name, scaling=MANUAL, engine={"slots": 1}))
        self.addCleanup(subprocess.run, [SPATE, "delete", "modeldeployment", name, "--state", str(self.folder)],
                        capture_output=True)
        rigs.wait_for(lambda: self.is_ready(f"default/{name}"), 60, f"{name} ready")
        leave = threading.Event()
        hogs = [threading.Thread(target=self.hog, args=(name, leave)) for _ in range(6)]
        for worker in hogs:
            worker.start()
        self.addCleanup(lambda: [worker.join() for worker in hogs])
        self.addCleanup(leave.set)
        rigs.wait_for(lambda: self.gauge("queued_requests", f"default/{name}") >= 3, what=f"the queue before {name}")

    def hog(self, name, leave):
        """Keeps a place of the model until told to leave, or until the model is gone."""
        host, port = self.gateway.rsplit(":", 1)
        body = {"model": name, "prompt": "Once", "max_tokens": 8000, "ignore_eos": True, "stream": True}
        status = 200
        while not leave.is_set() and status == 200:
            connection = http.client.HTTPConnection(host, int(port), timeout=60)
            connection.request("POST", "/v1/completions", json.dumps(body), {"authorization": f"Bearer {self.key}"})
            answer = connection.getresponse()
            status = answer.status
            while not leave.is_set() and answer.read1(4096):
                pass
            connection.close()

    def ask_and_see(self, name):
        """Who answered one request."""
        before = self.answered()
        status, body = self.ask(name)
        self.assertEqual(status, 200, body)
        self.assertEqual(body["model"], name)
        return next(iter(self.answered() - before))

    def test_weights_share_out_the_requests(self):
        self.use("chat", {"old": 3, "new": 1})
        before = self.answered()
        failures = []

        def work():
            for _ in range(REQUESTS // 4):
                status, body = self.ask("chat")
                if status != 200:
                    failures.append(body)

        workers = [threading.Thread(target=work) for _ in range(4)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        self.assertEqual(failures, [])
        counts = self.answered() - before
        self.assertEqual(sum(counts.values()), REQUESTS)
        self.assertEqual(set(counts), {"default/old", "default/new"})
        # A quarter of 160 is 40; four standard deviations are 22.
        self.assertTrue(18 <= counts["default/new"] <= 62, counts)

    def test_a_target_of_another_namespace_that_permits_it(self):
        self.use("abroad", {"other/foreign": 1})
        self.assertEqual(self.ask_and_see("abroad"), "other/foreign")
        # The tenant may not use that namespace but by the route.
        self.assertEqual(self.ask("other/foreign")[0], 404)

    def test_a_sleeping_target_is_woken(self):
        self.use("wake", {"asleep": 1}, ["old"], after=60)
        self.assertEqual(self.ask_and_see("wake"), "default/asleep")

    def test_without_a_target_that_can_serve_the_fallback_is_asked_at_once(self):
        self.use("nowhere", {"missing": 1, "off": 1}, ["missing-too", "old"], after=600)
        self.assertEqual(self.condition("nowhere", "TargetsResolved")["reason"], "TargetMissing")
        self.assertEqual(self.ask_and_see("nowhere"), "default/old")

    def test_a_target_that_can_not_serve_has_no_share(self):
        rigs.wait_for(lambda: "can't" in self.spate("describe", "md", "broken") or
                      "nothing-here" in self.spate("describe", "md", "broken"), what="the missing weights to be seen")
        self.use("half", {"broken": 1000, "old": 1})
        self.assertEqual(self.ask_and_see("half"), "default/old")

    def test_a_request_that_waited_goes_to_the_fallback(self):
        self.crowd("busy")
        self.use("patient", {"busy": 1}, ["asleep-too", "old"], after=1)
        self.assertEqual(self.ask("patient")[0], 200)
        self.assertIn('spate_gateway_fallbacks_total{route="default/patient",model="default/old",reason="waited"} 1',
                      self.metrics()[1])

    def test_a_target_that_goes_away_under_a_waiting_request(self):
        self.crowd("leaving")
        self.use("parting", {"leaving": 1}, ["new"], after=600)
        queued = self.gauge("queued_requests", "default/leaving")
        answers = []
        worker = threading.Thread(target=lambda: answers.append(self.ask("parting")))
        worker.start()
        rigs.wait_for(lambda: self.gauge("queued_requests", "default/leaving") > queued, what="the request in the queue")
        self.spate("delete", "modeldeployment", "leaving")
        worker.join(60)
        self.assertEqual(answers[0][0], 200, answers)
        self.assertIn('spate_gateway_fallbacks_total{route="default/parting",model="default/new",reason="gone"} 1',
                      self.metrics()[1])

    def test_no_target_and_no_fallback(self):
        self.use("void", {"off": 1})
        status, body = self.ask("void")
        self.assertEqual(status, 503)
        self.assertIn("no target and no fallback of the route 'default/void'", body["error"]["message"])

    def test_a_model_that_is_off_says_so(self):
        status, body = self.ask("off")
        self.assertEqual((status, body["error"]["code"]), (503, "model_unavailable"))
        self.assertIn("model 'default/off' has no pods: it is scaled to 0 replicas", body["error"]["message"])

    def test_it_is_listed_and_shown(self):
        self.use("seen", {"old": 1, "new": 0}, ["asleep"])
        listed = rigs.request_json(self.gateway, "GET", "/v1/models", token=self.key)[1]["data"]
        self.assertIn("seen", [row["id"] for row in listed])
        self.assertEqual(self.ask("default/seen")[0], 200)
        shown = self.spate("get", "mr").splitlines()
        self.assertEqual(shown[0].split(), ["NAME", "READY", "TARGETS", "FALLBACK", "REASON", "AGE"])
        self.assertIn(["seen", "True", "old=1,new=0", "asleep", "Ready"], [line.split()[:5] for line in shown[1:]])

    def test_a_broken_route_is_refused_with_the_cure(self):
        path = self.folder / "broken.json"
        path.write_text(json.dumps(route("bad", {"old": 0})))
        done = subprocess.run([SPATE, "apply", "-f", str(path), "--state", str(self.folder)], capture_output=True,
                              text=True, timeout=60)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("spec.targets: no target has a weight: give at least one target a weight of 1 or more", done.stderr)


if __name__ == "__main__":
    unittest.main()
