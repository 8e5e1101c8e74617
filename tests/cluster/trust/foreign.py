# SPDX-License-Identifier: Apache-2.0
"""A pod of strangers: of another namespace, with service-account tokens of its own, that looks like a gateway as far as it can."""
import json
import pathlib
import subprocess
import sys

import rig

NAMESPACE = "strangers"
# As the gateway's own: what tells them apart is the namespace alone.
POD = "spate-gateway-0"
ACCOUNT = "spate-gateway"
AUDIENCE = "spate-operator"
CALLER = pathlib.Path(__file__).with_name("caller.py")
LISTENING = "0A"


class Foreign:
    def __init__(self, cluster):
        self.kube = rig.Kube(cluster, NAMESPACE).make_namespace()
        tokens = {"name": "tokens", "projected": {"sources": [
            {"serviceAccountToken": {"audience": AUDIENCE, "path": "operator"}}, {"serviceAccountToken": {"path": "server"}}]}}
        pod = rig.pod("stranger", "sleep 100000", volumes=[tokens],
                      mounts=[{"name": "tokens", "mountPath": "/tokens", "readOnly": True}])
        pod["metadata"] = {"name": POD, "labels": {"app": "stranger", "spate.dev/component": "gateway"}}
        pod["spec"]["serviceAccountName"] = ACCOUNT
        self.kube.apply({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": ACCOUNT}},
                        {"apiVersion": "v1", "kind": "Pod", **pod})
        self.kube.wait_ready("stranger", 1)
        self.pod = self.kube.get("pod", POD)
        self.operator_token, self.server_token = (self.kube.shell(POD, f"cat /tokens/{name}") for name in ("operator", "server"))

    def call(self, *requests):
        """Answers as (status, text), in order. The requests leave from the pod's own network."""
        done = subprocess.run(["nsenter", "--target", str(process_of(self.pod)), "--net", sys.executable, str(CALLER)],
                              input=json.dumps(requests), capture_output=True, text=True, check=True)
        return [tuple(answer) for answer in json.loads(done.stdout)]


def process_of(pod):
    return rig.processes_of(pod)[0]


def listening_ports(pod):
    """TCP ports that anything in the pod listens on, by any address."""
    ports = set()
    for file in ("tcp", "tcp6"):
        for line in pathlib.Path(f"/proc/{process_of(pod)}/net/{file}").read_text().splitlines()[1:]:
            local, _, state = line.split()[1:4]
            if state == LISTENING:
                ports.add(int(local.rpartition(":")[2], 16))
    return ports


def declared_ports(pod):
    return {port["containerPort"] for container in pod["spec"]["containers"] for port in container.get("ports", ())}


def declared_port(pod, name):
    return next(port["containerPort"] for container in pod["spec"]["containers"] for port in container.get("ports", ())
                if port["name"] == name)


def bearer(token):
    return {"authorization": f"Bearer {token}"}
