# SPDX-License-Identifier: Apache-2.0
"""Container images without a Docker engine: a docker archive, which containerd imports, is a tar of a manifest, a
configuration and one layer. The same files give the same bytes."""
import dataclasses
import hashlib
import io
import json
import pathlib
import platform
import subprocess
import tarfile

from . import plan as plans

# A registry that cannot exist: nothing is ever asked for an image.
PAUSE = "spate.invalid/pause:1"
BUSYBOX = "spate.invalid/busybox:1"
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
PAUSE_SOURCE = pathlib.Path(__file__).resolve().parents[1] / "pause.c"
BUSYBOX_PROGRAM = pathlib.Path("/bin/busybox")
BUSYBOX_COMMANDS = ("cat", "cp", "date", "echo", "env", "false", "hostname", "httpd", "id", "ls", "mkdir", "nc", "nslookup", "ps", "rm",
                    "sh", "sleep", "sync", "test", "timeout", "touch", "true", "wget")


@dataclasses.dataclass
class Image:
    """files: path in the image to a file here or to bytes; links: path in the image to what it points at; folders: path
    to mode, for those that are not simply the parents of files."""
    name: str
    files: dict
    folders: dict = dataclasses.field(default_factory=dict)
    links: dict = dataclasses.field(default_factory=dict)
    entrypoint: tuple = ()
    user: str = ""
    environment: tuple = ()
    folder: str = "/"

    def layer(self):
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as layer:
            folders = dict.fromkeys(parents([*self.files, *self.links, *self.folders]), 0o755) | self.folders
            for folder, mode in sorted(folders.items()):
                entry = tarfile.TarInfo(folder)
                entry.type, entry.mode = tarfile.DIRTYPE, mode
                layer.addfile(entry)
            for path, source in sorted(self.files.items()):
                add_file(layer, path, source)
            for path, target in sorted(self.links.items()):
                entry = tarfile.TarInfo(path)
                entry.type, entry.linkname, entry.mode = tarfile.SYMTYPE, target, 0o777
                layer.addfile(entry)
        return out.getvalue()

    def write(self, path):
        """Makes the archive at path, and returns that."""
        layer = self.layer()
        configuration = json.dumps({
            "architecture": ARCHITECTURES.get(platform.machine(), platform.machine()), "os": "linux",
            "config": {"Entrypoint": list(self.entrypoint), "User": self.user, "Env": list(self.environment),
                       "WorkingDir": self.folder},
            "rootfs": {"type": "layers", "diff_ids": ["sha256:" + hashlib.sha256(layer).hexdigest()]}}).encode()
        manifest = json.dumps([{"Config": "config.json", "RepoTags": [self.name], "Layers": ["layer.tar"]}]).encode()
        with tarfile.open(path, mode="w") as archive:
            for name, data in (("manifest.json", manifest), ("config.json", configuration), ("layer.tar", layer)):
                add_file(archive, name, data)
        return path


def add_file(archive, path, source):
    data = source if isinstance(source, bytes) else pathlib.Path(source).read_bytes()
    entry = tarfile.TarInfo(path)
    entry.size = len(data)
    entry.mode = 0o644
    if not isinstance(source, bytes):
        entry.mode = 0o755 if pathlib.Path(source).stat().st_mode & 0o100 else 0o644
    archive.addfile(entry, io.BytesIO(data))


def parents(paths):
    return {str(parent) for path in paths for parent in pathlib.PurePosixPath(path).parents} - {"."}


def pause_image(folder):
    program = folder / "pause"
    result = subprocess.run(["cc", "-std=gnu17", "-static", "-Os", "-s", "-o", str(program), str(PAUSE_SOURCE)],
                            capture_output=True, text=True, check=False)
    if result.returncode != 0:
        raise plans.ClusterError(f"the pause image could not be built: {result.stderr.strip()}")
    return Image(PAUSE, {"pause": program}, entrypoint=("/pause",), user="65535:65535").write(folder / "pause.tar")


def busybox_image(folder):
    """For tests that need a shell, a web server or a look at names from inside a pod."""
    links = {f"bin/{command}": "busybox" for command in BUSYBOX_COMMANDS}
    return Image(BUSYBOX, {"bin/busybox": BUSYBOX_PROGRAM}, {"tmp": 0o1777}, links, entrypoint=("/bin/sh",),
                 user="65534:65534", environment=("PATH=/bin",)).write(folder / "busybox.tar")
