# SPDX-License-Identifier: Apache-2.0
"""Models by the thousand and their pods, as the operator itself would have made them: the pods of one model are the
operator's own, and those of all others are copies of them. They run on a node that is an object and nothing more, each
with an address of its own, and one agent answers for all of them."""
import datetime
import json
import threading
import uuid

import etcd
from testbed import direct, plan

MODELS = "/apis/spate.dev/v1alpha1/namespaces/{}/modeldeployments"
PODS = "/api/v1/namespaces/{}/pods"
NODE = "bench-node"
GATEWAY = "gateway-0"
LEASES = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"
NODE_BEAT_S = 4
CACHED_TRIES = 60


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
    status = {"phase": "Running", "podIP": address, "podIPs": [{"ip": address}], "hostIP": address, "startTime": now(),
              "conditions": conditions, "containerStatuses": [container_status(pod)]}
    direct.put(f"{path}/{pod['metadata']['name']}/status", pod | {"status": pod["status"] | status})


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
    def __init__(self, cluster, namespace):
        self.cluster = cluster
        self.addresses = None  # of its pods
        self.direct = direct.of(cluster.plan)
        self.models_path = MODELS.format(namespace)
        self.pods_path = PODS.format(namespace)
        self.namespace = namespace

    def make_model(self, name, replicas):
        self.direct.post(self.models_path, model(name, self.namespace, replicas))

    def status_of(self, name):
        return self.direct.get(f"{self.models_path}/{name}").get("status", {})

    def pods_of(self, name):
        return self.direct.get(f"{self.pods_path}?labelSelector=spate.dev/model={name}")["items"]

    def resource_version(self):
        return self.direct.get(f"{self.models_path}?limit=1")["metadata"]["resourceVersion"]

    def port_of(self, name):
        return self.pods_of(name)[0]["spec"]["containers"][0]["ports"][0]["containerPort"]

    def run_pods(self, seed):
        """Says of the pods of a model that they run, as scheduler and kubelet would."""
        for pod in self.pods_of(seed):
            self.direct.post(f"{self.pods_path}/{pod['metadata']['name']}/binding", {
                "apiVersion": "v1", "kind": "Binding", "metadata": {"name": pod["metadata"]["name"]},
                "target": {"apiVersion": "v1", "kind": "Node", "name": NODE}})
        for pod in self.pods_of(seed):
            run_pod(self.direct, pod, self.addresses.take())

    def copy(self, seed, count):
        """So many models like the one named, with their pods and what the operator said of them; it goes."""
        found = self.direct.get(f"{self.models_path}/{seed}")
        pods = [pod | {"apiVersion": "v1", "kind": "Pod"} for pod in self.pods_of(seed)]
        with etcd.Store(self.cluster) as store:
            for number in range(count):
                self.put_copy(store, found, pods, seed, f"model-{number}")
        self.direct.call("DELETE", f"{self.models_path}/{seed}")
        self.wait_cached(self.models_path)
        self.wait_cached(self.pods_path)

    def wait_cached(self, path):
        """Until the API server itself has seen all that is stored."""
        version = self.direct.get(f"{path}?limit=1")["metadata"]["resourceVersion"]
        for _ in range(CACHED_TRIES):
            try:
                self.direct.get(f"{path}?limit=1&resourceVersion={version}&resourceVersionMatch=NotOlderThan")
                return
            except plan.ClusterError as error:  # 504 after some seconds
                if "Too large resource version" not in str(error):
                    raise
        raise RuntimeError(f"the API server does not catch up with {path}")

    def put_copy(self, store, found, pods, seed, name):
        """The same texts with other names, uids and addresses."""
        fresh = {seed: name} | {entry["metadata"]["uid"]: str(uuid.uuid4()) for entry in (found, *pods)}
        for pod in pods:
            before, after = pod["status"]["podIP"], self.addresses.take()
            fresh |= {f'"{before}{end}': f'"{after}{end}' for end in '":'}  # alone, and before a port
        for entry in (found, *pods):
            kept = entry | {"metadata": {key: value for key, value in entry["metadata"].items() if key != "resourceVersion"}}
            text = json.dumps(kept)
            for before, after in fresh.items():
                text = text.replace(before, after)
            kind = "pods" if entry is not found else "spate.dev/modeldeployments"
            store.put(f"{kind}/{self.namespace}/{entry['metadata']['name'].replace(seed, name)}", text)
