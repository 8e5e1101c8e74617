# SPDX-License-Identifier: Apache-2.0
"""A release installed by its chart on three nodes: from `helm install` to the first token, and from zero replicas to the
first token, with what the pod's own start took of it."""
import datetime
import http.client
import json
import statistics
import time

import outside  # noqa: F401  (the path to what the cluster's tests share)
import product
import release
import rig

NAMESPACE = "bench"
MODEL = "brook"
ANSWER_S = 120
ZERO_S = 120
IDLE_S = 5           # long enough to read what the kubelet said of the pod
BODY = {"model": f"{NAMESPACE}/{MODEL}", "stream": True, "max_tokens": 8, "temperature": 0,
        "messages": [{"role": "user", "content": "What is 345 + 678?"}]}


def first_token(address):
    """Seconds from before the connection until the first data of a streamed answer; None if it was refused."""
    started = time.monotonic()
    connection = http.client.HTTPConnection(address, timeout=ANSWER_S)
    try:
        connection.request("POST", "/v1/chat/completions", json.dumps(BODY),
                           {"content-type": "application/json", "authorization": f"Bearer {product.KEY}"})
        answer = connection.getresponse()
        if answer.status != 200:
            return None
        while line := answer.readline():
            if line.startswith(b"data: {"):
                return time.monotonic() - started
        return None
    except OSError:
        return None
    finally:
        connection.close()


def answers(address):
    while first_token(address) is None:
        time.sleep(0.05)
    return True


def moment(text):
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


def pod_times(pod):
    """Seconds from the pod's creation until its container started and until it was ready. The API counts whole seconds;
    our operator notes the creation's milliseconds beside."""
    noted = pod["metadata"].get("annotations", {}).get("spate.dev/created-ms")
    created = int(noted) / 1000 if noted else moment(pod["metadata"]["creationTimestamp"])
    started = moment(pod["status"]["containerStatuses"][0]["state"]["running"]["startedAt"])
    ready = next(moment(row["lastTransitionTime"]) for row in pod["status"]["conditions"] if row["type"] == "Ready")
    return max(started - created, 0), max(ready - created, 0)


class Bench:
    def __init__(self, installed):
        self.release = installed
        self.kube = rig.Kube(installed.cluster, NAMESPACE).make_namespace()
        installed.apply(product.tenant("bench", NAMESPACE))

    def make_model(self):
        self.release.apply(self.release.model(MODEL, NAMESPACE, scaleDownDelaySeconds=1, idle={"afterSeconds": IDLE_S}))

    def pods(self):
        return self.kube.get("pods", selector=f"spate.dev/model={MODEL}")["items"]

    def wait_zero(self):
        rig.wait_for(lambda: not self.pods(), ZERO_S, "no pod of the model")
        time.sleep(1)

    def wake(self):
        """Seconds to the first token, and the two of its pod's own start."""
        self.wait_zero()
        took = first_token(self.release.gateway)
        if took is None:
            raise RuntimeError("the gateway refused the request")
        pod = rig.wait_for(lambda: next((p for p in self.pods() if rig.is_ready(p)), None), 10, "the pod that answered")
        return took, *pod_times(pod)


def measure(report, name, wakes):
    installed = release.Release(f"{name}-release")
    try:
        started = time.monotonic()
        installed.install()
        ready = time.monotonic() - started
        bench = Bench(installed)
        bench.make_model()
        answers(installed.gateway)
        report.figure("helm install to first token", round(time.monotonic() - started, 2), "s",
                      f"helm install --wait took {ready:.2f} s of it; then a tenant and a model were applied and asked; the "
                      "images were on the nodes")
        rows = [bench.wake() for _ in range(wakes)]
    finally:
        installed.close()
    for what, values in zip(("first token", "its container started, after the pod's creation",
                             "its pod was ready, after the pod's creation"), zip(*rows)):
        report.figure(f"request at zero: {what}, median", round(statistics.median(values), 2), "s",
                      f"{wakes} wakes; least {min(values):.2f} s, most {max(values):.2f} s",
                      "pod start + 0.5 s" if what == "first token" else None)
