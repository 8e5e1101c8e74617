# SPDX-License-Identifier: Apache-2.0
"""A hundred clients are in mid-answer when a pod, a node, the leader, the ledger or all operators are lost. None of them can
tell: each gets the ids, the text, the end and the usage of an undisturbed run; and every token counted is charged or waste.

    SPATE_VIOLENCE=full   ledger and operators are away for ten minutes, not for as long as the answers last
"""
import functools
import time
import unittest

import scene
from scene import wait_for

OUTAGE_S = 600 if scene.FULL else 0
LATE_S = 0.3         # between our looks at the counters
REPLACED_S = 120
NOTICE_S = 30        # what a cloud gives at least
GONE_S = 15
TRIES = 4            # with longer answers each, should the machine become faster


def again_if_too_short(test):
    @functools.wraps(test)
    def run(self):
        for left in range(TRIES, 0, -1):
            try:
                return test(self)
            except scene.TooShort as short:
                self.assertGreater(left, 1, f"streams never lasted for {scene.STREAM_S} s")
                self.scene.leave_waves()
                self.scene.wait_whole()
                self.scene.lengthen(short.seconds)
                self.scene.run_undisturbed()
    return run


class Loss(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.scene = scene.Scene("loss-streams")
        cls.addClassCleanup(cls.scene.close)
        cls.scene.open()

    def setUp(self):
        self.began = time.monotonic()
        self.scene.wait_whole()
        self.release = self.scene.release

    def tearDown(self):
        self.scene.leave_waves()

    def check_answers(self, wave, restarted=None, least_s=scene.STREAM_S):
        """restarted: the address of the gateway whose connections may break."""
        wave.join()
        for number, stream in enumerate(wave.streams):
            self.assertIsNone(stream.error, f"stream {number}")
            if stream.gateway != restarted:
                self.assertEqual(stream.breaks, 0, f"stream {number}: its connection broke")
            self.assertEqual(stream.answer(), self.scene.reference[number], f"stream {number}")
        seconds = sorted(stream.seconds for stream in wave.streams)
        print(f"{len(seconds)} streams of {seconds[0]:.0f} to {seconds[-1]:.0f} s, all as undisturbed", flush=True)
        if seconds[0] < least_s:
            raise scene.TooShort(seconds[0])

    def check(self, wave):
        self.check_answers(wave)
        self.check_money()

    def check_money(self):
        self.scene.wait_exact()
        print(f"{self.id().rpartition('.')[2]}: {time.monotonic() - self.began:.0f} s", flush=True)

    def outlast(self, since, wave, **options):
        """Checks the wave, and so many more that the outage is long enough; those may be shorter than one that meets its
        beginning."""
        self.check_answers(wave, **options)
        while time.monotonic() - since < OUTAGE_S:
            self.check_answers(self.scene.wave(), least_s=0)

    # Pods and nodes

    @again_if_too_short
    def test_a_pod_is_deleted(self):
        wave = self.scene.wave_under_way()
        name, _, running = self.scene.busy_pod()
        self.assertTrue(wave.all_under_way())
        print(f"deleting {name}, which answers {running} of them")
        self.scene.kube.run("delete", "pod", name, "--wait=false")
        wait_for(lambda: name not in self.all_pods(), REPLACED_S, f"the end of {name}")
        self.check(wave)

    def all_pods(self):
        return {pod["metadata"]["name"] for pod in self.scene.kube.get("pods")["items"]}

    @again_if_too_short
    def test_a_node_is_reclaimed(self):
        """As a cloud does it: a taint says so; some time later the machine is off, then its object is deleted."""
        wave = self.scene.wave_under_way()
        name, pod, running = self.scene.busy_pod(not_on=self.scene.gateway_nodes())
        node = pod["spec"]["nodeName"]
        self.assertTrue(wave.all_under_way())
        print(f"reclaiming {node}, whose {name} answers {running} of them")
        notice = time.monotonic()
        self.release.kubectl("taint", "node", node, "karpenter.sh/disrupted:NoSchedule")
        wait_for(lambda: name not in self.all_pods(), NOTICE_S, f"the end of {name}")
        print(f"{name} was gone {time.monotonic() - notice:.1f} s after the notice")
        time.sleep(max(0, notice + GONE_S - time.monotonic()))
        self.release.cluster.kill_node(node[1:])
        self.release.kubectl("delete", "node", node)
        try:
            self.check(wave)
        finally:
            self.release.cluster.start_node(node[1:])

    @again_if_too_short
    def test_a_node_is_killed(self):
        """Without notice, and with its disks: what was counted after the last snapshot is known to nobody."""
        wave = self.scene.wave_under_way()
        name, pod, running = self.scene.busy_pod(not_on=self.scene.gateway_nodes())
        node = pod["spec"]["nodeName"]
        lost = set().union(*(self.scene.counters.runs_of(other["metadata"]["uid"]) for other in self.scene.pods().values()
                             if other["spec"]["nodeName"] == node))
        self.assertTrue(wave.all_under_way())
        print(f"killing {node}, whose {name} answers {running} of them")
        killed = time.monotonic()
        self.release.cluster.kill_node(node[1:])
        off = time.monotonic()
        allowed = {run: self.scene.counters.in_the_second_before(off, run, LATE_S) for run in lost}
        self.scene.allowed |= allowed
        try:
            self.check(wave)
            counted, told = self.scene.counters.totals(), self.scene.books.runs()
            for run in lost:
                print({t: f"{counted[run][t] - told[run][t]} unreported, {allowed[run][t]} in the last second"
                       for t in counted[run]}, f"the machine was off after {off - killed:.2f} s")
        finally:
            self.release.cluster.start_node(node[1:])

    # What clients never see anyway

    @again_if_too_short
    def test_the_leader_is_killed(self):
        wave = self.scene.wave_under_way()
        before = self.scene.lease()
        self.assertTrue(wave.all_under_way())
        self.scene.kill_program(self.release.pods("operator")[self.release.leader()], "spate-operator")
        wait_for(lambda: self.scene.lease() not in ("", before), 30, "another leader")
        self.assertTrue(wave.all_under_way())
        self.check(wave)

    @again_if_too_short
    def test_the_ledger_is_away(self):
        wave = self.scene.wave_under_way()
        self.scene.scale("statefulset", "ledger", 0)
        since = time.monotonic()
        self.assertTrue(wave.all_under_way())
        try:
            self.outlast(since, wave)
        finally:
            self.scene.scale("statefulset", "ledger", 1)
        self.scene.wait_whole()
        self.check_money()

    @again_if_too_short
    def test_all_operators_are_away(self):
        """And a gateway is restarted meanwhile: it serves by what it kept on its disk. Its clients ask again."""
        wave = self.scene.wave_under_way()
        self.scene.scale("deployment", "operator", 0)
        since = time.monotonic()
        gateway = "spate-gateway-1"
        address = self.scene.gateways()[gateway]
        self.assertTrue(wave.all_under_way())
        try:
            self.scene.kill_program(self.release.pods("gateway")[gateway], "spate-gateway")
            self.outlast(since, wave, restarted=address)
            self.assertTrue(all(stream.breaks for stream in wave.streams if stream.gateway == address))
            self.check_money()
        finally:
            self.scene.scale("deployment", "operator", 2)


if __name__ == "__main__":
    unittest.main(verbosity=2)
