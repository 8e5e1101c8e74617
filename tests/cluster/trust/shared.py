# SPDX-License-Identifier: Apache-2.0
"""What all tests here share: one installed release, a model that answers, and the pods of every program."""
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import product  # noqa: E402
import release  # noqa: E402
import rig  # noqa: E402
import foreign  # noqa: E402
import tokens  # noqa: E402

TEAM = "acme-team"
MODEL = f"{TEAM}/brook"
BROOK = release.BROOK


class System:
    """Made once for the whole file of tests: setUpModule calls start(), and stop() comes in any case."""

    def __init__(self):
        self.release = None
        self.team = None
        self.foreign = None
        self.mint = None

    def start(self):
        self.release = release.Release("trust-test")
        self.release.install()
        self.team = self.release.team(TEAM)
        self.release.apply(product.tenant("victim", "nothing-here", key="sk-test-victim"),
                           self.release.model("brook", TEAM, minReplicas=1))
        self.foreign = foreign.Foreign(self.release.cluster)
        self.release.wait_answer(MODEL, 90)
        self.mint = tokens.Mint(self.release.kube.get("secret", f"{self.release.name}-token-key"))

    def stop(self):
        if self.release:
            self.release.close()

    def pods(self):
        """Of each program, those that run: (program, name, pod)."""
        found = [(program, name, pod) for program in ("operator", "gateway", "ledger")
                 for name, pod in self.release.pods(program).items()]
        return found + [("agent", name, pod) for name, pod in product.pods_of(self.team, "brook").items() if rig.is_ready(pod)]

    def addresses(self):
        """Of each program, every pod's own address: no Service in between."""
        found = {}
        for program, _, pod in self.pods():
            found.setdefault(program, []).append(f"{pod['status']['podIP']}:{foreign.declared_port(pod, 'http')}")
        return found

    def metrics_addresses(self):
        """Where Prometheus asks them: a gateway has a port for that, so that its clients do not read of each other."""
        return self.addresses() | {"gateway": [f"{pod['status']['podIP']}:{foreign.declared_port(pod, 'metrics')}"
                                               for program, _, pod in self.pods() if program == "gateway"]}


system = System()
