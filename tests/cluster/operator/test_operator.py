# SPDX-License-Identifier: Apache-2.0
"""The operator on a real cluster: a model becomes pods, answers from zero, is bound to its object; leaders come and go."""
import json
import signal
import threading
import time
import unittest

import system
from system import product, rig, wait_for

TAKEOVER_LIMIT_S = 8
POLL_BREAKS_OFF_S = 2
LEFT_S = 8  # half of what Kubernetes takes to miss a node of the test cluster
READY_S = 60


def routed_pods(routes):
    """The uids of those that get work by these routes."""
    return {pod["uid"] for model in routes["models"] for pod in model["pods"]}


class Operator(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.system = system.System("operator-test")
        cls.addClassCleanup(cls.system.close)
        cls.first = cls.system.start_operator("first")
        wait_for(lambda: cls.system.holder() == "first", 30, "a leader")
        cls.system.start_ledger()
        # Anew, now that there is a ledger to name.
        cls.first.stop()
        cls.operators = [cls.system.start_operator(name) for name in ("first", "second")]
        cls.system.make_operator_service(*cls.operators)
        cls.gateway = cls.system.make_gateway()
        cls.addClassCleanup(cls.show_trouble)

    @classmethod
    def show_trouble(cls):
        for program in cls.system.programs.values():
            text = program.log.read_text()
            if "error spate" in text or "AddressSanitizer" in text:
                print(program.name, text[-4000:])

    def setUp(self):
        self.kube = rig.Kube(self.system.cluster, self.id().rpartition(".")[2].replace("_", "-")[:60].strip("-"))
        self.kube.make_namespace()
        self.addCleanup(self.clear)

    def clear(self):
        self.kube.run("delete", "modeldeployment", "--all", "--wait=true")
        self.system.kubectl("delete", "namespace", self.kube.namespace, "--wait=false")

    def pods(self, model="brook"):
        return product.pods_of(self.kube, model)

    def condition(self, name, model="brook"):
        return product.conditions(self.kube, model).get(name, {})

    def wait_ready(self, model="brook", count=1):
        wait_for(lambda: sum(map(rig.is_ready, self.pods(model).values())) == count and
                 self.condition("Ready", model).get("status") == "True", READY_S, f"{count} ready pods of {model}")

    def ask(self, model):
        return product.ask(self.gateway, model)

    # A model and its pods

    def test_a_pod_belongs_to_its_model(self):
        self.system.apply(self.system.model("brook", self.kube.namespace, minReplicas=2))
        self.wait_ready(count=2)
        model = self.kube.get("modeldeployment", "brook")
        for pod in self.pods().values():
            owner, = pod["metadata"]["ownerReferences"]
            self.assertEqual((owner["uid"], owner["controller"]), (model["metadata"]["uid"], True))
            self.assertNotIn("serviceAccountToken", json.dumps(pod["spec"].get("volumes", [])))
        self.assertEqual(model["status"]["readyReplicas"], 2)
        self.assertEqual(model["status"]["observedGeneration"], model["metadata"]["generation"])
        self.assertEqual(len({pod["spec"]["nodeName"] for pod in self.pods().values()}), 2)
        self.assertIn("ScaledUp", self.kube.run("get", "events.events.k8s.io"))
        # Who drains a node takes one of two at most.
        budget = wait_for(lambda: (lambda b: b if b.get("status", {}).get("currentHealthy") == 2 else None)(
            self.kube.get("poddisruptionbudget", "brook-spate")), 30, "a budget that knows the pods")
        self.assertEqual((budget["spec"]["minAvailable"], budget["status"]["disruptionsAllowed"]), (1, 1))
        # The operator is not needed for the end: its pods go with their owner.
        self.kube.run("delete", "modeldeployment", "brook")
        wait_for(lambda: not self.pods(), 60, "the end of the pods")

    def managers(self, kind, name, kube=None):
        """Of an object, in whose name our programs wrote which part of it, and how."""
        found = (kube or self.kube).get(kind, name)
        return {row["manager"]: (row["operation"], row.get("subresource", ""), sorted(row["fieldsV1"]))
                for row in found["metadata"]["managedFields"] if row["manager"].startswith("spate")}

    def test_each_concern_has_a_field_manager(self):
        self.system.apply(self.system.model("brook", self.kube.namespace, minReplicas=2))
        self.wait_ready(count=2)
        whole, home = ["f:metadata", "f:spec"], self.system.kube
        self.assertEqual(self.managers("modeldeployment", "brook"), {"spate-operator-status": ("Update", "status", ["f:status"])})
        for name in self.pods():
            self.assertEqual(self.managers("pod", name), {"spate-operator-pod": ("Update", "", whole)})
        self.assertEqual(self.managers("poddisruptionbudget", "brook-spate"), {"spate-operator-budget": ("Apply", "", whole)})
        self.assertEqual(self.managers("lease", "spate-operator", home), {"spate-operator-lease": ("Update", "", ["f:spec"])})
        self.assertEqual(list(self.managers("secret", "spate-token-key", home)), ["spate-operator-key"])
        event = self.kube.get("events.events.k8s.io", fields="reason=ScaledUp")["items"][0]["metadata"]["name"]
        self.assertEqual(list(self.managers("events.events.k8s.io", event)), ["spate-operator-event"])

    def test_a_deleted_pod_is_replaced(self):
        self.system.apply(self.system.model("brook", self.kube.namespace, minReplicas=1))
        self.wait_ready()
        name, = self.pods()
        self.kube.run("delete", "pod", name, "--wait=false")
        wait_for(lambda: self.pods() and name not in self.pods(), 20, "another pod")
        self.wait_ready()

    def test_a_model_answers_from_zero(self):
        self.system.apply(self.system.model("brook", self.kube.namespace), product.tenant("acme", self.kube.namespace))
        wait_for(lambda: self.condition("NameAccepted").get("status") == "True", 20, "the model's conditions")
        self.assertEqual(self.pods(), {})
        name = f"{self.kube.namespace}/brook"
        status, answer = wait_for(lambda: (lambda a: a if a[0] == 200 else None)(self.ask(name)), 60, "an answer")
        self.assertEqual(answer["model"], name)
        self.assertGreater(answer["usage"]["completion_tokens"], 0)
        self.assertEqual(len(self.pods()), 1)

    def test_what_keeps_a_pod_pending_is_said(self):
        self.system.apply(self.system.model("brook", self.kube.namespace, uri="oci://spate.invalid/missing:1", minReplicas=1),
                          self.system.model("wide", self.kube.namespace, engine={"threads": 512}, minReplicas=1),
                          self.system.model("claim", self.kube.namespace, uri="pvc://absent/x", minReplicas=1),
                          self.system.model("bad", self.kube.namespace, uri="pvc://Absent/x", minReplicas=1))

        def message(model):
            return " ".join(pod.get("message", "") for pod in self.kube.get("modeldeployment", model)["status"].get("pods", ()))

        wait_for(lambda: "no node has room for it" in message("wide") and "Insufficient cpu" in message("wide"), 30, "wide")
        wait_for(lambda: "absent" in message("claim"), 30, "claim")
        wait_for(lambda: "spate.invalid/missing:1" in message("brook"), 60, "brook")
        wait_for(lambda: self.condition("WeightsReachable", "bad").get("status") == "False", 20, "bad")
        self.assertIn("pvc://CLAIM/path", self.condition("WeightsReachable", "bad")["message"])

    def test_gpus_and_spot_are_obeyed(self):
        model = self.system.model("brook", self.kube.namespace, minReplicas=4, spot={"percent": 50, "minOnDemand": 1})
        model["spec"]["hardware"] = {"gpus": 2, "cpuMillis": 50, "memoryMiB": 512}
        model["spec"]["placement"] = {"nodeLabels": [{"key": "kubernetes.io/os", "value": "linux"}]}
        self.system.apply(model)
        self.wait_ready(count=4)
        capacity = {"n1": "spot", "n2": "spot", "n3": "on-demand"}
        placed = [(pod["metadata"]["labels"]["spate.dev/capacity"], capacity[pod["spec"]["nodeName"]])
                  for pod in self.pods().values()]
        self.assertEqual(sorted(placed), [("on-demand", "on-demand")] * 2 + [("spot", "spot")] * 2)
        wait_for(lambda: {row["type"]: row["readyReplicas"] for row in self.kube.get(
            "modeldeployment", "brook")["status"].get("capacity", ())} == {"Spot": 2, "OnDemand": 2}, 20, "the status to say so")
        for pod in self.pods().values():
            container, = pod["spec"]["containers"]
            self.assertEqual(container["resources"]["limits"]["nvidia.com/gpu"], "2")

    def test_a_gateway_of_another_release_is_not_waited_for(self):
        """It runs in the same namespace, and never says a word to this operator."""
        self.system.make_gateway("other-0", account="other-gateway")
        self.addCleanup(self.system.kube.run, "delete", "pod", "other-0", "--now", "--wait=false")
        wait_for(lambda: self.system.kube.get("pod", "other-0")["status"].get("phase") == "Running", 30, "the other gateway")
        self.system.apply(self.system.model("brook", self.kube.namespace, mode="Manual", replicas=2))
        self.wait_ready(count=2)
        self.kube.run("scale", "modeldeployment", "brook", "--replicas=1")
        wait_for(lambda: len(self.pods()) == 1, 30, "one pod being gone")

    def test_a_draining_pod_alone_is_kept_from_eviction(self):
        """An autoscaler of nodes waits for it, and may move any other."""
        self.system.apply(self.system.model("brook", self.kube.namespace, mode="Manual", replicas=2),
                          product.tenant("acme", self.kube.namespace))
        self.wait_ready(count=2)
        model = f"{self.kube.namespace}/brook"
        wait_for(lambda: self.ask(model)[0] == 200, 60, "a first answer")
        streams = [product.open_stream(self.gateway, model, max_tokens=20000) for _ in range(4)]
        for stream in streams:
            self.addCleanup(stream.close)
        self.assertEqual(list(self.marks().values()), ["true", "true"])
        self.kube.run("scale", "modeldeployment", "brook", "--replicas=1")
        marks = wait_for(lambda: (lambda found: found if "false" in found.values() else None)(self.marks()), 20, "a pod that is kept")
        self.assertEqual(sorted(marks.values()), ["false", "true"])
        draining = [row["name"] for row in self.kube.get("modeldeployment", "brook")["status"]["pods"] if row["phase"] == "Draining"]
        self.assertEqual(draining, [name for name, mark in marks.items() if mark == "false"])
        self.assertEqual(self.managers("pod", draining[0]), {
            "spate-operator-pod": ("Update", "", ["f:metadata", "f:spec"]), "spate-operator-note": ("Update", "", ["f:metadata"])})
        for stream in streams:
            stream.close()
        wait_for(lambda: len(self.pods()) == 1, 60, "one pod being gone")
        self.assertEqual(list(self.marks().values()), ["true"])

    def marks(self):
        """What an autoscaler of nodes is told of each pod."""
        return {name: pod["metadata"]["annotations"]["cluster-autoscaler.kubernetes.io/safe-to-evict"]
                for name, pod in self.pods().items()}

    # Nodes

    def test_a_node_that_falls_silent_is_left_at_once(self):
        """Long before Kubernetes knows it: the gateways miss its pods. The stream goes on elsewhere."""
        self.system.apply(self.system.model("brook", self.kube.namespace, minReplicas=1, maxReplicas=1),
                          product.tenant("acme", self.kube.namespace))
        self.wait_ready()
        name, pod = next(iter(self.pods().items()))
        node = pod["spec"]["nodeName"]
        if node == "n3":
            self.skip_node_of_the_gateway(name)
            (name, pod), = self.pods().items()
            node = pod["spec"]["nodeName"]
        answers = []
        model = f"{self.kube.namespace}/brook"
        wait_for(lambda: self.ask(model)[0] == 200, 60, "a first answer")
        request = {"model": model, "messages": [{"role": "user", "content": "Count."}], "max_tokens": 4000, "ignore_eos": True,
                   "temperature": 0}
        thread = threading.Thread(target=lambda: answers.append(product.request_json(
            self.gateway, "POST", "/v1/chat/completions", request, product.KEY, timeout=120)))
        thread.start()
        time.sleep(0.5)
        leader = self.system.programs[self.system.holder()]
        token = self.system.gateway_token(leader)
        self.assertIn(pod["metadata"]["uid"], routed_pods(self.system.routes(leader, token)))
        began = time.monotonic()
        self.system.cluster.kill_node(int(node[1:]))
        try:
            wait_for(lambda: pod["metadata"]["uid"] not in routed_pods(self.system.routes(leader, token)), LEFT_S,
                     "routes without the silent pod")
            wait_for(lambda: name not in {row["name"] for row in self.kube.get("modeldeployment", "brook")["status"].get("pods", ())},
                     began + LEFT_S - time.monotonic(), "a status without the silent pod")
            print(f"left {time.monotonic() - began:.1f} s after the node fell silent")
            self.assertEqual(self.readiness(node), "True")
            wait_for(lambda: sum(rig.is_ready(other) and other["spec"]["nodeName"] != node for other in self.pods().values()) == 1,
                     40, "a ready pod elsewhere")
            print(f"replaced {time.monotonic() - began:.1f} s after it (Kubernetes says Ready={self.readiness(node)})")
            thread.join(120)
            status, answer = answers[0]
            self.assertEqual(status, 200, answer)
            self.assertEqual(answer["usage"]["completion_tokens"], 4000)
        finally:
            thread.join(120)
            self.system.cluster.start_node(int(node[1:]))

    def readiness(self, node):
        """True, False or Unknown, as Kubernetes says it."""
        return {row["type"]: row["status"] for row in self.kube.get("node", node)["status"]["conditions"]}["Ready"]

    def skip_node_of_the_gateway(self, name):
        """Moves the pod to another node."""
        self.system.kubectl("cordon", "n3")
        self.addCleanup(self.system.kubectl, "uncordon", "n3")
        self.kube.run("delete", "pod", name)
        self.wait_ready()

    def test_a_killed_node_is_seen_through(self):
        """The API goes on to list a dead node's pods; others take their place all the same."""
        self.system.apply(self.system.model("brook", self.kube.namespace, minReplicas=2, maxReplicas=2))
        self.wait_ready(count=2)
        name, pod = next((name, pod) for name, pod in self.pods().items() if pod["spec"]["nodeName"] != "n3")
        number = int(pod["spec"]["nodeName"][1:])
        self.system.cluster.kill_node(number)
        try:
            wait_for(lambda: self.readiness(f"n{number}") != "True", 120, "a node that is not ready")
            began = time.monotonic()
            wait_for(lambda: sum(rig.is_ready(other) and other["spec"]["nodeName"] != f"n{number}"
                                 for other in self.pods().values()) == 2, 30, "two ready pods elsewhere")
            print(f"replaced {time.monotonic() - began:.1f} s after the node was seen to be dead")
            listed = {row["name"] for row in self.kube.get("modeldeployment", "brook")["status"]["pods"]}
            self.assertNotIn(name, listed)
        finally:
            self.system.cluster.start_node(number)
        wait_for(lambda: name not in {p["metadata"]["name"] for p in self.kube.get("pods")["items"]}, 120, "the end of the lost pod")

    def test_a_reclaimed_node_loses_its_pods_at_once(self):
        self.system.apply(self.system.model("brook", self.kube.namespace, minReplicas=1))
        self.wait_ready()
        (name, pod), = self.pods().items()
        node = pod["spec"]["nodeName"]
        self.system.kubectl("taint", "node", node, "spate.dev/reclaim=:NoSchedule")
        self.addCleanup(self.system.kubectl, "taint", "node", node, "spate.dev/reclaim-", check=False)
        wait_for(lambda: name not in self.pods(), 20, "the end of the reclaimed pod")
        self.wait_ready()
        other, = self.pods().values()
        self.assertNotEqual(other["spec"]["nodeName"], node)

    # Leadership

    def test_a_standby_takes_over(self):
        self.system.apply(self.system.model("brook", self.kube.namespace, minReplicas=2))
        self.wait_ready(count=2)
        before = set(self.pods())
        for _ in range(3):
            leader = self.system.programs[self.system.holder()]
            other = next(program for program in self.operators if program.name != leader.name)
            self.assertEqual(product.request_json(other.address, "GET", "/ready")[0], 200)
            poll = self.poll_a_standby(leader, other)
            epoch = poll.epoch()
            began = time.monotonic()
            leader.kill()
            wait_for(lambda: self.system.holder() == other.name, TAKEOVER_LIMIT_S, "the takeover")
            print(f"takeover after {time.monotonic() - began:.1f} s")
            self.check_poll(poll, epoch, began)
            # The new leader acts: it makes a third pod.
            self.restart(leader.name)
        self.kube.run("patch", "modeldeployment", "brook", "--type=merge", "-p", '{"spec":{"scaling":{"minReplicas":3}}}')
        self.wait_ready(count=3)
        self.assertLessEqual(before, set(self.pods()))

    def poll_a_standby(self, leader, standby):
        """A gateway may ask either: the standby has the leader's routes. Returns a poll that waits there for newer ones."""
        token = self.system.gateway_token(standby)
        wait_for(lambda: self.system.routes(standby, token)["version"] == self.system.routes(leader, token)["version"], 10,
                 "the leader's version at the standby")
        poll = system.RoutesPoll(standby, token)
        self.addCleanup(poll.end)
        wait_for(poll.epoch, 10, "a first answer to the poll")
        return poll

    def check_poll(self, poll, epoch, killed):
        """Who waited while the leader died was answered at once, and is told the next leader's routes where it asked."""
        answered = min(at for at, _, _ in poll.answers if at > killed)
        self.assertLess(answered - killed, POLL_BREAKS_OFF_S)
        wait_for(lambda: poll.epoch() > epoch, TAKEOVER_LIMIT_S, "routes of the next leader")
        poll.end()

    def restart(self, name):
        program = self.system.start_operator(name)
        self.operators[:] = [program if old.name == name else old for old in self.operators]
        self.system.make_operator_service(*self.operators)

    def test_a_frozen_leader_doubles_nothing(self):
        self.system.apply(self.system.model("brook", self.kube.namespace, minReplicas=1))
        self.wait_ready()
        leader = self.system.programs[self.system.holder()]
        leader.signal(signal.SIGSTOP)
        try:
            wait_for(lambda: self.system.holder() not in ("", leader.name), TAKEOVER_LIMIT_S, "the takeover")
            self.kube.run("patch", "modeldeployment", "brook", "--type=merge", "-p", '{"spec":{"scaling":{"minReplicas":2}}}')
            self.wait_ready(count=2)
        finally:
            leader.signal(signal.SIGCONT)
        names = set(self.pods())
        time.sleep(5)
        self.assertEqual(set(self.pods()), names)
        self.assertNotEqual(self.system.holder(), leader.name)

    def test_a_deleted_namespace_holds_up_no_other(self):
        """Its Role goes with it, so the operator that starts next may not read it."""
        gone = rig.Kube(self.system.cluster, f"{self.kube.namespace}-2"[-60:].strip("-")).make_namespace()
        config = self.system.make_narrow_account(self.kube.namespace, gone.namespace)
        for operator in self.operators:
            operator.stop()
            self.addCleanup(self.restart, operator.name)
        watched = "--watch-namespaces", f"{self.kube.namespace},{gone.namespace}"
        narrow = self.system.start_operator("narrow", *watched, kubeconfig=config)
        for kube in (self.kube, gone):
            self.system.apply(self.system.model("brook", kube.namespace, minReplicas=1, maxReplicas=2))
        self.wait_ready()
        wait_for(lambda: len(product.pods_of(gone, "brook")) == 1, 30, "a pod in the other namespace")
        narrow.kill()
        self.system.kubectl("delete", "namespace", gone.namespace, "--wait=true")
        narrow = self.system.start_operator("narrow", *watched, kubeconfig=config)
        self.addCleanup(narrow.stop)
        self.kube.run("patch", "modeldeployment", "brook", "--type=merge", "-p", '{"spec":{"scaling":{"minReplicas":2}}}')
        self.wait_ready(count=2)
        self.assertEqual(product.request_json(narrow.address, "GET", "/ready")[0], 200)

    # Trust

    def test_only_gateways_get_tokens(self):
        def refusal(token, gateway="gateway-0"):
            status, body = product.request_json(self.operators[0].address, "POST", "/internal/v1/token", {"gateway": gateway}, token)
            return status, body.get("message", "")

        self.assertEqual(refusal(None)[0], 401)
        self.assertEqual(refusal("nonsense")[0], 401)
        # The right account, but no pod; the right audience, but not the account; the account, but another audience.
        credential = self.system.gateway_credential
        self.assertEqual(refusal(credential())[0], 401)
        self.assertEqual(refusal(credential("default"))[0], 401)
        self.assertEqual(refusal(credential(audience="other"))[0], 401)
        # Bound to the gateway's pod: that one, and no other name.
        bound = credential("spate-gateway", "--bound-object-kind", "Pod", "--bound-object-name", "gateway-0")
        self.assertEqual(refusal(bound)[0], 200)
        self.assertEqual(refusal(bound, "gateway-1")[0], 401)
        for path in ("/internal/v1/routes?run=00000000000000000000000000", "/internal/v1/load"):
            self.assertIn(product.request_json(self.operators[0].address, "GET", path)[0], (401, 405))


if __name__ == "__main__":
    unittest.main(verbosity=2)
