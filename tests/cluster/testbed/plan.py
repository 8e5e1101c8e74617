# SPDX-License-Identifier: Apache-2.0
"""Names, folders and addresses of one cluster. Two clusters share nothing: each has a folder, a name, and a slot, the
second byte of all its addresses:

    10.S.0.0/24         one bridge: control plane .1, nodes .11 .12 .13, the host .254
    10.S.(64+N).0/24    pods of node N
    10.S.128.0/17       services
"""
import contextlib
import dataclasses
import fcntl
import json
import os
import pathlib
import re
import shutil
import subprocess

CLUSTERS = pathlib.Path("/tmp")
FIRST_SLOT = 77
SLOTS = 32
CONTROL_PLANE = "cp"
DOMAIN = "cluster.local"
API_PORT = 6443
ETCD_METRICS_PORT = 2381
CONTROLLER_MANAGER_PORT = 10257
SCHEDULER_PORT = 10259
DNS_READY_PORT = 8181
GPUS_PER_NODE = 8


class ClusterError(Exception):
    """What went wrong and the cure, in one line for people."""


@dataclasses.dataclass(frozen=True)
class Node:
    number: int
    capacity: str
    zone: str

    @property
    def name(self):
        return f"n{self.number}"


NODES = (Node(1, "spot", "zone-a"), Node(2, "spot", "zone-b"), Node(3, "on-demand", "zone-a"))


class Plan:
    def __init__(self, name):
        if not re.fullmatch(r"[a-z0-9][a-z0-9-]{0,31}", name):
            raise ClusterError(f"cluster name '{name}': use at most 32 of a-z, 0-9 and -")
        self.name = name
        self.folder = CLUSTERS / f"spate-cluster-{name}"

    # Folders

    @property
    def kubeconfig(self):
        return self.folder / "kubeconfig"

    @property
    def programs(self):
        """kubectl, helm3, helm4 and ctr, for people and tests."""
        return self.folder / "bin"

    def machine_folder(self, machine):
        return self.folder / machine

    def log_folder(self, machine):
        return self.folder / machine / "log"

    @property
    def cgroup(self):
        """Below the root of each cgroup hierarchy."""
        return f"spate-cluster-{self.name}"

    # Addresses

    @property
    def slot(self):
        try:
            return json.loads((self.folder / "plan.json").read_text())["slot"]
        except FileNotFoundError:
            raise ClusterError(f"cluster {self.name} is not up; ./dev cluster up makes it") from None

    @property
    def host_link(self):
        return f"spate{self.slot}"

    @property
    def pods(self):
        return f"10.{self.slot}.64.0/18"

    @property
    def services(self):
        return f"10.{self.slot}.128.0/17"

    @property
    def api_service_address(self):
        return f"10.{self.slot}.128.1"

    @property
    def control_plane_address(self):
        return f"10.{self.slot}.0.1"

    @property
    def host_address(self):
        return f"10.{self.slot}.0.254"

    @property
    def server(self):
        return f"https://{self.control_plane_address}:{API_PORT}"

    def node_address(self, node):
        return f"10.{self.slot}.0.{10 + node.number}"

    def pods_of(self, node):
        return f"10.{self.slot}.{64 + node.number}.0/24"

    def node_by_number(self, number):
        for node in NODES:
            if str(node.number) == str(number).removeprefix("n"):
                return node
        raise ClusterError(f"cluster {self.name} has no node '{number}'; there are " +
                           ", ".join(str(node.number) for node in NODES))

    # The slot, and the folder that says so

    def remove_folder(self):
        try:
            if self.folder.exists():
                shutil.rmtree(self.folder)
        except OSError as e:
            raise ClusterError(f"folder {self.folder} cannot be removed: {e}") from None

    def take_slot(self):
        """Chooses the first slot that no route of this host and no other cluster uses, and writes it down."""
        with locked(CLUSTERS):
            taken = slots_in_use()
            for slot in range(FIRST_SLOT, FIRST_SLOT + SLOTS):
                if slot not in taken:
                    self.folder.mkdir()
                    unfinished = self.folder / "plan.new"
                    unfinished.write_text(json.dumps({"name": self.name, "slot": slot}))
                    unfinished.rename(self.folder / "plan.json")
                    return slot
        raise ClusterError(f"no network 10.{FIRST_SLOT}.0.0/16 to 10.{FIRST_SLOT + SLOTS - 1}.0.0/16 is free on this host")


@contextlib.contextmanager
def locked(folder):
    """One process at a time: a lock on the folder itself leaves no file behind."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def slots_in_use():
    taken = set()
    for plan in CLUSTERS.glob("spate-cluster-*/plan.json"):
        with contextlib.suppress(FileNotFoundError):  # taken down just now
            taken.add(json.loads(plan.read_text())["slot"])
    routes = subprocess.run(["ip", "-json", "route", "show", "table", "all"], capture_output=True, text=True, check=True)
    for route in json.loads(routes.stdout):
        part = re.match(r"10\.(\d+)\.", route["dst"])
        if part:
            taken.add(int(part.group(1)))
    return taken
