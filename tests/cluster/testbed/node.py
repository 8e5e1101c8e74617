# SPDX-License-Identifier: Apache-2.0
"""The machines "n1", "n2", "n3": containerd, kubelet and kube-proxy, with a pod network and a cgroup of their own."""
import json
import os
import uuid

from . import api
from . import images
from . import machine as machines
from . import network
from . import plan as plans
from . import policies

CONTAINERD_SOCKET = "/run/containerd/containerd.sock"
CNI_PROGRAMS = "/usr/lib/cni"
GPU = "nvidia.com/gpu"
DAEMONS = ("containerd", "kubelet", "kube-proxy")  # and policies.PROGRAM, where it enforces them

# A kubelet sets these for the whole host if they are different. In a node's machine they seem to be right already.
KUBELET_SYSCTLS = {
    "vm/overcommit_memory": "1", "vm/panic_on_oom": "0", "kernel/panic": "10", "kernel/panic_on_oops": "1",
    "kernel/keys/root_maxkeys": "1000000", "kernel/keys/root_maxbytes": "25000000",
}

# New at each power_on, so that a node is seen to have been off.
BOOT_ID = "kernel/random/boot_id"

CONTAINERD_SETTINGS = """\
version = 3
root = "{folder}/containerd"
state = "/run/containerd"
disabled_plugins = ["io.containerd.nri.v1.nri", "io.containerd.internal.v1.opt", "io.containerd.internal.v1.tracing",
    "io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.devmapper",
    "io.containerd.snapshotter.v1.erofs", "io.containerd.snapshotter.v1.zfs"]

[grpc]
address = "{socket}"

[plugins.'io.containerd.cri.v1.images'.pinned_images]
sandbox = "{pause}"

[plugins.'io.containerd.cri.v1.images'.registry]
config_path = "{folder}/registries"

[plugins.'io.containerd.cri.v1.runtime']
# The invoker may itself not be allowed to lower the score.
restrict_oom_score_adj = true

[plugins.'io.containerd.cri.v1.runtime'.cni]
bin_dirs = ["{cni}", "{naming}"]
conf_dir = "{folder}/cni"

[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"
"""


def prepare(plan, node, authority, with_policies):
    """Certificates and settings, before anything runs."""
    folder = plan.machine_folder(node.name)
    (folder / "cni").mkdir(parents=True)
    if with_policies:
        policies.prepare(plan, node)
    registries(plan, node).mkdir()
    authority.server(node.name, f"O = system:nodes\nCN = system:node:{node.name}",
                     [f"DNS:{node.name}", f"IP:{plan.node_address(node)}"])
    authority.write_kubeconfig(node.name, authority.file(f"{node.name}.kubeconfig"))
    (folder / "containerd.toml").write_text(CONTAINERD_SETTINGS.format(
        folder=folder, socket=CONTAINERD_SOCKET, pause=images.PAUSE, cni=CNI_PROGRAMS,
        naming=policies.NAMING_FOLDER))
    (folder / "cni" / "10-pods.conflist").write_text(json.dumps(pod_network(plan, node), indent=2))
    (folder / "kubelet.json").write_text(json.dumps(kubelet_settings(plan, node, authority), indent=2))


def registries(plan, node):
    """HOST/hosts.toml in it says how that registry is asked. It is read at each pull."""
    return plan.machine_folder(node.name) / "registries"


def pod_network(plan, node):
    """Each pod has a link of its own to its node, which routes; so all packets pass the node's rules for services."""
    link = {"type": "ptp", "ipMasq": False,
            "ipam": {"type": "host-local", "dataDir": "/run/cni", "ranges": [[{"subnet": plan.pods_of(node)}]],
                     "routes": [{"dst": "0.0.0.0/0"}]}}
    plugins = [link, policies.NAMING] if policies.are_enforced(plan, node) else [link]
    return {"cniVersion": "1.0.0", "name": "pods", "plugins": plugins}


def kubelet_settings(plan, node, authority):
    folder = plan.machine_folder(node.name)
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1", "kind": "KubeletConfiguration",
        "address": "0.0.0.0",
        "authentication": {"x509": {"clientCAFile": str(authority.certificate)}},
        "tlsCertFile": str(authority.file(f"{node.name}.crt")),
        "tlsPrivateKeyFile": str(authority.file(f"{node.name}.key")),
        "containerRuntimeEndpoint": f"unix://{CONTAINERD_SOCKET}",
        "clusterDNS": [plan.control_plane_address], "clusterDomain": plans.DOMAIN, "resolvConf": "",
        "failSwapOn": False, "failCgroupV1": False, "cgroupDriver": "cgroupfs",
        "cgroupRoot": f"/{machines.Machine(plan, node.name).cgroup}", "enforceNodeAllocatable": [],
        "makeIPTablesUtilChains": False, "serializeImagePulls": False,
        "volumePluginDir": f"{folder}/kubelet/volume-plugins",
        # The disk is the host's: how full that is, is not this node's concern.
        "imageGCHighThresholdPercent": 100,
        "evictionHard": {"memory.available": "100Mi", "nodefs.available": "0%", "nodefs.inodesFree": "0%",
                         "imagefs.available": "0%", "imagefs.inodesFree": "0%"},
        # Tests kill nodes and containers: both are to be seen, and to come back, soon.
        "nodeStatusUpdateFrequency": "2s", "nodeLeaseDurationSeconds": 12,
        "featureGates": {"KubeletCrashLoopBackOffMax": True},
        "crashLoopBackOff": {"maxContainerRestartPeriod": "1s"},
    }


def power_on(plan, node, authority, binaries):
    machine = machines.Machine(plan, node.name)
    folder = machine.folder
    kubeconfig = authority.file(f"{node.name}.kubeconfig")
    labels = {"topology.kubernetes.io/region": "here", "topology.kubernetes.io/zone": node.zone,
              "karpenter.sh/capacity-type": node.capacity}
    # containerd looks for its shim on the path: the one that was built with it comes first.
    path = f"{binaries.path('containerd-shim-runc-v2').parent}:{os.environ['PATH']}"
    daemons = [
        machines.daemon("containerd", binaries.path("containerd"), "--config", folder / "containerd.toml",
                        environment={"PATH": path}),
        machines.daemon("kubelet", binaries.path("kubelet"), "--config", folder / "kubelet.json", "--kubeconfig", kubeconfig,
                        "--root-dir", folder / "kubelet", "--cert-dir", folder / "kubelet" / "pki",
                        "--hostname-override", node.name, "--node-ip", plan.node_address(node),
                        "--node-labels", ",".join(f"{name}={value}" for name, value in labels.items()),
                        wait_for_path=CONTAINERD_SOCKET),
        machines.daemon("kube-proxy", binaries.path("kube-proxy"), "--kubeconfig",
                        authority.file("kube-proxy.kubeconfig"), "--hostname-override", node.name,
                        "--proxy-mode", "nftables", "--cluster-cidr", plan.pods,
                        # The size of the table of connections is the host's.
                        "--conntrack-max-per-core", "0", "--conntrack-min", "0"),
    ]
    if policies.are_enforced(plan, node):
        daemons.append(policies.daemon(plan, node, binaries))
    machine.power_on(lambda pid: network.connect_node(plan, node, pid), daemons, own_run=True,
                     sysctls=KUBELET_SYSCTLS | {BOOT_ID: str(uuid.uuid4())})


def daemons_of(plan, node):
    return (*DAEMONS, policies.PROGRAM) if policies.are_enforced(plan, node) else DAEMONS


def load(plan, node, binaries, archive):
    """Imports a docker archive into the node's containerd."""
    machine = machines.Machine(plan, node.name)
    machines.wait_for(lambda: machine.inside(["test", "-S", CONTAINERD_SOCKET], check=False).returncode == 0, 30,
                      f"containerd on {node.name}")
    result = machine.inside([binaries.path("ctr"), "--address", CONTAINERD_SOCKET, "--namespace", "k8s.io", "images",
                             "import", archive], capture_output=True, text=True, check=False)
    if result.returncode != 0:
        raise plans.ClusterError(f"node {node.name} does not take {archive}: {result.stderr.strip()}")


def give_gpus(plan, node):
    """There are none, but the scheduler and every kubelet count them."""
    patch = [{"op": "add", "path": "/status/capacity/" + GPU.replace("/", "~1"), "value": str(plans.GPUS_PER_NODE)}]
    api.kubectl(plan, "patch", "node", node.name, "--subresource", "status", "--type", "json", "--patch", json.dumps(patch))


def is_whole(plan, node):
    """Ready since it was last turned on, and with GPUs to give."""
    found = api.find(plan, "node", node.name)
    if found is None:
        return False
    status = found["status"]
    ready = any(c["type"] == "Ready" and c["status"] == "True" for c in status.get("conditions", ()))
    wanted = str(plans.GPUS_PER_NODE)
    if status.get("capacity", {}).get(GPU) != wanted:
        give_gpus(plan, node)
    boot = machines.Machine(plan, node.name).sysctl(BOOT_ID)
    return ready and status["nodeInfo"]["bootID"] == boot and status.get("allocatable", {}).get(GPU) == wanted
