# SPDX-License-Identifier: Apache-2.0
"""Who is on the cluster: Spate's pods and those of others, where each listens, and who reaches whom."""
import concurrent.futures
import json
import pathlib
import subprocess
import sys
import typing

sys.path[:0] = [str(pathlib.Path(__file__).resolve().parents[1] / folder) for folder in (".", "trust")]

import foreign  # noqa: E402
import product  # noqa: E402
import rig  # noqa: E402
from testbed import plan as plans  # noqa: E402

REACH = pathlib.Path(__file__).with_name("reach.py")
MODELS = "default"
# Of Spate's own ports: so it is the pod that counts, not the number. And one of an API server.
PORTS = (7001, 7002, 8000, 6443)
LISTEN = "mkdir /tmp/www; " + "".join(f"httpd -p {port} -h /tmp/www; " for port in PORTS) + "sleep 100000"
GATEWAY_LABELS = {"app.kubernetes.io/name": "spate", "app.kubernetes.io/instance": "spate", "app.kubernetes.io/component": "gateway",
                  "spate.dev/component": "gateway"}
AGENT_LABELS = {"app.kubernetes.io/name": "spate-agent"}


class Other(typing.NamedTuple):
    """A pod of somebody else."""
    namespace: str
    labels: dict


OTHERS = {
    "neighbour": Other("spate-system", {}),  # in the release's own namespace
    "colleague": Other(MODELS, AGENT_LABELS),  # beside the model's pods, and somewhat like one
    "impostor": Other("strangers", GATEWAY_LABELS),  # all labels of a gateway: only the namespace is another
    "client": Other("clients", {"app": "client"}),
    "prometheus": Other("monitoring", {"app": "prometheus"}),
    "grafana": Other("monitoring", {"app": "grafana"}),
}


class Place(typing.NamedTuple):
    """Somewhere to come from and, by its targets, to go to."""
    role: str
    pod: dict

    @property
    def name(self):
        return self.pod["metadata"]["name"]

    @property
    def address(self):
        return self.pod["status"]["podIP"]


def make_others(cluster):
    for namespace in {other.namespace for other in OTHERS.values()}:
        rig.api.kubectl(cluster.plan, "create", "namespace", namespace, check=False)
    for name, other in OTHERS.items():
        pod = rig.pod(name, LISTEN, port=PORTS[0])
        pod["metadata"] = {"name": name, "labels": other.labels}
        rig.Kube(cluster, other.namespace).apply({"apiVersion": "v1", "kind": "Pod", **pod})
    for name, other in OTHERS.items():
        rig.Kube(cluster, other.namespace).run("wait", "pod", name, "--for=condition=Ready", "--timeout=60s")


def places(release):
    found = [Place(role, pod) for role in ("operator", "gateway", "ledger") for pod in release.pods(role).values()]
    found += [Place("agent", pod) for pod in product.pods_of(rig.Kube(release.cluster, MODELS), "brook").values()]
    return found + [Place(name, rig.Kube(release.cluster, other.namespace).get("pod", name)) for name, other in OTHERS.items()]


def targets(release, found):
    """(role, port) to the places that are meant, each as (protocol, host, port)."""
    service = release.cluster.plan.api_service_address
    known = {("api server", 6443): [("tcp", release.cluster.plan.control_plane_address, plans.API_PORT)],
             ("api server", 443): [("tcp", service, 443)],
             ("dns", "udp"): [("udp", release.cluster.plan.control_plane_address, 53)],
             ("dns", "tcp"): [("tcp", release.cluster.plan.control_plane_address, 53)]}
    for place in found:
        for port in foreign.listening_ports(place.pod):
            known.setdefault((place.role, port), []).append(("tcp", place.address, port))
    return known


def reach(place, wanted):
    """From a place to each of the wanted (protocol, host, port): whether it gets there."""
    done = subprocess.run(["nsenter", "--target", str(foreign.process_of(place.pod)), "--net", sys.executable, str(REACH)],
                          input=json.dumps(wanted), capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def who_reaches_whom(release):
    """Each (role, (role, port)) where every such place reaches every such target; with "some" after it, where only some do."""
    found = places(release)
    known = targets(release, found)
    ways = [(target, way) for target, all_ways in known.items() for way in all_ways]
    came = {}
    with concurrent.futures.ThreadPoolExecutor(len(found)) as pool:
        for place, answers in zip(found, pool.map(lambda place: reach(place, [way for _, way in ways]), found)):
            for (target, (_, host, _)), answer in zip(ways, answers):
                if host != place.address:  # whoever calls himself passes no rule
                    came.setdefault((place.role, target), set()).add(answer)
    return {way if len(seen) == 1 else (*way, "some") for way, seen in came.items() if True in seen}, set(came)


def call(place, *requests):
    """Answers as (status, text), in order, of requests that leave from that place."""
    done = subprocess.run(["nsenter", "--target", str(foreign.process_of(place.pod)), "--net", sys.executable, str(foreign.CALLER)],
                          input=json.dumps(requests), capture_output=True, text=True, check=True)
    return [tuple(answer) for answer in json.loads(done.stdout)]
