# SPDX-License-Identifier: Apache-2.0
"""Leaders that are killed, and leaders that stop between what they decided and what the server gets of it. The new one acts
within seconds; what the old one sends too late is never routed to, and does not stay.

    SPATE_VIOLENCE=full   fifty kills, whose times are held against what is promised; and thirty freezes
"""
import os
import pathlib
import random
import signal
import statistics
import sys
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "operator"))

import proxy  # noqa: E402
import system as systems  # noqa: E402
import witness  # noqa: E402
from system import product, rig, wait_for  # noqa: E402
from testbed import direct  # noqa: E402

FULL = os.environ.get("SPATE_VIOLENCE") == "full"
SEED = int(os.environ.get("SPATE_SEED") or random.SystemRandom().randrange(1 << 32))
KILLS = 50 if FULL else 8
FREEZES = 30 if FULL else 4
MEDIAN_S, MOST_S = (5, 8) if FULL else (10, 20)  # the promise needs a machine with nothing else to do, and many kills
LEASE_S = 4
PATIENCE_S = 120
QUIET_S = 5  # several sweeps: what has not been done by then is not done any more


class Leaders(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        print(f"seed {SEED}: repeat with SPATE_SEED={SEED}", flush=True)
        cls.system = systems.System("loss-leaders")
        cls.addClassCleanup(cls.system.close)
        cls.api = direct.of(cls.system.cluster.plan)
        # Once, so that there is a key for the ledger.
        cls.system.start_operator("first")
        wait_for(lambda: cls.system.holder() == "first", 30, "a leader")
        cls.system.start_ledger()
        cls.system.programs["first"].stop()
        cls.start_both()
        cls.system.make_gateway()
        gateway = wait_for(lambda: (lambda pod: pod if rig.is_ready(pod) else None)(cls.system.kube.get("pod", "gateway-0")), 60,
                           "a gateway")
        cls.routes = witness.Routes(cls.system.cluster, gateway)
        wait_for(lambda: cls.routes.version, 60, "routes at the gateway")

    @classmethod
    def start_both(cls):
        for name in ("first", "second"):
            if name not in cls.system.programs or cls.system.programs[name].process.poll() is not None:
                cls.system.start_operator(name)
        cls.system.make_operator_service(cls.system.programs["first"], cls.system.programs["second"])
        wait_for(lambda: cls.system.holder() in ("first", "second"), 30, "a leader")

    def setUp(self):
        self.kube = rig.Kube(self.system.cluster, self.id().rpartition(".")[2].replace("_", "-")[:60]).make_namespace()
        self.pods = witness.Pods(self.api, self.kube.namespace)
        self.addCleanup(self.clear)
        self.start_both()
        self.system.apply(self.system.model("brook", self.kube.namespace, mode="Manual", replicas=1, maxReplicas=4))
        self.wait_size(1)

    def run(self, result):
        """What the programs said goes with the cluster: here it is, when a test fails."""
        before = len(result.failures) + len(result.errors)
        super().run(result)
        if len(result.failures) + len(result.errors) > before:
            for program in self.system.programs.values():
                print(f"--- the end of {program.log.name} ---\n{program.last_words()}", flush=True)
        return result

    def clear(self):
        self.pods.ended = True
        self.kube.run("delete", "modeldeployment", "--all", "--wait=true")
        self.system.kubectl("delete", "namespace", self.kube.namespace, "--wait=false")

    def scale(self, count):
        self.kube.run("scale", "modeldeployment", "brook", f"--replicas={count}")

    def model(self):
        return self.api.get(f"/apis/spate.dev/v1alpha1/namespaces/{self.kube.namespace}/modeldeployments/brook")

    def status(self):
        return self.model().get("status", {})

    def wait_size(self, count):
        """So many pods, all of them in the routes, and no other anywhere."""
        def is_so():
            return (len(self.pods.present) == count and self.mine(self.routes.now) == set(self.pods.present) and
                    self.status().get("readyReplicas") == count)
        wait_for(is_so, PATIENCE_S, f"{count} pods of brook in the routes")

    def mine(self, uids):
        return {uid for uid in uids if uid in self.pods.present or any(uid in known for known in self.pods.uids.values())}

    def other(self, name):
        return "second" if name == "first" else "first"

    def check_doubles(self):
        """No pod under another's name was ever routed to, and none is there."""
        doubles = self.pods.doubles()
        self.assertEqual({uid: name for uid, name in doubles.items() if uid in self.routes.ever}, {}, "routed to")
        self.assertEqual({uid: name for uid, name in doubles.items() if uid in self.pods.present}, {}, "still there")
        return doubles

    # Killed

    def test_takeovers(self):
        """From the kill until the next leader has made a pod that was asked for after it, and a gateway has its routes."""
        rng, led, acted = random.Random(SEED), [], []
        for _ in range(KILLS):
            name = self.system.holder()
            wait_for(lambda n=name: self.ready(self.other(n)), 30, "a standby that is ready")
            time.sleep(rng.random() * 1.5)
            epoch = self.routes.epoch
            self.system.programs[name].kill()
            killed = time.monotonic()
            self.scale(2)
            wait_for(lambda e=epoch: self.routes.epoch > e, PATIENCE_S, "routes of the next leader")
            led.append(time.monotonic() - killed)
            wait_for(lambda: len(self.pods.present) == 2, PATIENCE_S, "what the next leader was asked for")
            acted.append(time.monotonic() - killed)
            self.assertEqual(self.system.holder(), self.other(name))
            self.start_both()
            self.wait_size(2)
            self.scale(1)
            self.wait_size(1)
        for what, times in (("routes published", led), ("pod made", acted)):
            print(f"takeover over {KILLS} kills, {what}: median {statistics.median(times):.2f} s, most {max(times):.2f} s, "
                  f"least {min(times):.2f} s", flush=True)
        times = [max(pair) for pair in zip(led, acted)]
        self.assertLessEqual(statistics.median(times), MEDIAN_S)
        self.assertLessEqual(max(times), MOST_S)
        self.assertEqual(self.check_doubles(), {})

    def ready(self, name):
        return product.request_json(self.system.programs[name].address, "GET", "/ready")[0] == 200

    # Frozen

    def test_frozen_at_any_moment(self):
        rng = random.Random(SEED)
        size = 1
        for _ in range(FREEZES):
            leader = self.system.programs[self.system.holder()]
            size = rng.choice([count for count in (1, 2, 3) if count != size])
            self.scale(size)
            time.sleep(rng.random() * 0.4)
            leader.signal(signal.SIGSTOP)
            try:
                wait_for(lambda n=leader.name: self.system.holder() == self.other(n), PATIENCE_S, "the takeover")
                size = rng.choice([count for count in (1, 2, 3) if count != size])
                self.scale(size)
                self.wait_size(size)
            finally:
                leader.signal(signal.SIGCONT)
            time.sleep(QUIET_S)
            self.wait_size(size)
            self.check_doubles()
            self.assertNotEqual(self.system.holder(), leader.name)

    def hold_a_creation(self):
        """An operator behind a proxy leads, and is stopped when its creation of a second pod is on its way. The other leads
        then and has completed what was recorded. Returns the frozen program, the request, and the name of the pod."""
        between = proxy.Proxy(self.api)
        self.addCleanup(between.close)
        old = self.lead_through(between)
        between.hold_next(lambda method, path: method == "POST" and path.endswith(f"/namespaces/{self.kube.namespace}/pods"))
        self.scale(2)
        held = between.wait_held(PATIENCE_S)
        old.signal(signal.SIGSTOP)
        name = held.object["metadata"]["name"]
        self.assertEqual([row["name"] for row in self.status()["pendingCreates"]], [name])
        self.assertNotIn(name, self.pods.uids)
        wait_for(lambda: self.system.holder() == "second", PATIENCE_S, "the takeover")
        self.wait_size(2)
        self.assertIn(name, self.pods.present.values())
        return old, held, name

    def lead_through(self, between):
        self.system.programs["second"].stop()
        self.system.programs["first"].stop()
        epoch = self.routes.epoch
        config = between.write_kubeconfig(self.system.folder / "proxy.kubeconfig")
        old = self.system.start_operator("first", "--kubeconfig", str(config))
        self.addCleanup(old.stop)  # the next test's are not behind a proxy
        self.system.make_operator_service(old)
        wait_for(lambda: self.routes.epoch > epoch, 30, "routes of the one behind the proxy")
        self.start_both()
        self.assertEqual(self.system.holder(), "first")
        self.wait_size(1)
        wait_for(lambda: self.ready("second"), 30, "a standby that is ready")
        return old

    def thaw(self, old):
        old.signal(signal.SIGCONT)
        time.sleep(QUIET_S)
        self.assertEqual(self.system.holder(), "second")

    def test_a_creation_that_comes_late(self):
        """The new leader has made that pod itself: there is one, and it stays."""
        old, held, name = self.hold_a_creation()
        present = dict(self.pods.present)
        held.go.set()
        self.thaw(old)
        self.assertEqual(self.pods.present, present)
        self.assertEqual(self.check_doubles(), {})
        self.assertEqual(len(self.pods.uids[name]), 1)

    def test_a_creation_that_comes_after_the_deletion(self):
        """The new leader has made that pod and deleted it again. Then it comes a second time."""
        old, held, name = self.hold_a_creation()
        self.scale(1)
        self.wait_size(1)
        self.assertNotIn(name, self.pods.present.values(), "the younger of two pods goes first")
        held.go.set()
        wait_for(lambda: len(self.pods.uids[name]) == 2, 20, f"{name} for the second time")
        began = time.monotonic()
        wait_for(lambda: name not in self.pods.present.values(), PATIENCE_S, f"the end of {name}")
        print(f"a pod that came late was gone after {time.monotonic() - began:.1f} s", flush=True)
        self.thaw(old)
        self.assertEqual(list(self.check_doubles().values()), [name])
        self.wait_size(1)


if __name__ == "__main__":
    unittest.main(verbosity=2)
