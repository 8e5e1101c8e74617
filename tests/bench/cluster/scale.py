# SPDX-License-Identifier: Apache-2.0
"""The operator with many models on a real API server: its memory, how long a reconcile takes, and how long it takes from
its start until every model has a status; and how long another one takes to take over. It has no nodes, so models that want
pods get copies (fleet.py)."""
import contextlib
import pathlib
import re
import time
import urllib.error
import urllib.request

import outside
from addresses import Addresses
from fleet import Fleet, Node, make_gateway

NAMESPACE = "bench"
SEED = "the-first-one"
STANDBY_S = 600
TAKEOVER_S = 300
LOOK_S = 0.25        # a page of metrics costs the operator something: it has thousands of connections to count
SETTLE_S = 15        # after the last status: what was freed is free, and the operator's usual work goes on
MEMORY_AIM = "<= 128 MiB with 10,000 models and 100,000 pods"


def memory_mib(pid, row):
    text = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(re.search(rf"{row}:\s+(\d+) kB", text).group(1)) / 1024


def metrics(operator):
    with urllib.request.urlopen(f"http://{operator.address}/metrics", timeout=60) as answer:
        return answer.read().decode()


class Reconciles:
    """What the operator's own histogram says."""

    def __init__(self, text):
        name = "controller_runtime_reconcile_time_seconds"
        rows = re.findall(rf'^{name}_bucket{{.*le="([^"]+)".*}} (\d+)', text, re.MULTILINE)
        self.buckets = [(float(bound), int(count)) for bound, count in rows]
        self.count = self.buckets[-1][1]

    def quantile_ms(self, share):
        """Within a bucket as if its values were spread evenly: as Prometheus does it."""
        wanted = share * self.count
        low, below = 0.0, 0
        for bound, count in self.buckets:
            if count >= wanted:
                if bound == float("inf"):
                    return low * 1000
                return (low + (bound - low) * (wanted - below) / max(count - below, 1)) * 1000
            low, below = bound, count
        return low * 1000


def wait_for_statuses(fleet, version, count):
    """Until so many models were seen whose status is of their generation."""
    seen = set()
    for event in fleet.direct.watch(fleet.models_path, version):
        found = event["object"]
        if found.get("status", {}).get("observedGeneration") == found["metadata"]["generation"]:
            seen.add(found["metadata"]["name"])
            if len(seen) == count:
                return


def metric(operator, name):
    return float(re.search(rf"^{name} (\S+)$", metrics(operator), re.MULTILINE)[1])


def leads(operator):
    return metric(operator, "spate_operator_leading") == 1


def has_routes(operator):
    """It leads and has told the gateways of routes: the first ones wait for all agents to answer."""
    return leads(operator) and metric(operator, "spate_operator_routes_published_total") > 0


def is_ready(operator):
    try:
        with urllib.request.urlopen(f"http://{operator.address}/ready", timeout=60):
            return True
    except urllib.error.HTTPError:
        return False


def report_operator(report, operator, what):
    reconciles = Reconciles(metrics(operator))
    workload = (f"{reconciles.count} reconciles; at most {memory_mib(operator.process.pid, 'VmHWM'):.1f} MiB since its start")
    report.figure(f"{what}: memory of the operator", round(memory_mib(operator.process.pid, "VmRSS"), 1), "MiB",
                  workload, MEMORY_AIM)
    report.figure(f"{what}: reconcile p50", round(reconciles.quantile_ms(0.5), 3), "ms")
    report.figure(f"{what}: reconcile p99", round(reconciles.quantile_ms(0.99), 3), "ms", aim="<= 50 ms")


def open_place(stack, name):
    """A cluster with one node that is an object, and the credential of a gateway on it."""
    place = stack.enter_context(outside.Outside(name, control_plane_only=True))
    fleet = Fleet(place.cluster, NAMESPACE)
    place.make_namespace(NAMESPACE)
    host = place.cluster.plan.host_address
    node = Node(fleet.direct, host)
    stack.callback(node.done.set)
    return place, fleet, make_gateway(fleet.direct, outside.NAMESPACE, host)


def measure_start(report, place, fleet, credential, shape, wait, what, workload):
    """Starts an operator that knows of nothing; wait(version) returns when it has done what it has to."""
    version = fleet.resource_version()
    started = time.monotonic()
    operator = place.start_operator("measured")
    place.start_gateway(credential, operator)
    wait(operator, version)
    took = time.monotonic() - started
    time.sleep(SETTLE_S)
    report.figure(f"{shape}: operator's start until {what}", round(took, 1), "s", workload)
    report_operator(report, operator, shape)
    return operator


def measure_takeover(report, place, fleet, leader, shape, change):
    """The leader is killed; another operator, whose views are complete, takes over and meets a model that was changed when
    nobody led."""
    standby = place.start_operator("standby")
    place.wait_for(lambda: is_ready(standby), STANDBY_S, "the views of the standby")
    time.sleep(SETTLE_S)
    path = f"{fleet.models_path}/model-0"
    killed = time.monotonic()
    leader.kill()
    generation = fleet.direct.merge(path, {"spec": change})["metadata"]["generation"]
    for what, condition in (
            ("the other one leads", lambda: leads(standby)),
            ("and has reconciled a change", lambda: fleet.direct.get(path)["status"]["observedGeneration"] == generation),
            ("and has told of its first routes", lambda: has_routes(standby))):
        place.wait_for(condition, TAKEOVER_S, what, LOOK_S)
        report.figure(f"{shape}: leader killed: {what}", round(time.monotonic() - killed, 1), "s",
                      aim="<= 5 s median, <= 8 s at most")


def measure_models(report, name, count):
    """Models without pods that no operator has seen yet."""
    with contextlib.ExitStack() as stack:
        place, fleet, credential = open_place(stack, f"{name}-{count}")
        fleet.make_model(SEED, 0)
        fleet.copy(SEED, count)
        measure_start(report, place, fleet, credential, f"{count} models without pods",
                      lambda _, version: wait_for_statuses(fleet, version, count), "all have a status",
                      "it writes each of them, and keeps to 100 requests a second by itself")


def measure_pods(report, name, count, pods_each):
    """Models with pods that run and are recorded, found by an operator that starts."""
    with contextlib.ExitStack() as stack:
        place, fleet, credential = open_place(stack, f"{name}-pods")
        shape = f"{count} models, {count * pods_each} pods"
        make_pods(place, fleet, credential, count, pods_each)
        leader = measure_start(
            report, place, fleet, credential, shape,
            lambda operator, _: place.wait_for(lambda: has_routes(operator), STANDBY_S, "routes", LOOK_S), "its first routes",
            "all is listed, and each agent is asked; one agent stands for all")
        measure_takeover(report, place, fleet, leader, shape, {"scaling": {"maxReplicas": pods_each + 1}})


def make_pods(place, fleet, credential, count, pods_each):
    """The operator makes the pods of one model and finds them ready; then it ends, and that model is copied."""
    fleet.make_model(SEED, pods_each)
    operator = place.start_operator("first")
    place.start_gateway(credential, operator)
    place.wait_for(lambda: len(fleet.status_of(SEED).get("pods", ())) == pods_each, 60, "the pods of the first model")
    fleet.addresses = Addresses(place.cluster)
    place.start_agent(fleet.port_of(SEED))
    fleet.run_pods(SEED)
    place.wait_for(lambda: fleet.status_of(SEED).get("readyReplicas") == pods_each, 60, "their being ready")
    place.stop_programs("gateway", "first")
    fleet.copy(SEED, count)
    place.freeze_controllers()
