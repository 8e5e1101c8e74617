# SPDX-License-Identifier: Apache-2.0
"""The container images: valid layouts, small, the same bytes each time, no root, and programs that run in them."""
import gzip
import hashlib
import io
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
import unittest
import urllib.error
import urllib.request

import rig

IMAGES = rig.ROOT / "images"
sys.path.insert(0, str(IMAGES))

import contents  # noqa: E402

PROGRAMS = pathlib.Path(os.environ.get("SPATE_BIN", rig.ROOT / "build" / "dev" / "bin"))
OPERATOR_LIMIT = 25_000_000


def build(*arguments):
    return subprocess.run([sys.executable, str(IMAGES / "build.py"), "--programs", str(PROGRAMS), *map(str, arguments)],
                          capture_output=True, text=True, check=False)


def status_of(url):
    try:
        with urllib.request.urlopen(url, timeout=30) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code


def digests_below(root):
    return {str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest() for path in root.rglob("*")
            if path.is_file()}


class Layout:
    """An OCI image layout as its readers see it."""

    def __init__(self, folder):
        self.folder = folder
        self.index = json.loads((folder / "index.json").read_text())
        self.described = self.index["manifests"][0]
        self.manifest = json.loads(self.blob(self.described))
        self.config = json.loads(self.blob(self.manifest["config"]))
        self.layer = gzip.decompress(self.blob(self.manifest["layers"][0]))
        with tarfile.open(fileobj=io.BytesIO(self.layer)) as tar:
            self.members = tar.getmembers()

    def blob(self, described):
        """Checked by digest and size."""
        algorithm, digest = described["digest"].split(":")
        data = (self.folder / "blobs" / algorithm / digest).read_bytes()
        assert algorithm == "sha256" and hashlib.sha256(data).hexdigest() == digest and len(data) == described["size"]
        return data

    @property
    def size(self):
        return sum(part["size"] for part in (self.described, self.manifest["config"], *self.manifest["layers"]))


class Images(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = pathlib.Path(tempfile.mkdtemp(prefix="spate-images-"))
        cls.addClassCleanup(shutil.rmtree, cls.folder)
        cls.said = build("--out", cls.folder / "out")
        assert cls.said.returncode == 0, cls.said.stderr
        cls.layouts = {name: Layout(cls.folder / "out" / name) for name in contents.RECIPES}

    def test_layouts_are_valid(self):
        for name, layout in self.layouts.items():
            self.assertEqual(json.loads((layout.folder / "oci-layout").read_text()), {"imageLayoutVersion": "1.0.0"})
            self.assertEqual(layout.manifest["schemaVersion"], 2)
            self.assertEqual(layout.config["os"], "linux")
            self.assertEqual(layout.config["rootfs"]["diff_ids"], ["sha256:" + hashlib.sha256(layout.layer).hexdigest()])
            blobs = {blob.name for blob in (layout.folder / "blobs" / "sha256").iterdir()}
            named = {part["digest"].removeprefix("sha256:") for part in
                     (layout.described, layout.manifest["config"], *layout.manifest["layers"])}
            self.assertEqual(blobs, named)
            self.assertEqual(layout.described["annotations"]["io.containerd.image.name"], f"spate.invalid/{name}:0.1.0")

    def test_archives_hold_the_layout_and_what_docker_reads(self):
        for name, layout in self.layouts.items():
            with tarfile.open(self.folder / "out" / f"{name}.tar") as tar:
                files = {member.name: tar.extractfile(member).read() for member in tar}
            docker = json.loads(files.pop("manifest.json"))[0]
            self.assertEqual(docker["RepoTags"], [f"spate.invalid/{name}:0.1.0"])
            for path in (docker["Config"], *docker["Layers"]):
                self.assertIn(path, files)
            on_disk = {str(path.relative_to(layout.folder)): path.read_bytes() for path in layout.folder.rglob("*")
                       if path.is_file()}
            self.assertEqual(files, on_disk)

    def test_sizes(self):
        self.assertLess(self.layouts["operator"].size, OPERATOR_LIMIT)
        for name, layout in self.layouts.items():
            self.assertLess(layout.size, contents.RECIPES[name].limit_mb * 1_000_000)
            printed = re.search(rf"^spate.invalid/{name}:0.1.0 +([0-9.]+) MB +(\S+)$", self.said.stdout, re.MULTILINE)
            self.assertAlmostEqual(float(printed[1]), layout.size / 1e6, delta=0.06)
            self.assertEqual(printed[2], layout.described["digest"])

    def test_programs_do_not_run_as_root(self):
        for name, recipe in contents.RECIPES.items():
            config = self.layouts[name].config["config"]
            if not recipe.programs:
                self.assertNotIn("Entrypoint", config)
                continue
            self.assertEqual(config["User"], "65532:65532")
            self.assertEqual(config["Entrypoint"], [f"/usr/bin/{recipe.programs[0]}"])

    def test_files_are_plain_and_nobody_but_root_may_change_them(self):
        for layout in self.layouts.values():
            for member in layout.members:
                self.assertEqual(member.mtime, 0)
                if member.name == contents.STATE:
                    self.assertEqual((member.uid, member.gid, member.mode), (65532, 65532, 0o700))
                    continue
                self.assertEqual((member.uid, member.gid), (0, 0), member.name)
                self.assertFalse(member.mode & 0o6000, f"{member.name} takes on its owner's rights")
                if member.isfile():
                    self.assertFalse(member.mode & 0o022, f"{member.name} may be written")
            names = {member.name for member in layout.members}
            self.assertFalse({name for name in names if re.search(r"/(sh|bash|dash|busybox|apt|dpkg)$", name)})

    def test_the_same_content_gives_the_same_bytes(self):
        again = build("--out", self.folder / "again")
        self.assertEqual(again.stdout, self.said.stdout)
        self.assertEqual(digests_below(self.folder / "out"), digests_below(self.folder / "again"))

    def test_names_are_what_was_asked_for(self):
        said = build("brook", "--out", self.folder / "named", "--registry", "registry.example:5000/x", "--tag", "t")
        self.assertTrue(said.stdout.startswith("registry.example:5000/x/brook:t "), said.stdout)
        self.assertEqual(sorted(path.name for path in (self.folder / "named").iterdir()), ["brook", "brook.tar"])

    def test_model_is_at_the_root_of_its_image(self):
        names = {member.name for member in self.layouts["brook"].members}
        self.assertLessEqual({path.name for path in (rig.ROOT / "models" / "brook").iterdir()}, names)

    def test_operator_has_zones_and_authorities(self):
        names = {member.name for member in self.layouts["operator"].members}
        for path in ("usr/share/zoneinfo/Asia/Shanghai", "usr/share/zoneinfo/UTC", "etc/ssl/certs/ca-certificates.crt",
                     "usr/bin/spate"):
            self.assertIn(path, names)

    def test_mistakes_are_one_line(self):
        for arguments, words in ((("--programs", "/nowhere"), "spate-operator is not there"), (("opertor",), "no image 'opertor'")):
            said = build("--out", self.folder / "mistake", *arguments)
            self.assertNotEqual(said.returncode, 0)
            self.assertIn(words, said.stderr.splitlines()[-1])

    # Inside

    def unpack(self, name):
        place = self.folder / f"root-{name}"
        if not place.exists():
            with tarfile.open(fileobj=io.BytesIO(self.layouts[name].layer)) as tar:
                tar.extractall(place, filter="fully_trusted")
        return place

    def inside(self, name, *command):
        return ["chroot", "--userspec=65532:65532", "--groups=", str(self.unpack(name)), *command]

    def test_every_program_starts_in_its_image(self):
        for name, recipe in contents.RECIPES.items():
            for program in recipe.programs:
                said = subprocess.run(self.inside(name, f"/usr/bin/{program}", "--help"), capture_output=True, text=True, check=False)
                self.assertEqual(said.returncode, 0, said.stderr)
                self.assertIn("usage", said.stdout.lower())

    def test_agent_serves_the_model_from_its_image(self):
        """Without /proc, /dev or a folder that it may write to but its own."""
        root = self.unpack("agent")
        (root / "model").mkdir()
        with tarfile.open(fileobj=io.BytesIO(self.layouts["brook"].layer)) as tar:
            tar.extractall(root / "model", filter="fully_trusted")
        address = root / contents.STATE / "address"
        with subprocess.Popen(self.inside("agent", "/usr/bin/spate-agent", "--model=/model", "--listen=127.0.0.1:0", "--threads=1",
                                          f"--data=/{contents.STATE}", f"--address-file=/{contents.STATE}/address")) as agent:
            try:
                rig.wait_for(address.exists, 60, "the agent's address")
                url = f"http://{address.read_text().strip()}"
                rig.wait_for(lambda: status_of(f"{url}/health") == 200, 60, "the model, loaded")
                question = {"messages": [{"role": "user", "content": "What is 345 + 678?"}], "model": "model", "temperature": 0}
                request = urllib.request.Request(f"{url}/v1/chat/completions", json.dumps(question).encode(),
                                                 {"Content-Type": "application/json"})
                with urllib.request.urlopen(request, timeout=60) as answer:
                    self.assertIn("1023", json.load(answer)["choices"][0]["message"]["content"])
            finally:
                agent.send_signal(signal.SIGTERM)


class Models(unittest.TestCase):
    """Images of models, for image volumes."""

    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="spate-model-"))
        self.addCleanup(shutil.rmtree, self.folder)

    def test_an_image_holds_the_files_of_the_folder(self):
        model = self.folder / "model"
        (model / "parts").mkdir(parents=True)
        (model / ".cache").mkdir()
        (model / ".cache" / "left-out").write_text("x")
        (self.folder / "blob").write_bytes(b"weights")
        (model / "config.json").write_text("{}")
        (model / "parts" / "a.safetensors").symlink_to(self.folder / "blob")
        built = build("--model", f"mine={model}", "--registry", "registry.example/m", "--tag", "7", "--out", self.folder / "out")
        self.assertEqual(built.returncode, 0, built.stderr)
        self.assertIn("registry.example/m/mine:7 ", built.stdout)
        self.assertEqual({path.name for path in (self.folder / "out").iterdir()}, {"mine", "mine.tar"})
        layout = Layout(self.folder / "out" / "mine")
        self.assertEqual({member.name for member in layout.members}, {"config.json", "parts", "parts/a.safetensors"})
        self.assertEqual(layout.config["config"].get("Entrypoint"), None)
        with tarfile.open(fileobj=io.BytesIO(layout.layer)) as tar:
            self.assertEqual(tar.extractfile("parts/a.safetensors").read(), b"weights")

    def test_what_is_no_model_is_refused(self):
        for arguments, said in ((("--model", "mine"), "write NAME=FOLDER"), (("--model", "A/b=x"), "write NAME=FOLDER"),
                                (("--model", f"mine={self.folder}"), "neither a config.json nor a .gguf file"),
                                (("brook", "--model", "mine=x"), "leave names and --root out")):
            with self.subTest(arguments=arguments):
                built = build("--out", self.folder / "out", *arguments)
                self.assertNotEqual(built.returncode, 0)
                self.assertIn(said, built.stderr)


if __name__ == "__main__":
    unittest.main()
