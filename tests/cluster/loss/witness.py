# SPDX-License-Identifier: Apache-2.0
"""Sees every pod that there ever was in a namespace, and every pod that a gateway was ever told of."""
import contextlib
import http.client
import json
import threading
import time

LOOK_S = 0.005


class Pods:
    """By watch, so that no pod is missed however short its life was."""

    def __init__(self, api, namespace):
        self.api, self.path = api, f"/api/v1/namespaces/{namespace}/pods"
        self.uids = {}      # name -> uids, in the order they came
        self.present = {}   # uid -> name, of those that are there
        self.ended = False
        listed = api.get(self.path)
        for pod in listed["items"]:
            self.take("ADDED", pod)
        self.version = listed["metadata"]["resourceVersion"]
        threading.Thread(target=self.watch, daemon=True).start()

    def watch(self):
        while not self.ended:
            with contextlib.suppress(OSError, http.client.HTTPException):
                for event in self.api.watch(self.path, self.version):
                    assert event["type"] != "ERROR", event
                    self.version = event["object"]["metadata"]["resourceVersion"]
                    self.take(event["type"], event["object"])

    def take(self, change, pod):
        name, uid = pod["metadata"]["name"], pod["metadata"]["uid"]
        known = self.uids.setdefault(name, [])
        if uid not in known:
            known.append(uid)
        if change == "DELETED":
            self.present.pop(uid, None)
        else:
            self.present[uid] = name

    def doubles(self):
        """The pods that came under a name that another had before them."""
        return {uid: name for name, uids in list(self.uids.items()) for uid in uids[1:]}


class Routes:
    """What a gateway keeps on its disk, a folder of this host: each snapshot that it obeyed."""

    def __init__(self, cluster, gateway_pod):
        node, uid = gateway_pod["spec"]["nodeName"], gateway_pod["metadata"]["uid"]
        self.path = (cluster.plan.machine_folder(node) / "kubelet" / "pods" / uid / "volumes" / "kubernetes.io~empty-dir" /
                     "state" / "routes.json")
        self.ever = {}      # uid -> name of the pod
        self.now = {}
        self.version = ""
        self.ended = False
        threading.Thread(target=self.watch, daemon=True).start()

    def watch(self):
        seen = None
        while not self.ended:
            with contextlib.suppress(FileNotFoundError, ValueError):
                inode = self.path.stat()
                if (inode.st_ino, inode.st_mtime_ns) != seen:
                    seen = inode.st_ino, inode.st_mtime_ns
                    self.take(json.loads(self.path.read_text()))
            time.sleep(LOOK_S)

    def take(self, snapshot):
        self.now = {pod["uid"]: pod["name"] for model in snapshot["models"] for pod in model["pods"]}
        self.ever |= self.now
        self.version = snapshot["version"]

    @property
    def epoch(self):
        return int(self.version.split(":")[1]) if self.version else 0
