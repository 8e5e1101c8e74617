# SPDX-License-Identifier: Apache-2.0
"""The first process of a machine. Usage: init.py CLUSTER MACHINE CGROUP; the rest comes by standard input.

A machine has a network, a process tree and mounts of its own. Whatever is started in it, and however, ends in the
moment in which this process is killed, and the kernel then takes its network and its mounts away too. So there is one
thing to kill, and nothing to tidy up but a cgroup and a folder.

Prints the pid of the machine's first process, as the host sees it. Then reads one JSON object, which its maker sends
once the network is there: {"folder", "log", "own_run": bool, "sysctls": {name: text}, "daemons": [{"name", "argv",
"environment", "wait_for"}]}. Daemons are started in that order, each after its wait_for (a path) has appeared. One that
ends is not started again: that it ended is written to init.log.
"""
import ctypes
import json
import os
import pathlib
import resource
import signal
import socket
import subprocess
import sys
import time

CLONE_NEWNS, CLONE_NEWUTS, CLONE_NEWIPC = 0x20000, 0x4000000, 0x8000000
CLONE_NEWPID, CLONE_NEWNET = 0x20000000, 0x40000000
WAIT_S = 60


def say(text):
    print(time.strftime("%H:%M:%S", time.gmtime()), text, file=sys.stderr, flush=True)


def join_cgroup(cgroup):
    """Everything the machine starts is in these cgroups: one path in each hierarchy of version 1, or in version 2."""
    for line in pathlib.Path("/proc/self/mounts").read_text().splitlines():
        _, folder, kind, *_ = line.split()
        procs = pathlib.Path(folder) / cgroup / "cgroup.procs"
        if kind in ("cgroup", "cgroup2") and procs.exists():
            procs.write_text("0")


def unshare():
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWPID | CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "a new machine needs the rights of root")


def mount(*arguments):
    subprocess.run(["mount", *map(str, arguments)], check=True)


def make_mounts(spec):
    mount("-t", "proc", "proc", "/proc")
    if spec["own_run"]:
        mount("-t", "tmpfs", "-o", "mode=755", "tmpfs", "/run")
        mount("--bind", spec["log"], "/var/log")
    # Settings of the whole kernel that are to look different in here, and must not be changed from in here.
    for name, text in spec["sysctls"].items():
        stand_in = pathlib.Path(spec["folder"]) / name.replace("/", ".")
        stand_in.write_text(text + "\n")
        mount("--bind", stand_in, pathlib.Path("/proc/sys") / name)


def start(spec, daemon):
    end = time.monotonic() + WAIT_S
    while daemon["wait_for"] and not os.path.exists(daemon["wait_for"]):
        if time.monotonic() > end:
            say(f"{daemon['wait_for']} did not appear, so {daemon['name']} is not started")
            return None
        time.sleep(0.02)
    with open(f"{spec['log']}/{daemon['name']}.log", "ab") as log:
        return subprocess.Popen(daemon["argv"], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                env=os.environ | daemon["environment"], start_new_session=True)


def reap(started):
    """The first process of a tree inherits all orphans; it is never without a wait."""
    while True:
        try:
            pid, status = os.wait()
        except ChildProcessError:
            signal.pause()
            continue
        if pid in started:
            say(f"{started[pid][0]} ended with status {os.waitstatus_to_exitcode(status)}")


def run_machine(name):
    os.setsid()
    # Mounts from here on are seen by nobody outside; inside they are shared, as kubelets want them.
    mount("--make-rprivate", "/")
    mount("--make-rshared", "/")
    socket.sethostname(name)
    text = sys.stdin.read()
    if not text:
        return  # whoever made this machine has died before it was whole
    spec = json.loads(text)
    make_mounts(spec)
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))
    started = {}
    for daemon in spec["daemons"]:
        process = start(spec, daemon)
        if process:
            started[process.pid] = (daemon["name"], process)
    reap(started)


def main():
    _, machine, cgroup = sys.argv[1:]
    join_cgroup(cgroup)
    unshare()
    pid = os.fork()
    if pid == 0:
        os.close(1)
        os.open(os.devnull, os.O_WRONLY)
        run_machine(machine)
        return
    print(pid, flush=True)


main()
