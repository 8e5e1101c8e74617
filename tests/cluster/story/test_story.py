# SPDX-License-Identifier: Apache-2.0
"""A release as a user lives with it, chapter by chapter: from `kubectl apply` to the bill. Each chapter needs those before it."""
import datetime
import json
import os
import subprocess
import time
import unittest

import clients
import release
import rig
from clients import product

QUICKSTART = clients.ROOT / "docs" / "examples" / "quickstart-kubernetes.yaml"
KEY = "sk-spate-quickstart"  # that the quickstart has the digest of
NAMESPACE = "default"
BROOK = f"{NAMESPACE}/brook"
MAXIMUM = 4
IDLE_S = 20
ORDERED_S = 2
REVOKED_S = 5
WAIT_S = 90  # for what takes as long as it takes on a busy machine
SETTLE_S = 60  # the ledger's patience with a request of which one of several pods never said its last word
LONG = {"max_tokens": 400, "ignore_eos": True}


def instant(text):
    return datetime.datetime.fromisoformat(text).timestamp()


def ready_since(pod):
    """When it became ready; None: it is not."""
    return next((instant(row["lastTransitionTime"]) for row in pod["status"].get("conditions", ())
                 if (row["type"], row["status"]) == ("Ready", "True")), None)


class Story(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        found = subprocess.run(["sh", str(clients.ROOT / "tests" / "clients" / "run.sh"), "--python"], capture_output=True,
                               text=True, check=False)
        assert found.returncode == 0, found.stderr
        cls.python = found.stdout.strip()
        cls.release = release.Release(f"story-{os.getpid()}")
        cls.addClassCleanup(cls.release.close)
        cls.release.install("--set", f"ledger.settleSeconds={SETTLE_S}")
        cls.kube = rig.Kube(cls.release.cluster, NAMESPACE)
        cls.clients = clients.Clients(cls.release.gateway, KEY)

    def tearDown(self):
        if self._outcome.result.failures or self._outcome.result.errors:
            print(self.release.what_happens())

    # What is there

    def pods(self, model="brook"):
        return product.pods_of(self.kube, model)

    def status(self, model="brook"):
        return self.release.status(self.kube, model)

    def wait_pods(self, count, model="brook"):
        """So many, all ready."""
        rig.wait_for(lambda: [rig.is_ready(pod) for pod in self.pods(model).values()] == [True] * count, WAIT_S,
                     f"{count} ready pods of {model}")

    def change(self, scaling, model="brook"):
        self.kube.run("patch", "modeldeployment", model, "--type=merge", "--patch", json.dumps({"spec": {"scaling": scaling}}))

    def assert_right(self, answers):
        self.assertEqual([answer for answer in answers if not answer.right], [])

    # The chapters

    def test_01_a_request_is_answered_from_zero(self):
        self.kube.run("apply", "-f", QUICKSTART)
        rig.wait_for(lambda: "brook" in self.clients.models()[1], WAIT_S, "the gateways' knowledge of the model")
        self.kube.run("wait", "--for=condition=Ready", "tenant/acme", f"--timeout={WAIT_S}s")  # its prices are in force
        self.assertEqual(self.pods(), {})
        began = time.monotonic()
        answer = self.clients.ask("brook", "What is 345 + 678?")
        print(f"from zero to an answer in {time.monotonic() - began:.1f} s, cold start {self.status().get('coldStart')}")
        self.assertTrue(answer.right, answer)
        self.assertIn("1023", answer.text)
        (pod,) = self.pods().values()
        self.assertEqual([volume["image"]["reference"] for volume in pod["spec"]["volumes"] if "image" in volume],
                         [product.image("brook", release.TAG)])

    def test_02_the_official_client(self):
        self.assertEqual(self.clients.run_openai(self.python, BROOK), 2)

    def test_03_a_burst_brings_all_replicas_at_once(self):
        """No step by step: one decision goes to the maximum. Another may come first, of when only a few of the requests were
        there; and more, where a slow machine took its time to send them."""
        self.assertEqual(self.status()["desiredReplicas"], 1)
        began = time.time()
        sent, answers = self.clients.burst("brook", 80, **LONG)
        self.assert_right(answers)
        rose = [row for row in self.status()["decisions"] if row["to"] > row["from"] and instant(row["time"]) > began]
        print(f"burst: sent after {sent - began:.2f} s,",
              *(f"{row['from']} to {row['to']} after {instant(row['time']) - began:.2f} s," for row in rose))
        self.assertLessEqual(sum(instant(row["time"]) > sent for row in rose), 2)
        self.assertEqual(rose[0]["to"], MAXIMUM)  # the newest is the first
        self.assertLess(instant(rose[0]["time"]), began + ORDERED_S)
        self.wait_pods(MAXIMUM)
        made = sorted(instant(pod["metadata"]["creationTimestamp"]) for pod in self.pods().values())
        self.assertLessEqual(made[-1] - made[1], ORDERED_S)  # all but the first, together

    def test_04_nobody_asks_and_nothing_runs(self):
        self.assertTrue(self.clients.ask("brook").right)
        last = time.time()
        self.wait_pods(0)
        slept = next(row for row in self.status()["decisions"] if row["to"] == 0)
        self.assertEqual((slept["from"], slept["reason"]), (MAXIMUM, "Idle"))
        self.assertGreater(instant(slept["time"]), last + IDLE_S - 2)

    def test_05_a_warm_up_is_ready_on_time(self):
        """The schedule is when capacity is ready: so it starts before that, by the measured cold start."""
        lead_s = self.status()["coldStart"]["p90Ms"] / 1000 + 5
        due = datetime.datetime.fromtimestamp((time.time() + lead_s + 5) // 60 * 60 + 60, datetime.UTC)
        self.change({"warmup": [{"name": "soon", "schedule": f"{due.minute} {due.hour} * * *", "replicas": 2,
                                 "durationSeconds": 60}]})
        time.sleep(2)
        self.assertEqual(self.pods(), {})
        time.sleep(max(0, due.timestamp() - time.time()))
        pods = self.pods()
        self.assertEqual([rig.is_ready(pod) for pod in pods.values()], [True, True])
        print(f"lead {lead_s:.1f} s, ready {[due.timestamp() - ready_since(pod) for pod in pods.values()]} s before the time")
        for pod in pods.values():
            self.assertGreaterEqual(instant(pod["metadata"]["creationTimestamp"]), due.timestamp() - lead_s - 2)
        self.assertEqual(self.status()["decisions"][0]["reason"], "WarmUp")
        self.change({"warmup": None})
        self.wait_pods(0)

    def test_06_people_scale_in_mode_manual_only(self):
        with self.assertRaisesRegex(rig.plan.ClusterError, "set spec.scaling.mode to Manual"):
            self.kube.run("scale", "modeldeployment", "brook", "--replicas=2")
        self.assertEqual(self.kube.get("modeldeployment", "brook")["spec"]["scaling"]["replicas"], 1)
        self.change({"mode": "Manual"})
        for count in (1, 3, 2, 0):
            self.kube.run("scale", "modeldeployment", "brook", f"--replicas={count}")
            self.wait_pods(count)
            self.assertEqual(self.status()["desiredReplicas"], count)

    def test_07_an_autoscaler_of_kubernetes_is_obeyed(self):
        """It reads and writes /scale. There is no metrics server here, so that load moves it is not shown: its bounds do."""
        self.kube.run("scale", "modeldeployment", "brook", "--replicas=1")
        self.kube.run("autoscale", "modeldeployment.spate.dev/brook", "--name=brook", "--min=2", "--max=3", "--cpu=80%")
        self.wait_pods(2)
        self.kube.run("wait", "horizontalpodautoscaler/brook", "--for=condition=AbleToScale", f"--timeout={WAIT_S}s")
        self.assertEqual(self.kube.get("modeldeployment", "brook")["spec"]["scaling"]["replicas"], 2)
        self.kube.run("delete", "horizontalpodautoscaler", "brook")
        self.change({"mode": "Auto", "replicas": 1})

    def test_08_settings_change_under_load_with_no_gpu_to_spare(self):
        """Three pods hold all GPUs of the three nodes. maxReplicas would allow a fourth, but no node has room for it."""
        model = self.release.model("wide", NAMESPACE, minReplicas=3, maxReplicas=4)
        model["spec"]["hardware"] = {"gpus": rig.plan.GPUS_PER_NODE, "cpuMillis": 50}
        self.release.apply(model)
        self.wait_pods(3, "wide")
        before = self.pods("wide")
        self.assertEqual(len({pod["spec"]["nodeName"] for pod in before.values()}), 3)
        alone = clients.Load.alone(self.clients, "wide")
        self.assert_right(alone.values())
        began = time.monotonic()
        with clients.Load(self.clients, "wide") as load:
            self.kube.run("patch", "modeldeployment", "wide", "--type=merge", "--patch", '{"spec":{"engine":{"slots":6}}}')
            rig.wait_for(lambda: not set(self.pods("wide")) & set(before), 2 * WAIT_S, "the end of all former pods")
            self.wait_ready_of("wide", 3)
        print(f"three pods replaced in {time.monotonic() - began:.1f} s, {len(load.answers)} answers meanwhile")
        self.assert_right([answer for _, answer in load.answers])
        self.assertEqual({(question, answer.text) for question, answer in load.answers},
                         {(question, answer.text) for question, answer in alone.items()})

    def wait_ready_of(self, model, count):
        """Others may be pending."""
        rig.wait_for(lambda: sum(map(rig.is_ready, self.pods(model).values())) == count, WAIT_S, f"{count} ready pods of {model}")

    def test_09_a_deleted_model_ends_cleanly(self):
        with clients.Load(self.clients, "wide") as load:
            rig.wait_for(lambda: len(load.answers) >= 8, WAIT_S, "the load")
            self.kube.run("delete", "modeldeployment", "wide")
            rig.wait_for(lambda: not self.kube.get("pods", selector="spate.dev/model=wide")["items"], WAIT_S, "the end of the pods")
            asked = len(load.answers)
            rig.wait_for(lambda: len(load.answers) >= asked + 8, WAIT_S, "requests afterwards")
        # Each is answered in full or told that there is no such model; none of those afterwards gets an answer.
        seen = [(answer.status, "" if answer.right else answer.reason) for _, answer in load.answers]
        self.assertEqual(set(seen), {(200, ""), (404, "model_not_found")}, load.answers[-1])
        self.assertEqual(set(seen[asked + 4:]), {(404, "model_not_found")})
        self.assertEqual(self.clients.models()[1], ["brook"])

    def test_10_a_revoked_key_is_refused(self):
        gateways = [f"{pod['status']['podIP']}:8080" for pod in self.release.pods("gateway").values()]
        self.assertEqual(len(gateways), 2)
        ours = [clients.Clients(address, KEY) for address in gateways]
        self.assertEqual([one.models()[0] for one in ours], [200, 200])
        revoked = time.monotonic()
        self.kube.run("patch", "tenant", "acme", "--type=json", "--patch", '[{"op":"remove","path":"/spec/keys/0"}]')
        while [one.models()[0] for one in ours] != [401, 401]:
            self.assertLess(time.monotonic() - revoked, REVOKED_S)
        print(f"refused everywhere {time.monotonic() - revoked:.2f} s after it was revoked")
        self.assertEqual(self.clients.ask("brook").status, 401)

    def test_11_the_bill_is_what_the_clients_were_told(self):
        def billed():
            report = json.loads(rig.api.kubectl(
                self.release.cluster.plan, "--namespace", self.release.namespace, "exec", "deployment/spate-operator", "--",
                "spate", "report", "--by", "tenant,model", "--json"))
            return {(row["model"], row["unpriced"]): row for row in report["rows"] if row["tenant"] == "acme"}

        for pod in self.release.pods("operator").values():
            address = f"{pod['status']['podIP']}:7001"
            self.assertEqual([product.request_json(address, "GET", "/internal/v1/report", token=token)[0] for token in (None, KEY)],
                             [401, 401])
        end = time.monotonic() + SETTLE_S + WAIT_S
        rows = billed()
        while sum(row["requests"] for row in rows.values()) < self.clients.bill["requests"]:
            self.assertLess(time.monotonic(), end, f"not every request is billed: {rows}, told {self.clients.bill}")
            time.sleep(0.2)
            rows = billed()
        self.assertEqual(set(rows), {(BROOK, False), (f"{NAMESPACE}/wide", True)})  # the price list has no row for the latter
        self.assertEqual({name: sum(row[name] for row in rows.values()) for name in self.clients.bill}, dict(self.clients.bill))
        self.assertGreater(rows[BROOK, False]["cost_nano_usd"], 0)


if __name__ == "__main__":
    unittest.main(verbosity=2, failfast=True)
