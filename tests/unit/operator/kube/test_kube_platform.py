# SPDX-License-Identifier: Apache-2.0
"""The operator as a process on a scripted API server: what becomes of a cluster that changes under it, or refuses something."""
import datetime
import json
import os
import re
import subprocess
import time
import unittest
import urllib.request

import platform_rig
from platform_rig import SPOT


class Platform(platform_rig.Platform):
    def test_a_label_that_comes_late_is_told(self):
        self.cluster.make_model("team-a", 1)
        self.start()
        pod, = self.wait_pods(1)
        self.cluster.place(pod, "n1")
        self.wait_for(lambda: self.status()["pods"][0].get("address"), "the pod's address in the status")
        self.assertEqual(self.status().get("capacity", []), [])
        self.cluster.edit("nodes", None, "n1", lambda node: node["metadata"]["labels"].update(SPOT))
        capacity, = self.wait_for(lambda: self.status().get("capacity"), "the capacity in the status", 15)
        self.assertEqual((capacity["type"], capacity["replicas"]), ("Spot", 1))

    def test_a_lease_is_as_long_as_it_is_told_to_be(self):
        for options, seconds in (((), 4), (("--lease-duration", "10s"), 10)):
            self.start(*options)
            self.wait_for(lambda s=seconds: ((self.cluster.get("leases", platform_rig.HOME, "spate-operator") or {}).get("spec", {})
                                             .get("leaseDurationSeconds")) == s, f"a lease of {seconds} s")
            since = time.monotonic()
            self.wait_for(lambda: self.renewals(since) >= 4, "renewals")
            self.assertGreater(time.monotonic() - since, 3 * 0.9 * seconds / 8, "three times an eighth of it")
            if not options:
                self.stop()

    def renewals(self, since):
        return sum((r.plural, r.method) == ("leases", "PATCH") and r.time > since for r in list(self.cluster.requests))

    def test_a_lease_too_short_to_hold_is_refused(self):
        for value in ("3s", "61s"):
            said = subprocess.run([os.path.join(os.environ["SPATE_BIN"], "spate-operator"), "--platform", "kube", "--agent-image", "x",
                                   "--lease-duration", value], capture_output=True, text=True, check=False)
            self.assertEqual(said.returncode, 2, said.stderr)
            self.assertIn(f"--lease-duration {value}: must be from 4000 to 60000 ms", said.stderr)

    def others(self, pod):
        """Pods of the model's status but that one, if it lists any and not that one."""
        listed = {row["uid"] for row in self.status().get("pods", ())}
        return listed if pod["metadata"]["uid"] not in listed else None

    def test_a_deleted_node_takes_its_pods_with_it_at_once(self):
        """Long before a node that merely is not known yet does, and though the API goes on to list the pod."""
        self.cluster.make_model("team-a", 1)
        self.start()
        pod, = self.wait_pods(1)
        self.cluster.place(pod, "n1")
        self.wait_for(lambda: self.status()["pods"][0].get("address"), "the pod's address in the status")
        self.cluster.delete("nodes", None, "n1")
        self.wait_for(lambda: self.others(pod), "another pod in the status", 3)

    def test_a_pod_that_outlives_its_grace_is_left_behind(self):
        """Its node lives, but its kubelet does not end it."""
        self.cluster.make_model("team-a", 1)
        self.start()
        pod, = self.wait_pods(1)
        self.cluster.place(pod, "n1")
        # From here until it is stuck: 10 s past its grace.
        grace_ended = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(seconds=4)
        self.cluster.edit("pods", "team-a", pod["metadata"]["name"], lambda obj: obj["metadata"].update(
            deletionTimestamp=grace_ended.strftime("%Y-%m-%dT%H:%M:%SZ")))
        self.wait_for(lambda: len(self.status().get("pods", ())) == 2, "a second pod in the status")
        time.sleep(1)
        self.assertIsNone(self.others(pod), "not waited for")
        self.wait_for(lambda: self.others(pod), "a status without the stuck pod", 10)
        self.assertIsNotNone(self.cluster.get("pods", "team-a", pod["metadata"]["name"]))

    def test_a_replica_that_is_taken_away_has_no_share_of_the_spot(self):
        """So its successor may be on spot, as it was; else each reclaim would leave one more on demand."""
        def evict(pod):
            pod["status"]["conditions"] = [{"type": "DisruptionTarget", "status": "True", "reason": "EvictionByEvictionAPI"}]

        def mark(node):
            node["spec"] = {"taints": [{"key": "spate.dev/reclaim", "effect": "NoSchedule"}]}

        self.cluster.edit("nodes", None, "n1", lambda node: node["metadata"]["labels"].update(SPOT))
        with self.cluster.condition:
            self.cluster.create("nodes", {"metadata": {"name": "n2", "labels": {}},
                                          "status": {"conditions": [{"type": "Ready", "status": "True"}]}})
        for namespace, take_away in (("team-a", lambda pod: self.cluster.edit("pods", "team-a", pod["metadata"]["name"], evict)),
                                     ("team-b", lambda pod: self.cluster.edit("nodes", None, "n1", mark))):
            self.cluster.make_model(namespace, 2, spot={"percent": 50, "minOnDemand": 1})
            if self.operator is None:
                self.start()
            pods = {self.wish(pod): pod for pod in self.wait_pods(2, namespace)}
            self.assertEqual(set(pods), {"spot", "on-demand"})
            self.cluster.place(pods["spot"], "n1")
            self.cluster.place(pods["on-demand"], "n2")
            take_away(pods["spot"])
            former = [pod["metadata"]["name"] for pod in pods.values()]
            successor, = self.wait_for(lambda n=namespace, f=former: [pod for pod in self.cluster.all_of("pods", n)
                                                                      if pod["metadata"]["name"] not in f], "a successor")
            self.assertEqual(self.wish(successor), "spot", namespace)

    def wish(self, pod):
        return pod["metadata"]["labels"]["spate.dev/capacity"]

    def test_an_annotation_is_meant_for_one_very_pod(self):
        """One of the same name that was made since is left as it is."""
        key = "spate.dev/token-public-key"
        self.cluster.make_model("team-a", 1)
        self.start()
        pod, = self.wait_pods(1)
        name, ours = pod["metadata"]["name"], pod["metadata"]["annotations"][key]
        self.cluster.edit("pods", "team-a", name, lambda obj: obj["metadata"]["annotations"].update({key: "22" * 32}))
        self.cluster.place(pod, "n1")
        self.wait_for(lambda: self.cluster.get("pods", "team-a", name)["metadata"]["annotations"][key] == ours, "our key on the pod")
        patches = [json.loads(r.body) for r in list(self.cluster.requests) if (r.method, r.plural) == ("PATCH", "pods")]
        self.assertEqual({patch["metadata"]["uid"] for patch in patches}, {pod["metadata"]["uid"]})

    def metric(self, name):
        address = self.wait_for(lambda: re.search(r"operator is up address=(\S+)", self.log()), "its address")[1]
        with urllib.request.urlopen(f"http://{address}/metrics") as answer:
            return float(re.search(rf"^{name} (\S+)$", answer.read().decode(), re.MULTILINE)[1])

    def test_events_that_nobody_reads_are_counted(self):
        self.cluster.refusal = lambda request: 403 if request.plural == "events" else None
        self.start()
        self.assertEqual(self.metric("spate_operator_events_dropped_total"), 0)
        self.cluster.make_model("team-a", 1)
        self.wait_pods(1)
        self.wait_for(lambda: self.metric("spate_operator_events_dropped_total") > 0, "a dropped event")

    def budget(self):
        found = self.cluster.get("poddisruptionbudgets", "team-a", "brook-spate")
        return found and found["spec"]["minAvailable"]

    def wait_quiet(self):
        """No status is written for longer than one that may wait does."""
        def last():
            return max(r.time for r in list(self.cluster.requests) if r.subresource == "status")
        self.wait_for(lambda: time.monotonic() - last() > 7, "a steady model", 60)

    def budgets_applied(self):
        return sum(r.method == "PATCH" and r.plural == "poddisruptionbudgets" for r in list(self.cluster.requests))

    def test_a_budget_that_lacks_is_written_again(self):
        self.cluster.refusal = lambda request: 500 if request.plural == "poddisruptionbudgets" else None
        self.cluster.make_model("team-a", 3)
        self.start()
        self.wait_pods(3)
        self.wait_quiet()
        self.assertIsNone(self.budget())
        self.cluster.refusal = lambda request: None
        self.wait_for(lambda: self.budget() == 2, "the budget", 15)
        # The leader dies, and its write with it: the next one finds a status that needs no change.
        self.kill()
        self.cluster.delete("poddisruptionbudgets", "team-a", "brook-spate")
        self.start()
        self.wait_for(lambda: self.budget() == 2, "the budget of the next leader", 30)
        count = self.budgets_applied()
        time.sleep(7)  # longer than between two looks
        self.assertEqual(self.budgets_applied(), count)


if __name__ == "__main__":
    unittest.main(verbosity=2)
