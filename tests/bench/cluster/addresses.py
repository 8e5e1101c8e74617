# SPDX-License-Identifier: Apache-2.0
"""An address for each of a hundred thousand pods, and one agent behind all of them: the machine "cp" takes a whole range
for its own, so who listens there on every address has them all. Each cluster has a range, by its slot S:

    100.(64+2*(S-77)).0.0/15     of 100.64.0.0/10, which nobody routes (RFC 6598)
"""
import ipaddress

from testbed import network
from testbed import plan as plans

WHOLE = ipaddress.ip_network("100.64.0.0/10")
PREFIX = 15


class Addresses:
    def __init__(self, cluster):
        """The routes go with the cluster."""
        plan = cluster.plan
        ranges = list(WHOLE.subnets(new_prefix=PREFIX))
        self.range = ranges[plan.slot - plans.FIRST_SLOT]
        network.ip("route", "add", "local", self.range, "dev", "lo", inside=cluster.machine(plans.CONTROL_PLANE).pid)
        network.ip("route", "add", self.range, "via", plan.control_plane_address, "dev", plan.host_link)
        self.free = self.range.hosts()

    def take(self):
        """One that no pod had before."""
        address = next(self.free, None)
        if address is None:
            raise RuntimeError(f"{self.range} has no address for so many pods: ask for fewer")
        return str(address)
