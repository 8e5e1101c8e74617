# SPDX-License-Identifier: Apache-2.0
"""The leader of two operators is killed, again and again: how long until the other one leads and has put right what
changed meanwhile."""
import statistics
import time

import outside
from fleet import Fleet

NAMESPACE = "bench"
MODELS = 10
LEAD_LIMIT_S = 60
POLL_S = 0.01


class Pair:
    def __init__(self, place):
        self.place = place
        self.fleet = Fleet(place.cluster, NAMESPACE)
        self.direct = self.fleet.direct
        self.operators = {name: place.start_operator(name) for name in ("first", "second")}
        place.wait_for(self.holder, LEAD_LIMIT_S, "a leader")

    def holder(self):
        """Name of the operator in the Lease; empty: nobody."""
        leases = self.direct.get(f"/apis/coordination.k8s.io/v1/namespaces/{outside.NAMESPACE}/leases")["items"]
        return next((lease["spec"].get("holderIdentity", "").partition("_")[0] for lease in leases
                     if lease["metadata"]["name"] == "spate-operator"), "")

    def until(self, condition, what):
        self.place.wait_for(condition, LEAD_LIMIT_S, what, POLL_S)
        return time.monotonic()

    def kill_leader(self, round_number):
        """Seconds from the kill until the other one is in the Lease, and until it has answered a change that was made
        when nobody led."""
        leader = self.holder()
        path = f"{self.fleet.models_path}/model-{round_number % MODELS}"
        killed = time.monotonic()
        self.operators[leader].kill()
        generation = self.direct.merge(path, {"spec": {"scaling": {"maxReplicas": 5 + round_number}}})["metadata"]["generation"]
        leads = self.until(lambda: self.holder() not in ("", leader), "another leader")
        done = self.until(lambda: self.direct.get(path).get("status", {}).get("observedGeneration") == generation,
                          "a reconcile by the new leader")
        self.operators[leader] = self.place.start_operator(leader)
        return leads - killed, done - killed


def measure(report, name, kills):
    with outside.Outside(f"{name}-failover", control_plane_only=True) as place:
        place.make_namespace(NAMESPACE)
        pair = Pair(place)
        for i in range(MODELS):
            pair.fleet.make_model(f"model-{i}", 0)
        pair.until(lambda: all(pair.fleet.status_of(f"model-{i}") for i in range(MODELS)), "a status of each model")
        rounds = [pair.kill_leader(i) for i in range(kills)]
    for what, values in zip(("the other one leads", "and has reconciled"), zip(*rounds)):
        report.figure(f"leader killed: {what}, median", round(statistics.median(values), 2), "s",
                      f"{kills} kills with SIGKILL; least {min(values):.2f} s, most {max(values):.2f} s",
                      "<= 5 s median, <= 8 s at most")
        report.figure(f"leader killed: {what}, most", round(max(values), 2), "s")
