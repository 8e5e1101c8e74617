# SPDX-License-Identifier: Apache-2.0
"""For tests on the cluster: the cluster itself, small objects as people would write them, and waiting for what comes."""
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from testbed import api, images, limits, machine, plan  # noqa: E402
from testbed.cluster import Cluster  # noqa: E402
from testbed.machine import wait_for  # noqa: E402

__all__ = ["Cluster", "Kube", "api", "images", "plan", "pod", "processes_of", "restricted", "service", "wait_for", "workload"]


class Kube:
    """One namespace."""

    def __init__(self, cluster, namespace):
        self.plan = cluster.plan
        self.namespace = namespace

    def make_namespace(self, **labels):
        api.apply(self.plan, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": self.namespace, "labels": {
            "pod-security.kubernetes.io/enforce": "restricted", **labels}}})
        return self

    def run(self, *arguments, **options):
        """kubectl."""
        return api.kubectl(self.plan, "--namespace", self.namespace, *arguments, **options)

    def apply(self, *objects):
        api.apply(self.plan, *({**o, "metadata": {**o["metadata"], "namespace": self.namespace}} for o in objects))

    def get(self, kind, name=None, selector=None, fields=None):
        """An object, or without a name a list of them."""
        return api.get(self.plan, kind, name, self.namespace, selector, fields)

    def pods(self, app):
        return self.get("pods", selector=f"app={app}")["items"]

    def pod_on(self, app, node):
        return next(p["metadata"]["name"] for p in self.pods(app) if p["spec"].get("nodeName") == node)

    def shell(self, name, command):
        """What a shell command prints inside a pod."""
        return self.run("exec", name, "--", "sh", "-c", command)

    def wait_ready(self, app, count, seconds=60):
        wait_for(lambda: sum(map(is_ready, self.pods(app))) == count, seconds, f"{count} ready pods of {app}")


def processes_of(found):
    """The pids, on this host, of what a pod runs: to be stopped or killed there."""
    mark = f"pod{found['metadata']['uid']}/"
    return [pid for pid in machine.pids() if mark in machine.read_proc(pid, "cgroup")]


def is_ready(found):
    return any(c["type"] == "Ready" and c["status"] == "True" for c in found["status"].get("conditions", ()))


def restricted(container):
    """A container as the PodSecurity level "restricted" wants it."""
    return container | {"securityContext": {
        "allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}, "readOnlyRootFilesystem": True}}


def pod(app, command, gpus=0, port=None, volumes=(), mounts=()):
    """Of the busybox image, as user 65534."""
    container = restricted({"name": "main", "image": images.BUSYBOX, "command": ["sh", "-c", command],
                            "volumeMounts": [{"name": "scratch", "mountPath": "/tmp"}, *mounts]})
    if gpus:
        container["resources"] = {"limits": {"nvidia.com/gpu": gpus}}
    if port:
        container["readinessProbe"] = {"tcpSocket": {"port": port}, "periodSeconds": 1}
    return {"metadata": {"labels": {"app": app}}, "spec": {
        "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
        "terminationGracePeriodSeconds": 1, "automountServiceAccountToken": False, "containers": [container],
        "volumes": [{"name": "scratch", "emptyDir": {}}, *volumes]}}


def workload(kind, app, template, **spec):
    return {"apiVersion": "apps/v1", "kind": kind, "metadata": {"name": app},
            "spec": {"selector": {"matchLabels": {"app": app}}, "template": template, **spec}}


def service(app, port):
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": app},
            "spec": {"selector": {"app": app}, "ports": [{"port": 80, "targetPort": port}]}}
