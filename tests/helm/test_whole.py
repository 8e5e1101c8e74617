# SPDX-License-Identifier: Apache-2.0
"""The chart and the images on a real cluster with nodes: installed, asked and taken down by the commands that people are given."""
import json
import os
import pathlib
import re
import shutil
import socket
import subprocess
import tempfile
import unittest

import rig
import test_images

NAMESPACE = "flood"
WAIT = "240s"


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def answer_of(stream):
    """The text of a stream of chat.completion.chunk."""
    chunks = [json.loads(line[len("data: "):]) for line in stream.splitlines()
              if line.startswith("data: ") and line != "data: [DONE]"]
    return "".join(choice["delta"].get("content") or "" for chunk in chunks for choice in chunk["choices"])


class Whole(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = pathlib.Path(tempfile.mkdtemp(prefix="spate-whole-"))
        cls.addClassCleanup(shutil.rmtree, folder)
        built = test_images.build("--out", folder)
        assert built.returncode == 0, built.stderr
        cls.cluster = rig.Cluster(f"whole-{os.getpid()}")
        cls.addClassCleanup(cls.cluster.down)
        cls.cluster.up()
        for archive in sorted(folder.glob("*.tar")):
            cls.cluster.load(archive)
        cls.environment = {"KUBECONFIG": str(cls.cluster.plan.kubeconfig)}
        cls.kubectl("create", "namespace", NAMESPACE)
        cls.kubectl("label", "namespace", NAMESPACE, "pod-security.kubernetes.io/enforce=restricted")

    @classmethod
    def kubectl(cls, *arguments, check=True):
        where = () if "--all-namespaces" in arguments else ("--namespace", NAMESPACE)
        result = rig.run("kubectl", *where, *arguments, environment=cls.environment)
        if check and result.returncode != 0:
            raise AssertionError(f"kubectl {' '.join(arguments)}: {result.stderr}")
        return result.stdout

    def helm(self, version, *arguments, values=None):
        result = rig.helm(version, *arguments, "--namespace", NAMESPACE, values=values, environment=self.environment)
        if result.returncode != 0:
            happened = self.kubectl("get", "pods", "--output", "wide") + self.kubectl("get", "events")
            raise AssertionError(f"{version} {' '.join(map(str, arguments))}: {result.stderr}{result.stdout}\n{happened}")
        return result.stdout

    def test_install_ask_and_uninstall(self):
        for version, values in zip(rig.HELMS, ({}, {"watchNamespaces": [NAMESPACE]}), strict=True):
            with self.subTest(version):
                self.helm(version, "install", "spate", rig.CHART, "--wait", "--timeout", WAIT, values=values)
                self.assertIn("Succeeded", self.helm(version, "test", "spate", "--timeout", WAIT))
                self.ask_as_the_notes_say(version)
                self.gateways_are_not_on_spot()
                self.take_all_down(version, values)
                rig.wait_for(self.nothing_is_left, 60, "all pods and definitions being gone")

    def take_all_down(self, version, values):
        """As docs/kubernetes/install.md says."""
        self.kubectl("delete", "modeldeployments", "--all", "--all-namespaces")
        self.kubectl("wait", "pods", "--all-namespaces", "--selector", "app.kubernetes.io/managed-by=spate-operator",
                     "--for=delete", "--timeout=120s")
        self.helm(version, "upgrade", "spate", rig.CHART, "--wait", "--timeout", WAIT, values=values | {"crds": {"keep": False}})
        self.helm(version, "uninstall", "spate", "--wait", "--timeout", WAIT)
        self.kubectl("delete", "pvc", "--selector", "app.kubernetes.io/instance=spate")
        self.kubectl("delete", "secret", "spate-token-key")

    def ask_as_the_notes_say(self, version):
        """All of the commands, but on a port that is free here."""
        notes = self.helm(version, "get", "notes", "spate")
        commands = notes[notes.index("KEY="):].replace("8080:", f"{(port := free_port())}:").replace(":8080/", f":{port}/")
        self.assertEqual(len(re.findall(str(port), commands)), 2, commands)
        script = f"trap 'kill $(jobs -p)' EXIT\n{commands}"
        own = {"PATH": f"{self.cluster.plan.programs}:/usr/bin:/bin", "KUBECACHEDIR": rig.KUBECTL_CACHE}
        said = subprocess.run(["bash", "-c", script], env=self.environment | own, capture_output=True, text=True, timeout=120,
                              check=False)
        self.assertIn("1023", answer_of(said.stdout), said.stdout + said.stderr)

    def gateways_are_not_on_spot(self):
        pods = json.loads(self.kubectl("get", "pods", "--selector", "app.kubernetes.io/component=gateway", "--output", "json"))
        self.assertEqual({pod["spec"]["nodeName"] for pod in pods["items"]}, {"n3"})

    def nothing_is_left(self):
        return not self.kubectl("get", "pods", "--output", "name") and "spate.dev" not in self.kubectl("get", "crd", "--output", "name")


if __name__ == "__main__":
    unittest.main()
