# SPDX-License-Identifier: Apache-2.0
"""images/Dockerfile, built for real, makes what ./dev images makes: the same files with the same bytes, modes and owners, and the same
configuration. Without an engine's daemon and without a registry: by buildah, on a base image that debootstrap makes of packages.

Base image and tools are kept in SPATE_CACHE/dockerfile. Both builders run on the same machine, that of the stage "build", as the
libraries in an image are those of the machine that made it."""
import collections
import hashlib
import json
import pathlib
import shutil
import stat
import subprocess
import sys
import tarfile
import tempfile
import unittest

import rig
from testbed import binaries, plan

sys.path.insert(0, str(rig.ROOT / "images"))

import contents  # noqa: E402

CACHE = binaries.CACHE.parent / "dockerfile"
SUITE = "trixie"
# A name without a host is looked for here first.
BASE = f"localhost/debian:{SUITE}-slim"
TOOLS = "localhost/spate-tools"
# As Debian's slim images leave documents out, and keep licences.
SLIM = "path-exclude /usr/share/doc/*\npath-include /usr/share/doc/*/copyright\npath-exclude /usr/share/man/*\n"
# Differences that are printed.
SHOWN = 5

Member = collections.namedtuple("Member", "kind mode owner group link digest")


def run(*command, **options):
    result = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False, cwd=rig.ROOT, **options)
    if result.returncode != 0:
        raise AssertionError(f"{' '.join(map(str, command))}:\n{result.stdout[-4000:]}{result.stderr[-4000:]}")
    return result.stdout.strip()


def buildah(command, *arguments):
    """With a storage of its own, apart from what the machine's user has."""
    return run("buildah", "--root", CACHE / "storage", "--runroot", CACHE / "running", command, *arguments)


def build(source, target, tag):
    dockerfile = source / "images" / "Dockerfile"
    buildah("bud", "--isolation", "chroot", "--layers", "--pull-never", "--identity-label=false", "--file", dockerfile,
            "--ignorefile", f"{dockerfile}.dockerignore", "--target", target, "--tag", tag, source)


def has_image(name):
    return bool(buildah("images", "--quiet", "--filter", f"reference={name}"))


def mirror():
    """Where this machine's packages come from, if it is Debian; empty: debootstrap's own choice."""
    said = run("apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages", "Origin: Debian", "Label: Debian")
    return said.splitlines()[:1]


def make_base():
    """What FROM names, so that nothing is pulled."""
    if has_image(BASE):
        return
    with tempfile.TemporaryDirectory(prefix="spate-base-", dir=CACHE) as folder:
        root = pathlib.Path(folder) / "root"
        run("debootstrap", "--variant=minbase", SUITE, root, *mirror())
        (root / "etc" / "dpkg" / "dpkg.cfg.d" / "slim").write_text(SLIM)
        container = buildah("from", "scratch")
        buildah("add", container, root, "/")
        buildah("commit", "--rm", container, BASE)


def members_of(layers):
    """Path to Member of what a machine that unpacks these layers, one over the other, has."""
    found = {}
    for layer in layers:
        with tarfile.open(layer) as tar:
            for member in tar:
                path = member.name.removeprefix("./").rstrip("/")
                data = tar.extractfile(member).read() if member.isfile() else b""
                if path not in ("", "."):
                    # Some write the kind into the mode too.
                    found[path] = Member(member.type, stat.S_IMODE(member.mode), member.uid, member.gid, member.linkname,
                                         hashlib.sha256(data).hexdigest())
    return found


class Image:
    def __init__(self, layout):
        blobs = layout / "blobs" / "sha256"

        def read(described):
            return json.loads((blobs / described["digest"].removeprefix("sha256:")).read_text())

        manifest = read(json.loads((layout / "index.json").read_text())["manifests"][0])
        self.platform = {key: read(manifest["config"])[key] for key in ("os", "architecture")}
        self.config = read(manifest["config"])["config"]
        self.members = members_of(blobs / row["digest"].removeprefix("sha256:") for row in manifest["layers"])


class Dockerfile(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        CACHE.mkdir(parents=True, exist_ok=True)
        cls.folder = pathlib.Path(tempfile.mkdtemp(prefix="spate-dockerfile-"))
        cls.addClassCleanup(shutil.rmtree, cls.folder)
        (cls.folder / "engine").mkdir()
        # Other tests leave this and that in the tree, and each target is to find what the one before it was built of.
        source = cls.folder / "source"
        shutil.copytree(rig.ROOT, source, symlinks=True, ignore=lambda folder, names: {".git", "build"} & {*names})
        # One at a time: each tidies up what is not tagged.
        cls.enterClassContext(plan.locked(CACHE))
        cls.addClassCleanup(cls.tidy)
        make_base()
        build(source, "tools", TOOLS)
        build(source, "build", "localhost/spate-build")
        for name in contents.RECIPES:
            build(source, name, f"localhost/spate-{name}")
            buildah("push", f"localhost/spate-{name}", f"oci:{cls.folder / 'engine' / name}")
        cls.make_our_own()

    @classmethod
    def tidy(cls):
        """Leaves base and tools, for the next time."""
        buildah("rm", "--all")
        kept = {BASE, f"{TOOLS}:latest"}
        for row in json.loads(buildah("images", "--json")):
            for name in set(row["names"] or ()) - kept:
                buildah("rmi", name)
        buildah("rmi", "--prune")

    @classmethod
    def make_our_own(cls):
        container = buildah("from", "--pull-never", "localhost/spate-build")
        buildah("run", "--isolation", "chroot", container, "python3", "images/build.py", "--out", "/made")
        shutil.copytree(pathlib.Path(buildah("mount", container)) / "made", cls.folder / "ours")

    def pair(self, name):
        return Image(self.folder / "engine" / name), Image(self.folder / "ours" / name)

    def test_files_are_the_same(self):
        for name in contents.RECIPES:
            with self.subTest(image=name):
                engine, ours = self.pair(name)
                self.assertGreater(len(ours.members), 5)
                paths = engine.members.keys() | ours.members.keys()
                different = [f"{path}: {engine.members.get(path)} by the Dockerfile, {ours.members.get(path)} by us"
                             for path in sorted(paths) if engine.members.get(path) != ours.members.get(path)]
                self.assertFalse(different, "\n".join(different[:SHOWN]))

    def test_configurations_are_the_same(self):
        for name, recipe in contents.RECIPES.items():
            with self.subTest(image=name):
                engine, ours = self.pair(name)
                if not recipe.programs:
                    engine.config.pop("Env", None)  # an engine gives a PATH to what has none; nothing runs here
                self.assertEqual(engine.config, ours.config)
                self.assertEqual(engine.platform, ours.platform)

    def test_programs_run_as_the_image_says(self):
        """As the user of the image, who may write to the folder for state."""
        for name, recipe in contents.RECIPES.items():
            if not recipe.programs:
                continue
            with self.subTest(image=name):
                container = buildah("from", "--pull-never", f"localhost/spate-{name}")
                said = buildah("run", "--isolation", "chroot", container, f"/usr/bin/{recipe.programs[0]}", "--help")
                self.assertIn("usage", said.lower())
                state = (pathlib.Path(buildah("mount", container)) / contents.STATE).stat()
                self.assertEqual((state.st_uid, state.st_gid), (contents.USER, contents.USER))


if __name__ == "__main__":
    unittest.main()
