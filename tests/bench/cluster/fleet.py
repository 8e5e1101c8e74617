# SPDX-License-Identifier: Apache-2.0
"""Models by the thousand and their pods, as the operator itself would have made them: the pods of one model are the
operator's own, and those of all others are copies of them. They run on a node that is an object and nothing more, and
all have one address, where one agent answers for all of them."""
import datetime
import json
import threading

MODELS = "/apis/spate.dev/v1alpha1/namespaces/{}/modeldeployments"
PODS = "/api/v1/namespaces/{}/pods"
NODE = "bench-node"
GATEWAY = "gateway-0"
LEASES = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"
NODE_BEAT_S = 4


def now():
    return datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


class Node:
    """Ready for as long as its lease is renewed."""

    def __init__(self, direct, address):
        self.direct = direct
        self.done = threading.Event()
        direct.post("/api/v1/nodes", {"apiVersion": "v1", "kind": "Node", "metadata": {"name": NODE}})
        conditions = [{"type": "Ready", "status": "True", "reason": "KubeletReady", "lastHeartbeatTime": now(),
                       "lastTransitionTime": now()}]
        direct.merge(f"/api/v1/nodes/{NODE}/status", {"status": {
            "conditions": conditions, "addresses": [{"type": "InternalIP", "address": address}],
            "capacity": {"cpu": "100000", "memory": "100000Gi", "pods": "1000000"}}})
        direct.post(LEASES, {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
                             "metadata": {"name": NODE, "namespace": "kube-node-lease"}, "spec": self.spec()})
        threading.Thread(target=self.beat, daemon=True).start()

    def spec(self):
        return {"holderIdentity": NODE, "leaseDurationSeconds": 40, "renewTime": now()[:-1] + ".000000Z"}

    def beat(self):
        while not self.done.wait(NODE_BEAT_S):
            self.direct.merge(f"{LEASES}/{NODE}", {"spec": self.spec()})


def container_status(pod):
    container = pod["spec"]["containers"][0]
    return {"name": container["name"], "image": container["image"], "imageID": "", "ready": True, "started": True,
            "restartCount": 0, "state": {"running": {"startedAt": now()}}}


def run_pod(direct, pod, address):
    """Says of a pod that it runs, as the kubelet of its node would."""
    conditions = [{"type": kind, "status": "True"} for kind in ("PodScheduled", "Initialized", "ContainersReady", "Ready")]
    path = PODS.format(pod["metadata"]["namespace"])
    direct.merge(f"{path}/{pod['metadata']['name']}/status", {"status": {
        "phase": "Running", "podIP": address, "podIPs": [{"ip": address}], "hostIP": address, "startTime": now(),
        "conditions": conditions, "containerStatuses": [container_status(pod)]}})


def make_gateway(direct, namespace, address):
    """A pod that says to run as a gateway; returns the credential that it would have."""
    accounts = f"/api/v1/namespaces/{namespace}/serviceaccounts"
    direct.post(accounts, {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "spate-gateway"}})
    pod = direct.post(PODS.format(namespace), {
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": GATEWAY, "labels": {"spate.dev/component": "gateway"}},
        "spec": {"nodeName": NODE, "serviceAccountName": "spate-gateway",
                 "containers": [{"name": "gateway", "image": "spate.invalid/gateway:bench"}]}})
    run_pod(direct, pod, address)
    asked = {"audiences": ["spate-operator"], "expirationSeconds": 7200,
             "boundObjectRef": {"apiVersion": "v1", "kind": "Pod", "name": GATEWAY, "uid": pod["metadata"]["uid"]}}
    return direct.post(f"{accounts}/spate-gateway/token", {
        "apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": asked})["status"]["token"]


def model(name, namespace, replicas):
    return {"apiVersion": "spate.dev/v1alpha1", "kind": "ModelDeployment", "metadata": {"name": name, "namespace": namespace},
            "spec": {"model": {"uri": "oci://spate.invalid/brook:bench"},
                     "scaling": {"minReplicas": replicas, "maxReplicas": max(replicas, 4)}}}


class Fleet:
    def __init__(self, direct, namespace):
        self.direct = direct
        self.models_path = MODELS.format(namespace)
        self.pods_path = PODS.format(namespace)
        self.namespace = namespace

    def make_models(self, names, replicas):
        return self.direct.for_each(lambda name: self.direct.post(self.models_path, model(name, self.namespace, replicas)),
                                    names)

    def status_of(self, name):
        return self.direct.get(f"{self.models_path}/{name}").get("status", {})

    def pods_of(self, name):
        return self.direct.get(f"{self.pods_path}?labelSelector=spate.dev/model={name}")["items"]

    def resource_version(self):
        return self.direct.get(f"{self.models_path}?limit=1")["metadata"]["resourceVersion"]

    # Copies

    def copy_pods(self, seed, made, address, port):
        """Gives each model of `made` (objects) pods like those of the model `seed`, running at one address, and the
        status that lists them, as the operator would have written it."""
        patterns = [self.pattern(pod, port) for pod in self.pods_of(seed)]
        status = self.status_of(seed)
        self.direct.for_each(lambda owner: self.copy_to(owner, seed, patterns, status, address, port), made)
        return len(patterns) * len(made)

    def pattern(self, pod, port):
        """A pod of the seed without what the API server made of it."""
        spec = {key: found for key, found in pod["spec"].items() if key not in ("priority", "preemptionPolicy")}
        container = spec["containers"][0]
        container["ports"] = [{"name": "http", "containerPort": port}]
        metadata = {key: pod["metadata"][key] for key in ("name", "namespace", "labels", "annotations", "ownerReferences")
                    if key in pod["metadata"]}
        return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec | {"nodeName": NODE}}

    def copy_to(self, owner, seed, patterns, status, address, port):
        name = owner["metadata"]["name"]
        rows = []
        for pattern in patterns:
            pod = json.loads(json.dumps(pattern).replace(f'"{seed}', f'"{name}'))
            pod["metadata"]["ownerReferences"][0]["uid"] = owner["metadata"]["uid"]
            made = self.direct.post(self.pods_path, pod)
            run_pod(self.direct, made, address)
            row = next(row for row in status["pods"] if row["name"] == pattern["metadata"]["name"])
            rows.append(row | {"name": made["metadata"]["name"], "uid": made["metadata"]["uid"], "phase": "Pending",
                               "address": f"{address}:{port}", "message": ""})
        self.direct.merge(f"{self.models_path}/{name}/status", {"status": status | {
            "pods": rows, "selector": f"spate.dev/model={name}"}})
