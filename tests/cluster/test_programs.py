# SPDX-License-Identifier: Apache-2.0
"""Which programs the cluster is made of: those of the right version, built or found."""
import os
import pathlib
import subprocess
import tempfile
import unittest
from unittest import mock

import rig  # noqa: F401
from testbed import binaries


class Programs(unittest.TestCase):
    def test_each_says_its_version(self):
        found = binaries.Binaries().get(binaries.ALL)
        for component in binaries.COMPONENTS:
            for program in component.programs:
                with self.subTest(program=program):
                    arguments = binaries.version_arguments(component, program)
                    result = subprocess.run([found.path(program), *arguments], capture_output=True, text=True, check=True)
                    self.assertIn(component.version, result.stdout)

    def test_the_path_comes_first_if_the_version_is_right(self):
        coredns = next(c for c in binaries.COMPONENTS if c.name == "coredns")
        for text, is_used in ((f"CoreDNS-{coredns.version}", True), (f"v{coredns.version}, go1.26", True),
                              (f"{coredns.version}.1", False), (f"1{coredns.version}", False), ("CoreDNS-1.9.3", False)):
            with self.subTest(text=text), tempfile.TemporaryDirectory() as folder:
                program = pathlib.Path(folder) / "coredns"
                program.write_text(f"#!/bin/sh\necho {text}\n")
                program.chmod(0o755)
                with mock.patch.dict(os.environ, PATH=f"{folder}:{os.environ['PATH']}"):
                    path = binaries.Binaries().get(["coredns"]).path("coredns")
                self.assertEqual(path == program, is_used)

    def test_the_links_of_a_cluster_are_seen_through(self):
        """./dev cluster env puts them on the PATH, and they end with their cluster."""
        with tempfile.TemporaryDirectory() as folder:
            binaries.Binaries().get(["kubectl"]).link(pathlib.Path(folder))
            with mock.patch.dict(os.environ, PATH=f"{folder}:{os.environ['PATH']}"):
                path = binaries.Binaries().get(["kubectl"]).path("kubectl")
        self.assertTrue(path.exists(), path)

    def test_too_old_a_go_is_not_used(self):
        with tempfile.TemporaryDirectory() as folder:
            go = pathlib.Path(folder) / "go"
            go.write_text("#!/bin/sh\necho go1.19.8\n")
            go.chmod(0o755)
            with mock.patch.dict(os.environ, PATH=f"{folder}:{os.environ['PATH']}"):
                found = binaries.go_program()
                said = subprocess.run([found, "version"], capture_output=True, text=True, check=True).stdout
        self.assertNotEqual(found, str(go))
        self.assertIn("go1.26", said)


if __name__ == "__main__":
    unittest.main()
