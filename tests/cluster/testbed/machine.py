# SPDX-License-Identifier: Apache-2.0
"""A machine of the cluster: the control plane or a node. It is one process, init.py, with namespaces of its own, and all
that descends from it. Nothing about it is remembered in files: it is found among the running processes."""
import json
import os
import pathlib
import signal
import subprocess
import sys
import time

from . import plan as plans

INIT = str(pathlib.Path(__file__).with_name("init.py"))
INIT_NAME = os.path.basename(INIT)
KILL_S = 30


def mark(plan):
    """The argument by which the machines of one cluster are known from all other processes."""
    return f"spate-cluster={plan.name}"


def wait_for(condition, seconds, what, every_s=0.05):
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise plans.ClusterError(f"{what} did not come true within {seconds} s")
        time.sleep(every_s)


class Machine:
    def __init__(self, plan, name):
        self.plan = plan
        self.name = name
        self.folder = plan.machine_folder(name)
        self.cgroup = f"{plan.cgroup}/{name}"

    # Processes

    @property
    def pid(self):
        """Of its first process, in the host's numbers; None when it is off."""
        return running(self.plan).get(self.name)

    def processes(self):
        """Pid to program name of all it runs, containers too."""
        return {pid: program_name(pid) for pid in pids() if f"/{self.cgroup}/" in read_proc(pid, "cgroup")}

    def process(self, program):
        """The pid of one of its daemons, such as kubelet; None when it does not run."""
        for pid, name in self.processes().items():
            if name == program:
                return pid
        return None

    # On and off

    def power_on(self, connect, daemons, own_run=False, sysctls=None):
        """connect(pid) makes its network, before anything in it runs."""
        log = self.plan.log_folder(self.name)
        log.mkdir(parents=True, exist_ok=True)
        for folder in cgroup_roots():
            make_cgroup(folder, f"{self.cgroup}/daemons")
        with open(log / "init.log", "ab") as errors:
            process = subprocess.Popen(
                [sys.executable, INIT, mark(self.plan), self.name, f"{self.cgroup}/daemons"], cwd="/",
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True, start_new_session=True)
        with process.stdout as output:
            first = output.readline().strip()
        process.wait()
        if not first:
            raise plans.ClusterError(f"machine {self.name} did not start; {log}/init.log says why")
        connect(int(first))
        spec = {"folder": str(self.folder), "log": str(log), "own_run": own_run, "sysctls": sysctls or {},
                "daemons": daemons}
        process.stdin.write(json.dumps(spec))
        process.stdin.close()

    def sysctl(self, name):
        """What the machine takes for the kernel's setting."""
        return (self.folder / name.replace("/", ".")).read_text().strip()

    def power_off(self):
        """As when the plug is pulled: every process in it is killed at one instant."""
        first = self.pid
        if first is not None:
            os.kill(first, signal.SIGKILL)
            wait_for(lambda: read_proc(first, "stat") == "" or " Z " in read_proc(first, "stat"), KILL_S,
                     f"the end of machine {self.name}, process {first},")

    def remove_cgroups(self):
        for root in cgroup_roots():
            remove_cgroup(root / self.cgroup)

    # Inside

    def entering(self, command):
        """The command line that runs a command in the machine's namespaces. It ends with the machine."""
        first = self.pid
        if first is None:
            raise plans.ClusterError(f"machine {self.name} is off")
        return ["nsenter", "--target", str(first), "--mount", "--uts", "--ipc", "--net", "--pid", *map(str, command)]

    def inside(self, command, **options):
        """Runs a command in the machine's namespaces, as subprocess.run."""
        return subprocess.run(self.entering(command), **options)


def daemon(name, *argv, wait_for_path=None, environment=None):
    return {"name": name, "argv": [str(a) for a in argv], "wait_for": wait_for_path, "environment": environment or {}}


def running(plan):
    """Machine name to pid of the first process, of all machines of a cluster that are on."""
    found = {}
    for pid in pids():
        arguments = read_proc(pid, "cmdline").split("\0")
        if mark(plan) in arguments and INIT_NAME in [os.path.basename(a) for a in arguments] and is_first(pid):
            found[arguments[arguments.index(mark(plan)) + 1]] = pid
    return found


def end_clients(plan):
    """What runs on this host from the cluster's own folder, such as the kubectl of a command that was killed."""
    for pid in pids():
        if read_proc(pid, "cmdline").startswith(f"{plan.programs}/"):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass


def is_first(pid):
    """Whether it is process 1 of a namespace of its own, and alive."""
    status = dict(line.split(":", 1) for line in read_proc(pid, "status").splitlines() if ":" in line)
    numbers = status.get("NSpid", "").split()
    return len(numbers) > 1 and numbers[-1] == "1" and "Z" not in status.get("State", "Z")


def pids():
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def read_proc(pid, name):
    """Empty when the process has ended."""
    try:
        return pathlib.Path(f"/proc/{pid}/{name}").read_text(errors="replace")
    except OSError:
        return ""


def program_name(pid):
    return read_proc(pid, "cmdline").split("\0")[0].rsplit("/", 1)[-1]


# Control groups: version 1 has a hierarchy for each controller, version 2 has one. Where both are mounted, the one of
# version 2 is without controllers, and the machines are in it too.

def cgroup_roots():
    mounts = [line.split() for line in pathlib.Path("/proc/self/mounts").read_text().splitlines()]
    return [pathlib.Path(folder) for _, folder, kind, *_ in mounts if kind in ("cgroup", "cgroup2")]


def make_cgroup(root, path):
    folder = root
    for part in path.split("/"):
        parent, folder = folder, folder / part
        folder.mkdir(exist_ok=True)
        # Version 2: what the parent can count and limit, its children can too.
        if (parent / "cgroup.subtree_control").exists():
            controllers = (parent / "cgroup.controllers").read_text().split()
            (parent / "cgroup.subtree_control").write_text(" ".join(f"+{name}" for name in controllers))
        # A cpuset of version 1 takes no process before it has processors and memory.
        for name in ("cpuset.cpus", "cpuset.mems"):
            if (parent / "tasks").exists() and (folder / name).exists():
                (folder / name).write_text((parent / name).read_text())


def remove_cgroups(plan):
    for root in cgroup_roots():
        remove_cgroup(root / plan.cgroup)


def remove_cgroup(folder):
    """From the leaves up. A cgroup whose last process has just died may refuse for a moment."""
    if not folder.exists():
        return
    for path, _, _ in os.walk(folder, topdown=False):
        wait_for(lambda path=path: try_rmdir(path), KILL_S, f"the end of all processes in {path}")


def try_rmdir(path):
    try:
        os.rmdir(path)
    except FileNotFoundError:
        pass
    except OSError:
        return False
    return True
