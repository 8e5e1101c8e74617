# SPDX-License-Identifier: Apache-2.0
"""What enforces NetworkPolicies, in a cluster that wants it: Felix, the program that Calico runs on every node, with pod networks
that are not Calico's. It finds the link of a pod by its name (link_name.py gives it), and keeps rules of iptables in its node's
own network."""
import os

from . import api
from . import machine as machines

PROGRAM = "calico-felix"
HEALTH_PORT = 9099
READY_S = 60
NAMING = {"type": "link_name.py"}
NAMING_FOLDER = os.path.dirname(__file__)

SETTINGS = """\
[global]
DatastoreType = kubernetes
FelixHostname = {node}
InterfacePrefix = cali
# Routes are made by the plugin that makes the links.
RouteSyncDisabled = true
IptablesBackend = nft
DefaultEndpointToHostAction = ACCEPT
Ipv6Support = false
XDPEnabled = false
UsageReportingEnabled = false
HealthEnabled = true
HealthPort = {health_port}
LogFilePath = none
LogSeverityFile = none
LogSeveritySys = none
LogSeverityScreen = WARNING
MetadataAddr = none
"""

# The kinds that Felix asks for. None is ever made but the one that says that the rest is complete.
GROUP = "crd.projectcalico.org"
KINDS = {"BGPConfiguration": "Cluster", "ClusterInformation": "Cluster", "FelixConfiguration": "Cluster",
         "GlobalNetworkPolicy": "Cluster", "GlobalNetworkSet": "Cluster", "HostEndpoint": "Cluster", "IPAMBlock": "Cluster",
         "IPPool": "Cluster", "NetworkPolicy": "Namespaced", "NetworkSet": "Namespaced"}


def settings(plan, node):
    """The file whose being there makes a node enforce policies."""
    return plan.machine_folder(node.name) / "felix.cfg"


def prepare(plan, node):
    settings(plan, node).write_text(SETTINGS.format(node=node.name, health_port=HEALTH_PORT))


def are_enforced(plan, node):
    return settings(plan, node).exists()


def daemon(plan, node, binaries):
    return machines.daemon(PROGRAM, binaries.path(PROGRAM), "--config-file", settings(plan, node),
                           environment={"KUBECONFIG": str(plan.kubeconfig), "USE_POD_CIDR": "true"})


def plural(kind):
    return kind.lower().removesuffix("y") + "ies" if kind.endswith("y") else kind.lower() + "s"


def define(plan):
    """Before Felix is started: it waits for these seconds at a time."""
    anything = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
    api.apply(plan, *({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": f"{plural(kind)}.{GROUP}"},
        "spec": {"group": GROUP, "scope": scope, "names": {"kind": kind, "plural": plural(kind), "singular": kind.lower()},
                 "versions": [{"name": "v1", "served": True, "storage": True, "schema": anything}]}}
        for kind, scope in KINDS.items()))
    api.kubectl(plan, "wait", "--for=condition=Established", f"--timeout={READY_S}s",
                *(f"crd/{plural(kind)}.{GROUP}" for kind in KINDS))
    api.apply(plan, {"apiVersion": f"{GROUP}/v1", "kind": "ClusterInformation", "metadata": {"name": "default"},
                     "spec": {"clusterGUID": plan.name, "datastoreReady": True}})


def wait_ready(plan, node):
    """Until the rules of all policies and pods that there are, are in force."""
    machine = machines.Machine(plan, node.name)
    command = ["curl", "--silent", "--fail", "--max-time", 3, f"http://localhost:{HEALTH_PORT}/readiness"]
    machines.wait_for(lambda: machine.inside(command, check=False, capture_output=True).returncode == 0, READY_S,
                      f"{PROGRAM} on {node.name} being ready ({plan.log_folder(node.name)} says why)")
