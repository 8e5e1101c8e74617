# SPDX-License-Identifier: Apache-2.0
"""The images of the cluster itself, made as Spate's own are (images/): without a container engine."""
import pathlib
import subprocess
import sys

from . import plan as plans

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[3] / "images"))

import contents  # noqa: E402
import layout  # noqa: E402

# A registry that cannot exist: nothing is ever asked for an image.
PAUSE = "spate.invalid/pause:1"
BUSYBOX = "spate.invalid/busybox:1"
PAUSE_SOURCE = pathlib.Path(__file__).resolve().parents[1] / "pause.c"
BUSYBOX_PROGRAM = pathlib.Path("/bin/busybox")
BUSYBOX_COMMANDS = ("cat", "cp", "date", "echo", "env", "false", "hostname", "httpd", "id", "ls", "mkdir", "nc", "nslookup", "ps", "rm",
                    "sh", "sleep", "sync", "test", "timeout", "touch", "true", "wget")


def write(path, name, tree, **settings):
    """An archive for Cluster.load(). tree: path to contents.Entry; settings: as in the configuration of an OCI image."""
    path.write_bytes(layout.Image(name, contents.with_parents(tree), settings).archive())
    return path


def pause_image(folder):
    program = folder / "pause"
    result = subprocess.run(["cc", "-std=gnu17", "-static", "-Os", "-s", "-o", str(program), str(PAUSE_SOURCE)],
                            capture_output=True, text=True, check=False)
    if result.returncode != 0:
        raise plans.ClusterError(f"the pause image could not be built: {result.stderr.strip()}")
    return write(folder / "pause.tar", PAUSE, {"pause": contents.file(program.read_bytes(), 0o755)}, Entrypoint=["/pause"],
                 User="65535:65535")


def busybox_image(folder):
    """For tests that need a shell, a web server or a look at names from inside a pod."""
    tree = {f"bin/{command}": contents.link("busybox") for command in BUSYBOX_COMMANDS}
    tree |= {"bin/busybox": contents.file(BUSYBOX_PROGRAM.read_bytes(), 0o755), "tmp": contents.folder(0o1777)}
    return write(folder / "busybox.tar", BUSYBOX, tree, Entrypoint=["/bin/sh"], User="65534:65534", Env=["PATH=/bin"])
