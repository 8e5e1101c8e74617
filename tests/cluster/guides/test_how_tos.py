# SPDX-License-Identifier: Apache-2.0
"""The how-tos of docs/kubernetes on a release that runs: each command, and what is shown of what it prints."""
import os
import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import pages  # noqa: E402
import product  # noqa: E402
import release  # noqa: E402
import rig  # noqa: E402


class HowTos(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.release = release.Release(f"guides-{os.getpid()}", namespace="spate")
        cls.addClassCleanup(cls.release.close)
        cls.release.install()
        cls.kube = rig.Kube(cls.release.cluster, "default")
        cls.release.apply(product.model("brook", "default", release.BROOK), product.tenant("acme", "default"))
        cls.release.wait_answer("default/brook")

    def follow(self, page, replacements=None, on_block=None):
        plan = self.release.cluster.plan
        shell = pages.Shell(plan.name, plan.programs, environment={"KUBECONFIG": str(plan.kubeconfig)})
        self.addCleanup(shell.close)
        pages.follow(page, shell, replacements, on_block)

    def test_tenants_and_keys(self):
        self.follow("tenants.md", {"8080": str(pages.free_port())})

    def test_models_from_a_claim_and_from_an_image(self):
        def load_image(block):
            if "from-image" in block.text:
                self.release.cluster.load(pages.DOCS.parents[1] / "build" / "images" / "brook-copy.tar")

        self.follow("models.md", {"busybox:1": rig.images.BUSYBOX, "registry.example/models": "spate.invalid"}, load_image)
        for name in ("from-claim", "from-image"):
            answer = self.release.wait_answer(f"default/{name}")
            self.assertGreater(answer["usage"]["completion_tokens"], 0)
        self.kube.run("delete", "modeldeployment", "from-claim", "from-image")

    def test_prometheus(self):
        self.release.kubectl("apply", "--filename", pages.DOCS.parents[1] / "tests" / "helm" / "monitoring.yaml")
        self.release.kubectl("wait", "--for=condition=Established", "crd", "--all", "--timeout=30s")
        self.follow("prometheus.md")

    def test_troubleshooting(self):
        self.follow("troubleshooting.md")


if __name__ == "__main__":
    unittest.main()
