# SPDX-License-Identifier: Apache-2.0
"""Limits of this host that all clusters on it share. What meets one later fails in ways that do not name it."""
import contextlib
import ctypes
import os
import pathlib

from .plan import NODES, ClusterError

INOTIFY_LIMIT = pathlib.Path("/proc/sys/fs/inotify/max_user_instances")
INOTIFY_OF_A_NODE = 10  # its kubelet has 6, its containerd 2; the control plane has 4

libc = ctypes.CDLL(None, use_errno=True)


@contextlib.contextmanager
def inotify_instances(count):
    """Holds as many as there are, at most count; gives how many that is."""
    held = []
    try:
        while len(held) < count and (descriptor := libc.inotify_init1(os.O_CLOEXEC)) >= 0:
            held.append(descriptor)
        yield len(held)
    finally:
        for descriptor in held:
            os.close(descriptor)


def check_inotify():
    """Room for the nodes of one more cluster. Without, kubelets end with `too many open files`."""
    needed = INOTIFY_OF_A_NODE * len(NODES)
    with inotify_instances(needed) as left:
        if left < needed:
            raise ClusterError(f"of this host's {INOTIFY_LIMIT.read_text().strip()} inotify instances {left} are left, and a cluster "
                               f"needs {needed}: take another cluster down, or sysctl fs.inotify.max_user_instances=1024")
