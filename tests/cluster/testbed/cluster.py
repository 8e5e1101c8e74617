# SPDX-License-Identifier: Apache-2.0
"""What ./dev cluster can do with a cluster."""
import pathlib

from . import api
from . import control_plane
from . import images
from . import limits
from . import machine as machines
from . import network
from . import node as nodes
from . import plan as plans
from . import policies
from . import storage
from .binaries import CONTROL_PLANE, WHOLE, Binaries
from .certificates import Authority

API_READY_S = 60
NODE_READY_S = 120


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

    def up(self, control_plane_only=False, with_policies=False):
        """Makes the cluster anew. Whatever an earlier one of this name left is taken down first. with_policies: NetworkPolicies
        are enforced."""
        self.binaries.get(CONTROL_PLANE if control_plane_only else WHOLE)
        if with_policies:
            self.binaries.get([policies.PROGRAM])
        self.down()
        if not control_plane_only:
            limits.check_inotify()
        self.plan.take_slot()
        self.binaries.link(self.plan.programs)
        self.authority.make()
        control_plane.prepare(self.plan, self.authority)
        control_plane.power_on(self.plan, self.authority, self.binaries, with_nodes=not control_plane_only)
        self.wait_for_component("kube-apiserver")
        control_plane.go_on(self.plan)
        if not control_plane_only:
            self.up_nodes(with_policies)
        machines.wait_for(lambda: api.can_make_pods(self.plan), API_READY_S, "a default service account")

    def up_nodes(self, with_policies):
        archives = [images.pause_image(self.plan.folder), images.busybox_image(self.plan.folder)]
        if with_policies:
            policies.define(self.plan)
        for node in plans.NODES:
            nodes.prepare(self.plan, node, self.authority, with_policies)
            nodes.power_on(self.plan, node, self.authority, self.binaries)
        storage.prepare(self.plan)
        for archive in archives:
            self.load(archive)
        for node in plans.NODES:
            self.wait_for_node(node)
        self.wait_for_component("coredns")

    def wait_for_component(self, name):
        log = self.plan.log_folder(plans.CONTROL_PLANE) / f"{name}.log"
        machines.wait_for(lambda: api.answers(self.plan, *control_plane.PROBES[name]), API_READY_S,
                          f"{name} being ready ({log} says why)")

    def down(self):
        """Leaves no process, mount, link, cgroup or file of the cluster, whatever state it is in."""
        for name in machines.running(self.plan):
            self.machine(name).power_off()
        machines.end_clients(self.plan)
        if (self.plan.folder / "plan.json").exists():
            network.remove_host_link(self.plan)
        machines.remove_cgroups(self.plan)
        self.plan.remove_folder()

    # Nodes

    def wait_for_node(self, node):
        machines.wait_for(lambda: nodes.is_whole(self.plan, node), NODE_READY_S,
                          f"node {node.name} being Ready ({self.plan.log_folder(node.name)} says why)")
        if policies.are_enforced(self.plan, node):
            policies.wait_ready(self.plan, node)

    def kill_node(self, number):
        """Without notice: first the cable, so that no dying program's last packets get out, then every process."""
        node = self.existing_node(number)
        if self.machine(node.name).pid is None:
            raise plans.ClusterError(f"node {node.name} of cluster {self.plan.name} is off already; "
                                     f"./dev cluster start-node {node.number} brings it back")
        network.cut_node(self.plan, node)
        self.machine(node.name).power_off()

    def start_node(self, number):
        """As after a crash: its disk is as it was, everything else is new."""
        node = self.existing_node(number)
        machine = self.machine(node.name)
        if machine.pid is not None:
            raise plans.ClusterError(f"node {node.name} of cluster {self.plan.name} is on; "
                                     f"./dev cluster kill-node {node.number} turns it off")
        self.binaries.get()
        if policies.are_enforced(self.plan, node):
            self.binaries.get([policies.PROGRAM])
        machine.remove_cgroups()
        nodes.power_on(self.plan, node, self.authority, self.binaries)
        self.wait_for_node(node)

    def existing_node(self, number):
        node = self.plan.node_by_number(number)
        if not self.plan.machine_folder(node.name).exists():
            raise plans.ClusterError(f"cluster {self.plan.name} has no nodes; ./dev cluster up makes it with three")
        return node

    def load(self, archive):
        """Puts the images of a docker archive on every node that is on."""
        self.binaries.get()
        for node in plans.NODES:
            if self.machine(node.name).pid is not None:
                nodes.load(self.plan, node, self.binaries, pathlib.Path(archive).resolve())

    # For people

    def environment(self):
        return {"KUBECONFIG": str(self.plan.kubeconfig), "SPATE_CLUSTER": self.plan.name,
                "PATH": f"{self.plan.programs}:$PATH"}

    def status(self):
        """Each component and whether it is well; each node and whether it is on and Ready."""
        plan = self.plan
        components = {name: api.answers(plan, *probe) for name, probe in control_plane.PROBES.items()
                      if self.has_nodes or name in CONTROL_PLANE}
        ready = api.node_conditions(plan) if components["kube-apiserver"] else {}
        return {"name": plan.name, "server": plan.server, "kubeconfig": str(plan.kubeconfig), "components": components,
                "nodes": {node.name: self.node_status(node, ready) for node in plans.NODES} if self.has_nodes else {}}

    def node_status(self, node, ready):
        machine = self.machine(node.name)
        running = machine.processes().values()
        return {"on": machine.pid is not None, "ready": ready.get(node.name, "Unknown"),
                "daemons": {name: name in running for name in nodes.daemons_of(self.plan, node)}, "capacity": node.capacity,
                "zone": node.zone, "address": self.plan.node_address(node)}
