# SPDX-License-Identifier: Apache-2.0
"""What ./dev cluster can do with a cluster."""
import shutil
import time

from . import api
from . import control_plane
from . import machine as machines
from . import network
from . import node as nodes
from . import plan as plans
from .binaries import CONTROL_PLANE, Binaries
from .certificates import Authority

API_READY_S = 60
NODES_READY_S = 90


class Cluster:
    def __init__(self, name="default"):
        self.plan = plans.Plan(name)
        self.authority = Authority(self.plan)
        self.binaries = Binaries()

    def machine(self, name):
        return machines.Machine(self.plan, name)

    @property
    def has_nodes(self):
        return any(self.plan.machine_folder(node.name).exists() for node in plans.NODES)

    # The whole

    def up(self, control_plane_only=False):
        """Makes the cluster anew. Whatever an earlier one of this name left is taken down first."""
        self.binaries.get(CONTROL_PLANE if control_plane_only else None)
        self.down()
        self.plan.take_slot()
        self.binaries.link(self.plan.programs)
        self.authority.make()
        control_plane.prepare(self.plan, self.authority)
        control_plane.power_on(self.plan, self.authority, self.binaries, with_nodes=not control_plane_only)
        machines.wait_for(lambda: api.is_ready(self.plan), API_READY_S,
                          f"the API server being ready ({self.plan.log_folder(plans.CONTROL_PLANE)} says why)")

    def down(self):
        """Leaves no process, mount, link, cgroup or file of the cluster, whatever state it is in."""
        for name in machines.running(self.plan):
            self.machine(name).power_off()
        if (self.plan.folder / "plan.json").exists():
            network.remove_host_link(self.plan)
        machines.remove_cgroups(self.plan)
        shutil.rmtree(self.plan.folder, ignore_errors=True)

    # For people

    def environment(self):
        return {"KUBECONFIG": str(self.plan.kubeconfig), "SPATE_CLUSTER": self.plan.name,
                "PATH": f"{self.plan.programs}:$PATH"}

    def status(self):
        """Each component and whether it is well; each node and whether it is on and Ready."""
        plan = self.plan
        probes = {"etcd": (plans.ETCD_METRICS_PORT, "/health", False), "kube-apiserver": (plans.API_PORT, "/readyz"),
                  "kube-controller-manager": (plans.CONTROLLER_MANAGER_PORT, "/healthz")}
        if self.has_nodes:
            probes["kube-scheduler"] = (plans.SCHEDULER_PORT, "/healthz")
            probes["coredns"] = (plans.DNS_READY_PORT, "/ready", False)
        components = {name: api.answers(plan, *probe) for name, probe in probes.items()}
        ready = api.node_conditions(plan) if components["kube-apiserver"] else {}
        running = machines.running(plan)
        return {"name": plan.name, "server": plan.server, "kubeconfig": str(plan.kubeconfig), "components": components,
                "nodes": {node.name: {"on": node.name in running, "ready": ready.get(node.name, "Unknown"),
                                      "capacity": node.capacity, "zone": node.zone, "address": plan.node_address(node)}
                          for node in plans.NODES} if self.has_nodes else {}}
