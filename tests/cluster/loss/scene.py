# SPDX-License-Identifier: Apache-2.0
"""A release with a model of three pods, a hundred clients in mid-answer, and what an undisturbed run gives each of them."""
import os
import pathlib
import statistics
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import books  # noqa: E402
import product  # noqa: E402
import release  # noqa: E402
import rig  # noqa: E402
import streams  # noqa: E402
from rig import wait_for  # noqa: E402
from testbed import machine  # noqa: E402

FULL = os.environ.get("SPATE_VIOLENCE") == "full"
CLIENTS = 100
STREAM_S = 30        # how long each answer takes at least
AIM_S = 45           # what is aimed at, for a machine whose speed varies
LONGER = 1.4         # so much at most at a time: in a wave whose pods share it unevenly the shortest says little
TOKENS_MAX = 30000   # what its context holds
PODS = 3
SLOTS = 64           # so that two pods have room for all
CPU = "150m"         # each pod's: what it answers takes long by itself, and leaves the machine to the others
TEAM = "team"
MODEL = f"{TEAM}/brook"
SETTLE = "10s"       # the ledger's patience with a request whose last record is lost
WHOLE_S = 180


class TooShort(Exception):
    """The machine has become so much faster that the answers did not last."""

    def __init__(self, seconds):
        """How long the shortest did."""
        super().__init__(f"{seconds:.0f} s")
        self.seconds = seconds


def slow_pods():
    """What gives each container of the team's namespace that much of a processor, and no more."""
    return {"apiVersion": "v1", "kind": "LimitRange", "metadata": {"name": "slow", "namespace": TEAM},
            "spec": {"limits": [{"type": "Container", "default": {"cpu": CPU}, "defaultRequest": {"cpu": CPU}}]}}


class Scene:
    def __init__(self, cluster_name):
        self.release = release.Release(cluster_name)
        self.counters = self.books = None
        self.tokens = 0
        self.reference = []
        self.waves = []
        self.allowed = {}   # what of lost runs nobody could tell: see Books.missing

    def open(self):
        self.release.install("--set", f"ledger.extraArgs={{--settle-time={SETTLE}}}")
        self.kube = self.release.team(TEAM)
        self.release.apply(slow_pods())
        self.counters = books.Counters(self.release.cluster)
        model = self.release.model("brook", TEAM, minReplicas=PODS, maxReplicas=PODS + 1, engine={"slots": SLOTS, "threads": 1})
        model["spec"]["hardware"] = {"cpuMillis": 100, "memoryMiB": 1024}  # two small nodes have room for all of them
        self.release.apply(model)
        self.release.wait_answer(MODEL, 120)
        self.books = books.Books(self.release)
        self.wait_whole()
        self.choose_tokens()
        self.run_undisturbed()
        return self

    def close(self):
        for opened in (self.counters, self.books):
            if opened:
                opened.close()
        self.release.close()

    def choose_tokens(self):
        """As many as keep most streams busy for long enough, at the speed that this machine has now. They are counted over all
        of that time, for a long context makes an answer slower."""
        trial = self.wave(max_tokens=TOKENS_MAX)
        time.sleep(AIM_S)
        self.tokens = statistics.median_low(stream.count() for stream in trial.streams)
        trial.leave()
        assert self.tokens > 0, "most answers did not begin"

    def lengthen(self, seconds):
        """The answers, of which the shortest took that long."""
        assert self.tokens < TOKENS_MAX, f"an answer of {TOKENS_MAX} tokens took {seconds:.0f} s: lower CPU"
        self.tokens = min(int(self.tokens * min(AIM_S / seconds, LONGER)), TOKENS_MAX)

    def run_undisturbed(self):
        """Takes down what each client gets when nothing is lost."""
        while True:
            undisturbed = self.wave().join()
            for number, stream in enumerate(undisturbed.streams):
                assert stream.error is None and stream.breaks == 0, f"stream {number}: {stream.error}, {stream.breaks} breaks"
            fastest = min(stream.seconds for stream in undisturbed.streams)
            print(f"undisturbed: {CLIENTS} answers of {self.tokens} tokens in {fastest:.0f} to "
                  f"{max(stream.seconds for stream in undisturbed.streams):.0f} s", flush=True)
            if fastest >= STREAM_S:
                break
            self.lengthen(fastest)
        self.reference = undisturbed.answers()
        self.wait_exact()

    def wait_exact(self):
        self.books.wait_exact(self.counters, self.allowed)

    # What there is

    def gateways(self):
        """Addresses by name of the pod."""
        return {name: books.address_of(pod) for name, pod in sorted(self.release.pods("gateway").items())}

    def wave(self, max_tokens=None):
        wave = streams.Wave(list(self.gateways().values()), MODEL, CLIENTS, max_tokens or self.tokens)
        self.waves = [other for other in self.waves if not other.is_over()] + [wave]
        return wave

    def wave_under_way(self):
        """Each of them in mid-answer."""
        began = time.monotonic()
        wave = self.wave().wait_under_way()
        if not wave.all_under_way():
            raise TooShort(time.monotonic() - began)
        return wave

    def leave_waves(self):
        """Those of a test that failed must not be in the way of the next one."""
        while self.waves:
            self.waves.pop().leave()

    def pods(self):
        return product.pods_of(self.kube, "brook")

    def busy_pod(self, not_on=()):
        """One that answers some of the streams now."""
        running = {name: self.books.running_on(pod) for name, pod in self.pods().items()
                   if pod["spec"]["nodeName"] not in not_on}
        name = max(running, key=running.get)
        assert running[name] > 0, running
        return name, self.pods()[name], running[name]

    def gateway_nodes(self):
        return {pod["spec"]["nodeName"] for pod in self.release.pods("gateway").values()}

    def wait_whole(self):
        """All pods there and ready, and the model's in the routes."""
        def ready(found, count):
            return len(found) == count and all(map(rig.is_ready, found.values()))
        wait_for(lambda: ready(self.release.pods("operator"), 2) and ready(self.release.pods("gateway"), 2) and
                 ready(self.release.pods("ledger"), 1) and ready(self.pods(), PODS), WHOLE_S, "a whole system")
        wait_for(lambda: self.release.leader() in self.release.pods("operator"), 20, "a leader")
        wait_for(lambda: self.release.status(self.kube, "brook").get("readyReplicas") == PODS, 30, "the status to say so")
        self.release.wait_answer(MODEL)

    def kill_program(self, pod, name):
        """kill -9 in a pod: its container begins anew, in the same place."""
        killed = [pid for pid in rig.processes_of(pod) if machine.program_name(pid) == name]
        assert killed, f"{name} does not run in {pod['metadata']['name']}"
        for pid in killed:
            os.kill(pid, 9)

    def lease(self):
        return self.release.kube.get("lease", f"{self.release.name}-operator")["spec"]["holderIdentity"]

    def scale(self, kind, component, count):
        self.release.kube.run("scale", kind, f"{self.release.name}-{component}", f"--replicas={count}")
        if count == 0:
            wait_for(lambda: not self.release.kube.get("pods", selector=f"app.kubernetes.io/component={component}")["items"],
                     60, f"the end of all pods of {component}")
