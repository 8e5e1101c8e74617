# SPDX-License-Identifier: Apache-2.0
"""An image as bytes, without an engine: one layer, its configuration and its manifest, as an OCI image layout. The archive is
such a layout in a tar, with a manifest.json beside it, so that `ctr images import`, `docker load` and `skopeo copy` all take
it. The same tree gives the same bytes: names are sorted, and time stands still."""
import gzip
import hashlib
import io
import json
import pathlib
import platform
import stat
import tarfile

LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
CONFIG = "application/vnd.oci.image.config.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
EPOCH = 0  # of everything that has a time
LEVEL = 6  # 9 takes three times as long for half a percent


class Image:
    """reference: host/name:tag. settings: what runs, as in the configuration of an OCI image."""

    def __init__(self, reference, tree, settings, labels=None):
        labels = labels or {}
        self.reference = reference
        self.blobs = {}
        layer = layer_of(tree)
        packed = gzip.compress(layer, compresslevel=LEVEL, mtime=EPOCH)
        config = as_json({
            "architecture": ARCHITECTURES.get(platform.machine(), platform.machine()), "os": "linux", "config": settings | {"Labels": labels},
            "rootfs": {"type": "layers", "diff_ids": [digest_of(layer)]},
            "history": [{"created_by": "./dev images"}]})
        self.layer = self.add(LAYER, packed)
        self.config = self.add(CONFIG, config)
        self.manifest = self.add(MANIFEST, as_json({
            "schemaVersion": 2, "mediaType": MANIFEST, "config": self.config, "layers": [self.layer], "annotations": labels}))

    def add(self, media_type, data):
        digest = digest_of(data)
        self.blobs[digest] = data
        return {"mediaType": media_type, "digest": digest, "size": len(data)}

    @property
    def digest(self):
        return self.manifest["digest"]

    @property
    def size(self):
        """What a node fetches."""
        return sum(map(len, self.blobs.values()))

    def files(self):
        """The image layout: path to bytes."""
        tag = self.reference.rpartition(":")[2]
        named = self.manifest | {"annotations": {"io.containerd.image.name": self.reference,
                                                 "org.opencontainers.image.ref.name": tag}}
        index = {"schemaVersion": 2, "mediaType": INDEX, "manifests": [named]}
        return {"oci-layout": as_json({"imageLayoutVersion": "1.0.0"}), "index.json": as_json(index),
                **{blob_path(digest): data for digest, data in sorted(self.blobs.items())}}

    def write(self, out, name):
        """OUT/NAME, a folder, and OUT/NAME.tar."""
        for path, data in self.files().items():
            place = out / name / path
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(data)
        for old in (out / name / "blobs" / "sha256").iterdir():
            if f"sha256:{old.name}" not in self.blobs:
                old.unlink()
        pathlib.Path(out / f"{name}.tar").write_bytes(self.archive())

    def archive(self):
        """The layout in a tar."""
        docker = [{"Config": blob_path(self.config["digest"]), "RepoTags": [self.reference],
                   "Layers": [blob_path(self.layer["digest"])]}]
        archive = io.BytesIO()
        with tarfile.open(fileobj=archive, mode="w", format=tarfile.USTAR_FORMAT) as tar:
            for path, data in sorted((self.files() | {"manifest.json": as_json(docker)}).items()):
                add_to_tar(tar, path, stat.S_IFREG | 0o644, data)
        return archive.getvalue()


def layer_of(tree):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for path, entry in sorted(tree.items()):
            add_to_tar(tar, path, entry.mode, entry.data, entry.target, entry.owner)
    return out.getvalue()


def add_to_tar(tar, path, mode, data=b"", target="", owner=0):
    info = tarfile.TarInfo(path)
    info.mode, info.mtime, info.uid, info.gid = stat.S_IMODE(mode), EPOCH, owner, owner
    if stat.S_ISDIR(mode):
        info.type = tarfile.DIRTYPE
    elif stat.S_ISLNK(mode):
        info.type, info.linkname = tarfile.SYMTYPE, target
    info.size = len(data)
    tar.addfile(info, io.BytesIO(data))


def as_json(value):
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def digest_of(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


def blob_path(digest):
    return "blobs/" + digest.replace(":", "/")
