# SPDX-License-Identifier: Apache-2.0
"""What a cluster leaves on this machine: everything of the host that a cluster could touch, compared before and after.
Other clusters may come and go meanwhile: what bears their names is not looked at."""
import json
import os
import pathlib
import re
import subprocess

NAMESPACES = ("net", "mnt", "pid", "uts", "ipc")
# What kubelets and networks like to set for a whole host.
SYSCTLS = ("net/ipv4/ip_forward", "net/netfilter/nf_conntrack_max", "vm/overcommit_memory", "vm/panic_on_oom", "kernel/panic",
           "kernel/panic_on_oops", "kernel/keys/root_maxkeys", "kernel/keys/root_maxbytes", "kernel/random/boot_id")


def of_others(text, name):
    """Whether a text names a cluster, and not this one."""
    names = re.findall(r"spate-cluster[-=]([a-z0-9-]+)", text)
    return bool(names) and name not in names


def take(name):
    """The whole footprint, by kind: each a set or a dictionary, so that two can be compared."""
    return {"processes": processes(name), "mounts": mounts(), "links": links(name), "routes": routes(),
            "cgroups": cgroups(name), "sysctls": sysctls(), "rules": rules(), "folders": folders(name)}


def added(before, after):
    """What is there now and was not: kind to the list of it."""
    found = {}
    for kind, now in after.items():
        if isinstance(now, dict):
            new = [f"{key} = {value}" for key, value in now.items() if before[kind].get(key) != value]
        else:
            new = sorted(now - before[kind])
        if new:
            found[kind] = new
    return found


def read(path):
    try:
        return pathlib.Path(path).read_text(errors="replace")
    except OSError:
        return ""


def pids(name):
    """Those that another cluster does not own."""
    return [pid for pid in os.listdir("/proc") if pid.isdigit() and not of_others(read(f"/proc/{pid}/cgroup"), name)]


def processes(name):
    """Of all processes those that speak of the cluster, in their command or their cgroup. Others come and go."""
    found = set()
    for pid in pids(name):
        text = read(f"/proc/{pid}/cmdline") + read(f"/proc/{pid}/cgroup")
        if re.search(rf"spate-cluster[-=]{name}(?![a-z0-9-])", text):
            found.add(f"{pid} " + read(f"/proc/{pid}/cmdline").replace("\0", " ")[:80])
    return found


def namespaces_of(pid):
    found = set()
    for kind in NAMESPACES:
        try:
            found.add(os.readlink(f"/proc/{pid}/ns/{kind}"))
        except OSError:
            pass  # it has ended
    return found


def inhabitants(name):
    """Every process in a namespace of the cluster's, whatever it is called and whoever started it. When they have ended, and
    the host has no new mount, the namespaces are gone too: nothing else holds one."""
    members = [pid for pid in pids(name) if f"/spate-cluster-{name}/" in read(f"/proc/{pid}/cgroup")]
    own = set().union(*map(namespaces_of, members))
    own -= namespaces_of("self")
    return {identity(pid) for pid in pids(name) if namespaces_of(pid) & own}


def alive(inhabitants):
    return {one for one in inhabitants if identity(one.split()[0]) == one}


def identity(pid):
    """A pid may be used again; its number and time of start are not."""
    return f"{pid} {read(f'/proc/{pid}/stat').rpartition(')')[2].split()[19:20]}"


def mounts():
    return set(read("/proc/self/mounts").splitlines())


def ip(*arguments):
    return json.loads(subprocess.run(["ip", "-json", *arguments], capture_output=True, text=True, check=True).stdout)


def links(name):
    return {link["ifname"] for link in ip("link", "show")
            if not link.get("ifalias", "").startswith("spate cluster ") or link["ifalias"] == f"spate cluster {name}"}


def routes():
    return {f"{route['dst']} {route.get('dev')}" for route in ip("route", "show", "table", "all")
            if not str(route.get("dev")).startswith("spate")}


def cgroups(name):
    found = set()
    for line in read("/proc/self/mounts").splitlines():
        _, root, kind, *_ = line.split()
        if kind in ("cgroup", "cgroup2"):
            found |= {path for path, _, _ in os.walk(root) if not of_others(path, name)}
    return found


def sysctls():
    return {name: read(f"/proc/sys/{name}").strip() for name in SYSCTLS}


def rules():
    listing = subprocess.run(["nft", "list", "tables"], capture_output=True, text=True, check=True)
    return set(listing.stdout.splitlines())


def folders(name):
    return {str(path) for path in pathlib.Path("/tmp").glob("spate-cluster-*") if not of_others(str(path), name)} | \
        {str(path) for folder in ("/run", "/run/netns", "/var/lib", "/var/log", "/var/log/pods", "/opt", "/etc/cni")
         for path in pathlib.Path(folder).glob("*")}
