# SPDX-License-Identifier: Apache-2.0
"""The links of a cluster. All of them have both ends in network namespaces of machines, but for one: the host's own link
to the cluster. Links, addresses and routes go when their machine goes."""
import json
import subprocess

from . import machine as machines
from . import plan as plans

BRIDGE = "br0"
BRIDGE_ADDRESS = "02:00:00:00:00:01"
LINK_S = 10


def ip(*arguments, inside=None):
    """The ip command, in the network of a process or in the host's."""
    enter = ["nsenter", "--target", str(inside), "--net"] if inside else []
    result = subprocess.run([*enter, "ip", *map(str, arguments)], capture_output=True, text=True, check=False)
    if result.returncode != 0:
        raise plans.ClusterError(f"ip {' '.join(map(str, arguments))}: {result.stderr.strip()}")
    return result.stdout


def set_forwarding(pid):
    subprocess.run(["nsenter", "--target", str(pid), "--net", "sh", "-c", "echo 1 >/proc/sys/net/ipv4/ip_forward"], check=True)


def link_exists(name):
    return any(link["ifname"] == name for link in json.loads(ip("-json", "link", "show")))


def connect_control_plane(plan, pid):
    """The bridge, its address, and the host's link: the host reaches machines and pods by it, and nothing else changes."""
    ip("link", "set", "lo", "up", inside=pid)
    # A bridge without an address of its own takes one of its ports': it would change with the nodes, and whoever has learnt the
    # earlier one would not reach the API server for up to a minute.
    ip("link", "add", BRIDGE, "address", BRIDGE_ADDRESS, "type", "bridge", inside=pid)
    ip("address", "add", f"{plan.control_plane_address}/24", "dev", BRIDGE, inside=pid)
    ip("link", "set", BRIDGE, "up", inside=pid)
    set_forwarding(pid)
    # Where nodes send what they know no way for: an answer at once, not silence.
    ip("route", "add", "unreachable", "default", inside=pid)
    remove_host_link(plan)
    ip("link", "add", plan.host_link, "type", "veth", "peer", "name", "host", "netns", pid)
    ip("link", "set", "host", "master", BRIDGE, "up", inside=pid)
    ip("link", "set", plan.host_link, "up", "alias", f"spate cluster {plan.name}")
    ip("address", "add", f"{plan.host_address}/24", "dev", plan.host_link)
    for node in plans.NODES:
        route = (plan.pods_of(node), "via", plan.node_address(node))
        ip("route", "add", *route, inside=pid)
        ip("route", "add", *route, "dev", plan.host_link)
    # The host has no rules for services: it leaves them to the last node, which tests do not kill without need.
    ip("route", "add", plan.services, "via", plan.node_address(plans.NODES[-1]), "dev", plan.host_link)


def connect_node(plan, node, pid):
    """One link to the bridge, and a way to the pods of each other node."""
    control_plane = machines.Machine(plan, plans.CONTROL_PLANE).pid
    remove_node_link(node, control_plane)
    # The same address each time it is on, as a machine has: others have learnt it.
    address = f"02:00:00:00:01:{plans.NODES.index(node):02x}"
    ip("link", "add", node.name, "type", "veth", "peer", "name", "eth0", "address", address, "netns", pid, inside=control_plane)
    ip("link", "set", node.name, "master", BRIDGE, "up", inside=control_plane)
    ip("link", "set", "lo", "up", inside=pid)
    ip("link", "set", "eth0", "up", inside=pid)
    ip("address", "add", f"{plan.node_address(node)}/24", "dev", "eth0", inside=pid)
    ip("route", "add", "default", "via", plan.control_plane_address, inside=pid)
    set_forwarding(pid)
    for other in plans.NODES:
        if other != node:
            ip("route", "add", plan.pods_of(other), "via", plan.node_address(other), inside=pid)


def remove_node_link(node, control_plane):
    """The kernel takes a dead machine's link away in its own time; its name is wanted now."""
    try:
        ip("link", "delete", node.name, inside=control_plane)
    except plans.ClusterError:
        pass  # gone already


def cut_node(plan, node):
    """The cable is out: no packet says so to anyone."""
    ip("link", "set", node.name, "down", inside=machines.Machine(plan, plans.CONTROL_PLANE).pid)


def remove_host_link(plan):
    if link_exists(plan.host_link):
        try:
            ip("link", "delete", plan.host_link)
        except plans.ClusterError:
            pass  # the kernel was faster
    machines.wait_for(lambda: not link_exists(plan.host_link), LINK_S, f"the removal of link {plan.host_link}")
