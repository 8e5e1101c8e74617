# SPDX-License-Identifier: Apache-2.0
"""docs/kubernetes/private-registry.md against a registry that wants a password: nothing of Spate is on the nodes beforehand."""
import os
import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import pages  # noqa: E402
import product  # noqa: E402
import release  # noqa: E402
import rig  # noqa: E402
from testbed import plan, registry  # noqa: E402

PAGE = "private-registry.md"
LACKING = "team-b"
TOLD_S = 90
# A node that was refused tries again after 10, 20, 40 and 80 s.
CURED_S = 240
BROOK = f"oci://{registry.HOST}/spate/brook:{release.TAG}"


class PrivateRegistry(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.release = release.Release(f"registry-{os.getpid()}", namespace="spate", images=())
        cls.addClassCleanup(cls.release.close)
        cls.registry = registry.Registry(cls.release.cluster).start()
        cls.addClassCleanup(cls.registry.close)
        cls.lacking = rig.Kube(cls.release.cluster, LACKING).make_namespace()

    def make_secret(self, password):
        self.lacking.run("delete", "secret", "spate-registry", "--ignore-not-found")
        self.lacking.run("create", "secret", "docker-registry", "spate-registry", f"--docker-server={registry.HOST}",
                         "--docker-username=puller", f"--docker-password={password}")

    def wait_told(self):
        def says():
            found = product.conditions(self.lacking, "lacking").get("CapacityAvailable", {}).get("message", "")
            return "its image can't be pulled" in found and "agent.pullSecret" in found

        rig.wait_for(says, TOLD_S, "the status saying what is wrong, and the cure")

    def wait_refused(self):
        before = self.registry.refused().total()
        rig.wait_for(lambda: self.registry.refused().total() > before, CURED_S, "a wrong password being refused")

    def without_the_secret(self, block):
        """Before any node has an image of a model: a namespace where nobody has put the Secret."""
        if "kind: ModelDeployment" not in block.text:
            return
        self.release.apply(product.tenant("acme", "default", LACKING), product.model("lacking", LACKING, BROOK, minReplicas=1))
        self.wait_told()
        self.assertFalse([path for path in self.registry.taken("puller") if "/brook/" in path], "nobody got it without the Secret")
        self.make_secret("wrong")
        self.wait_refused()
        self.wait_told()
        self.make_secret("secret")
        rig.wait_for(lambda: self.release.status(self.lacking, "lacking").get("readyReplicas") == 1, CURED_S,
                     "a pod with the Secret being ready, by itself")
        self.assertGreater(self.release.wait_answer(f"{LACKING}/lacking")["usage"]["completion_tokens"], 0)

    def test_the_page_and_what_it_warns_of(self):
        cluster = self.release.cluster
        shell = pages.Shell(cluster.plan.name, cluster.plan.programs, hosts=self.registry.hosts, environment={
            "KUBECONFIG": str(cluster.plan.kubeconfig), "SSL_CERT_FILE": str(cluster.authority.certificate),
            "REGISTRY_AUTH_FILE": str(self.registry.folder / "auth.json")})
        self.addCleanup(shell.close)
        pages.follow(PAGE, shell, {"./dev images": f"./dev images --programs {product.BIN}"}, self.without_the_secret)
        self.assertGreater(self.release.wait_answer("default/private")["usage"]["completion_tokens"], 0)
        taken = self.registry.taken("puller")
        for name in release.IMAGES:
            self.assertTrue(any(f"/v2/spate/{name}/blobs/" in path for path in taken), f"{name} was pulled with the password: {taken}")
        self.by_the_service_account()

    def by_the_service_account(self):
        """The last commands of the page were those: a pod that names no Secret has that of its account."""
        kube = rig.Kube(self.release.cluster, "default")
        self.release.apply(product.model("account", "default", BROOK, minReplicas=1))
        rig.wait_for(lambda: self.release.status(kube, "account").get("readyReplicas") == 1, CURED_S, "a pod by the account's Secret")
        for pod in product.pods_of(kube, "account").values():
            self.assertEqual(pod["spec"]["imagePullSecrets"], [{"name": "spate-registry"}])

    def test_the_nodes_are_set_up_as_the_page_says(self):
        toml = [block.text for block in pages.blocks(PAGE) if block.language == "toml"]
        self.assertEqual(toml, [registry.HOSTS_TOML.format(host=registry.HOST, authority="/etc/ssl/registry.crt")])

    def test_nodes_say_what_the_page_lists(self):
        self.addCleanup(self.lacking.run, "delete", "secret", "spate-registry")
        self.assert_said("no basic auth credentials", self.pull_fails("stranger"))
        self.make_secret("wrong")
        self.assert_said("401 Unauthorized", self.pull_fails("wrong"))
        self.make_secret("secret")
        self.assert_said("not found", self.pull_fails("missing"))
        for node in plan.NODES:
            self.registry.settings_on(node).write_text(f'server = "https://{registry.HOST}"\n')
            self.addCleanup(self.registry.introduce, node)
        self.assert_said("certificate signed by unknown authority", self.pull_fails("distrust"))

    def assert_said(self, words, said):
        self.assertIn(f"| `{words}` |", (pages.DOCS / PAGE).read_text())
        self.assertIn(words, said)

    def pull_fails(self, name):
        """What the node says of a pod whose image is not there, or not for it."""
        pod = rig.pod(name, "true")
        pod["spec"]["containers"][0]["image"] = f"{registry.HOST}/missing:1"
        pod["spec"]["imagePullSecrets"] = [{"name": "spate-registry"}]
        self.lacking.apply({"apiVersion": "v1", "kind": "Pod", **pod, "metadata": {"name": name}})
        self.addCleanup(self.lacking.run, "delete", "pod", name, "--now")

        def told():
            events = self.lacking.get("events", fields=f"involvedObject.name={name},reason=Failed")["items"]
            return next((row["message"] for row in events if "ailed to" in row["message"]), None)

        return rig.wait_for(told, TOLD_S, "the node's words")


if __name__ == "__main__":
    unittest.main()
