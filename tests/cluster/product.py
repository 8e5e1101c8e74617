# SPDX-License-Identifier: Apache-2.0
"""Spate as tests on a cluster meet it: its images, its objects, what it says of them, and a client's requests."""
import hashlib
import http.client
import json
import os
import pathlib
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
BIN = pathlib.Path(os.environ.get("SPATE_BIN", ROOT / "build" / "dev" / "bin"))
KEY = "sk-test-acme"

# Images


def image(name, tag):
    return f"spate.invalid/{name}:{tag}"


def load_images(cluster, names, tag):
    """Builds images of the programs under test and puts them on every node."""
    with tempfile.TemporaryDirectory(prefix="spate-images-") as folder:
        built = subprocess.run([sys.executable, str(ROOT / "images" / "build.py"), *names, "--out", folder, "--programs", str(BIN),
                                "--tag", tag], check=False, capture_output=True, text=True)
        if built.returncode != 0:
            raise AssertionError(f"images/build.py: {built.stderr}")
        for name in names:
            cluster.load(pathlib.Path(folder) / f"{name}.tar")


# Objects


def model(name, namespace, uri, engine=None, **scaling):
    return {"apiVersion": "spate.dev/v1alpha1", "kind": "ModelDeployment", "metadata": {"name": name, "namespace": namespace},
            "spec": {"model": {"uri": uri}, "engine": engine or {},
                     "scaling": {"minReplicas": 0, "maxReplicas": 4, "scaleDownDelaySeconds": 2} | scaling}}


def tenant(name, *namespaces, key=KEY):
    return {"apiVersion": "spate.dev/v1alpha1", "kind": "Tenant", "metadata": {"name": name},
            "spec": {"namespaces": list(namespaces), "keys": [{"id": "k1", "sha256": hashlib.sha256(key.encode()).hexdigest()}]}}


def pods_of(kube, name):
    """Of a model, those that are not on their way out, by name."""
    found = kube.get("pods", selector=f"spate.dev/model={name}")["items"]
    return {pod["metadata"]["name"]: pod for pod in found if "deletionTimestamp" not in pod["metadata"]}


def conditions(kube, name):
    """Of a model, by type."""
    status = kube.get("modeldeployment", name).get("status", {})
    return {row["type"]: row for row in status.get("conditions", ())}


def holder(kube, lease="spate-operator"):
    """Name of the operator that leads; empty: nobody."""
    found = kube.get("leases", fields=f"metadata.name={lease}")["items"]
    return found[0]["spec"].get("holderIdentity", "").partition("_")[0] if found else ""


# Requests


def request_json(address, method, path, body=None, token=None, timeout=30):
    """Status and body, an object where it is one."""
    connection = http.client.HTTPConnection(address, timeout=timeout)
    headers = {"content-type": "application/json"} | ({"authorization": f"Bearer {token}"} if token else {})
    connection.request(method, path, json.dumps(body) if body is not None else None, headers)
    answer = connection.getresponse()
    text = answer.read().decode()
    connection.close()
    return answer.status, json.loads(text) if text.startswith("{") else text


def ask(address, name, text="What is 345 + 678?", key=KEY, **more):
    """One whole answer: status and object."""
    return request_json(address, "POST", "/v1/chat/completions", token=key, timeout=120, body={
        "model": name, "messages": [{"role": "user", "content": text}], "max_tokens": 16, "temperature": 0} | more)


def open_stream(address, name, text="Count.", key=KEY, **more):
    """A streamed answer that has begun, as its connection: close it to leave."""
    body = {"model": name, "messages": [{"role": "user", "content": text}], "stream": True, "ignore_eos": True} | more
    connection = http.client.HTTPConnection(address, timeout=60)
    connection.request("POST", "/v1/chat/completions", json.dumps(body),
                       {"content-type": "application/json", "authorization": f"Bearer {key}"})
    answer = connection.getresponse()
    if answer.status != 200:
        raise AssertionError(f"no stream: {answer.status} {answer.read()}")
    answer.readline()
    return connection
