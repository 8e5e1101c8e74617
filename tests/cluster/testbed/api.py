# SPDX-License-Identifier: Apache-2.0
"""The API server: whether it answers, and questions to it as the administrator."""
import http.client
import json
import ssl
import subprocess

from . import direct
from . import plan as plans

PROBE_S = 3


def kubectl(plan, *arguments, text=None, check=True):
    """Runs kubectl and returns what it printed; text goes to its standard input."""
    command = [str(plan.programs / "kubectl"), "--kubeconfig", str(plan.kubeconfig), *map(str, arguments)]
    result = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
    if check and result.returncode != 0:
        raise plans.ClusterError(f"kubectl {' '.join(map(str, arguments))}: {result.stderr.strip()}")
    return result.stdout


def get(plan, kind, name=None, namespace=None, selector=None, fields=None):
    """An object, or without a name a list of them: of the namespace, if one is given. As kubectl names kinds, but without it."""
    asked = direct.of(plan)
    return asked.get(asked.path(kind, name, namespace, labelSelector=selector, fieldSelector=fields))


def find(plan, kind, name, namespace=None):
    """An object, or None."""
    return next(iter(get(plan, kind, namespace=namespace, fields=f"metadata.name={name}")["items"]), None)


def apply(plan, *objects):
    kubectl(plan, "apply", "-f", "-", text=json.dumps({"apiVersion": "v1", "kind": "List", "items": objects}))


def answers(plan, port, path, tls):
    """Whether a component says that it is well; no rights are needed for that."""
    connection = None
    try:
        if tls:
            # Controller manager and scheduler sign their own certificates: this asks for life, and tells no secret.
            trust = ssl._create_unverified_context()
            connection = http.client.HTTPSConnection(plan.control_plane_address, port, timeout=PROBE_S, context=trust)
        else:
            connection = http.client.HTTPConnection(plan.control_plane_address, port, timeout=PROBE_S)
        connection.request("GET", path)
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        if connection:
            connection.close()


def can_make_pods(plan, namespace="default"):
    """Without its service account a namespace refuses them."""
    return find(plan, "serviceaccount", "default", namespace) is not None


def node_conditions(plan):
    """Node name to True, False or Unknown, as its Ready condition says."""
    found = {}
    for node in get(plan, "nodes")["items"]:
        for condition in node["status"].get("conditions", ()):
            if condition["type"] == "Ready":
                found[node["metadata"]["name"]] = condition["status"]
    return found
