# SPDX-License-Identifier: Apache-2.0
"""The operator as a process on a scripted API server, for tests of a cluster that changes under it, or refuses something."""
import base64
import copy
import os
import subprocess
import time
import unittest

from api_server import ApiServer, Refusal
from kube_tool import temporary_folder, write_kubeconfig

HOME = "spate-system"
KIND = {"apiVersion": "spate.dev/v1alpha1", "kind": "ModelDeployment"}
SPOT = {"karpenter.sh/capacity-type": "spot"}


class Cluster(ApiServer):
    """Of its requests those are refused for which `refusal` gives a status."""

    def __init__(self):
        super().__init__()
        self.refusal = lambda request: None
        keys = {name: base64.b64encode(b"11" * 32).decode() for name in ("token.key", "token.pub")}
        with self.condition:
            self.create("secrets", {"metadata": {"name": "spate-token-key"}, "data": keys}, HOME)
            self.create("nodes", {"metadata": {"name": "n1", "labels": {}},
                                  "status": {"conditions": [{"type": "Ready", "status": "True"}]}})

    def handle(self, connection, request):
        code = self.refusal(request)
        if code is not None:
            raise Refusal(code, message="refused by the script")
        super().handle(connection, request)

    def all_of(self, plural, namespace):
        with self.condition:
            return [copy.deepcopy(obj) for (kind, where, _), obj in self.objects.items() if (kind, where) == (plural, namespace)]

    def get(self, plural, namespace, name):
        with self.condition:
            return copy.deepcopy(self.objects.get((plural, namespace, name)))

    def edit(self, plural, namespace, name, change):
        with self.condition:
            obj = copy.deepcopy(self.objects[plural, namespace, name])
            change(obj)
            self.change("MODIFIED", plural, obj)

    def delete(self, plural, namespace, name):
        with self.condition:
            self.change("DELETED", plural, copy.deepcopy(self.objects[plural, namespace, name]))

    def make_model(self, namespace, replicas, **scaling):
        with self.condition:
            self.create("modeldeployments", KIND | {
                "metadata": {"name": "brook", "generation": 1},
                "spec": {"model": {"uri": "file:///models/brook"},
                         "scaling": {"minReplicas": replicas, "maxReplicas": 4} | scaling}}, namespace)

    def place(self, pod, node):
        """As the scheduler and the kubelet do it; no agent is there."""
        def run(obj):
            obj["spec"]["nodeName"] = node
            obj["status"] = {"phase": "Running", "podIP": "127.0.0.9",
                             "containerStatuses": [{"name": "agent", "restartCount": 0, "state": {"running": {}}}]}
        self.edit("pods", pod["metadata"]["namespace"], pod["metadata"]["name"], run)


class Platform(unittest.TestCase):
    def setUp(self):
        self.cluster = Cluster()
        self.addCleanup(self.cluster.close)
        self.folder = temporary_folder(self)
        self.operator = None
        self.addCleanup(self.stop)

    def start(self, *arguments):
        with open(os.path.join(self.folder, "operator.log"), "ab") as log:
            self.operator = subprocess.Popen(
                [os.path.join(os.environ["SPATE_BIN"], "spate-operator"), "--platform", "kube", "--kubeconfig",
                 write_kubeconfig(self.folder, self.cluster.port), "--namespace", HOME, "--name", "one", "--listen",
                 "127.0.0.1:0", "--agent-image", "spate.invalid/agent:1", *arguments], stdout=log, stderr=log)

    def kill(self):
        self.operator.kill()
        self.operator.wait()

    def stop(self):
        """A proper end, in which a build with sanitizers looks for leaks."""
        if self.operator is None:
            return
        self.operator.terminate()
        self.assertEqual(self.operator.wait(20), 0, self.log())
        for request in self.cluster.requests:
            if request.method in ("POST", "PUT", "PATCH"):
                self.assertRegex(request.query.get("fieldManager", ""), r"^spate-operator-[a-z]+$", request.plural)

    def log(self):
        with open(os.path.join(self.folder, "operator.log"), encoding="utf-8") as file:
            return file.read()[-8000:]

    def wait_for(self, condition, what, seconds=20):
        deadline = time.monotonic() + seconds
        while not (found := condition()):
            self.assertIsNone(self.operator.poll(), self.log())
            self.assertLess(time.monotonic(), deadline, f"never: {what}\n{self.log()}")
            time.sleep(0.05)
        return found

    def status(self, namespace="team-a"):
        return self.cluster.get("modeldeployments", namespace, "brook").get("status", {})

    def wait_pods(self, count, namespace="team-a"):
        """So many pods, and their model's status has them all."""
        pods = self.wait_for(lambda: (lambda p: p if len(p) == count else None)(self.cluster.all_of("pods", namespace)),
                             f"{count} pods in {namespace}")
        self.wait_for(lambda: len(self.status(namespace).get("pods", ())) == count, f"{count} pods in a status")
        return pods
