# SPDX-License-Identifier: Apache-2.0
"""An older release is upgraded under load, taken down with live models and installed again elsewhere, by the commands of
docs/kubernetes/install.md."""
import json
import os
import pathlib
import sys
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import pages  # noqa: E402
import product  # noqa: E402
import rig  # noqa: E402
import traffic  # noqa: E402
from rig import wait_for  # noqa: E402

PAGE = "install.md"
OLD_CHART = pathlib.Path(__file__).resolve().parent / "spate-0.0.9"
OLD_TAG, NEW_TAG = "0.0.9", "0.1.0"
PROGRAMS = ("operator", "gateway", "ledger", "agent")
# What the page can only name by an example.
REGISTRY = {"registry.example/spate": "spate.invalid"}
CROWD_KEY = "sk-test-crowd"
NAMESPACE, ELSEWHERE, MODELS = "spate", "elsewhere", "team-a"
READY_S = 90
GONE_S = 180
SHIPPED_S = 60  # for the usage of the last answers to come to the ledger
DEFINITIONS = ("modeldeployments", "modelroutes", "pricebooks", "tenants")


class Upgrade(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        own = "SPATE_CLUSTER" not in os.environ
        cls.cluster = rig.Cluster(f"guides-{os.getpid()}" if own else os.environ["SPATE_CLUSTER"])
        if own:
            cls.addClassCleanup(cls.cluster.down)
            cls.cluster.up()
        product.load_images(cls.cluster, (*PROGRAMS, "brook"), NEW_TAG)
        product.load_images(cls.cluster, PROGRAMS, OLD_TAG)  # the same programs once more, as the older release
        cls.kube = {name: rig.Kube(cls.cluster, name) for name in (NAMESPACE, ELSEWHERE, MODELS)}

    def setUp(self):
        self.shell = pages.Shell(self.cluster.plan.name, self.cluster.plan.programs, "helm3",
                                 {"KUBECONFIG": str(self.cluster.plan.kubeconfig)})
        self.addCleanup(self.clear)
        self.addCleanup(self.shell.close)
        self.kube[MODELS].make_namespace()

    def clear(self):
        """Whatever a failed test left."""
        names = (MODELS, NAMESPACE, ELSEWHERE)
        self.kubectl("delete", "pods", "--all-namespaces", "--selector", "app.kubernetes.io/name in (spate, spate-agent)", "--now",
                     "--wait=false", check=False)
        self.kubectl("delete", "namespace", *names, "--ignore-not-found", "--timeout=90s", check=False)
        self.kubectl("delete", "crd", "--ignore-not-found", *(f"{name}.spate.dev" for name in DEFINITIONS), check=False)
        self.kubectl("delete", "clusterroles,clusterrolebindings", "--selector", "app.kubernetes.io/name=spate", check=False)

    def kubectl(self, *arguments, **options):
        return rig.api.kubectl(self.cluster.plan, *arguments, **options)

    def say(self, heading, replacements=None, helm=None):
        """Runs the block of the page under that heading."""
        if helm is not None:
            self.shell.use_helm(helm)
        return self.shell.run(pages.replaced(pages.commands(PAGE, heading), replacements or {}))

    # What there is

    def address(self, release="spate", namespace=NAMESPACE):
        spec = self.kube[namespace].get("service", f"{release}-gateway")["spec"]
        return f"{spec['clusterIP']}:{spec['ports'][0]['port']}"

    def pods(self):
        """Of the model: name to what tells whether it is the same one, and was not started again."""
        return {name: (pod["metadata"]["uid"], tuple(row["restartCount"] for row in pod["status"].get("containerStatuses", ())))
                for name, pod in product.pods_of(self.kube[MODELS], "brook").items()}

    def wait_ready(self, count):
        wait_for(lambda: sum(map(rig.is_ready, product.pods_of(self.kube[MODELS], "brook").values())) == count and
                 product.conditions(self.kube[MODELS], "brook").get("Ready", {}).get("status") == "True",
                 READY_S, f"{count} ready pods of brook")

    def images(self, namespace=NAMESPACE):
        return {container["image"].rpartition(":")[2] for pod in self.kube[namespace].get("pods")["items"]
                for container in pod["spec"]["containers"]}

    def report(self, release="spate", namespace=NAMESPACE):
        """The books: tokens of each tenant."""
        said = self.kube[namespace].run("exec", f"deployment/{release}-operator", "--", "spate", "report", "--by", "tenant", "--json")
        return {row["tenant"]: row for row in json.loads(said)["rows"]}

    def make_model(self, **more):
        """One that is always there, with two pods, and two tenants."""
        uri = f"oci://{product.image('brook', NEW_TAG)}"
        rig.api.apply(self.cluster.plan, product.model("brook", MODELS, uri, minReplicas=2, **more),
                      product.tenant("acme", MODELS), product.tenant("crowd", MODELS, key=CROWD_KEY))
        self.wait_ready(2)
        wait_for(lambda: product.ask(self.address(), f"{MODELS}/brook")[0] == 200, 30, "an answer")

    def install_old(self):
        self.say("2. Install", REGISTRY | {
            "helm/spate": str(OLD_CHART), "--wait": "--wait --set ledger.settleSeconds=60"}, helm="helm3")
        self.assertEqual(self.images(), {OLD_TAG})
        self.make_model()

    def upgrade_under_load(self, helm):
        """No request fails, no pod of a model is touched, and the books go on."""
        self.assertNotIn("spot", self.set_spot())
        models, gateways = self.pods(), self.gateways()
        clients = traffic.Traffic(self.address(), f"{MODELS}/brook", CROWD_KEY)
        self.addCleanup(clients.end)
        wait_for(lambda: clients.counts[traffic.LONG_TOKENS] > 0, 60, "a first long answer")
        self.say("Upgrade", helm=helm)
        wait_for(lambda: self.images() == {NEW_TAG} and len(self.kube[NAMESPACE].get("pods")["items"]) == 5, 180, "only new pods")
        wait_for(lambda: all(map(rig.is_ready, self.kube[NAMESPACE].get("pods")["items"])), 60, "their being ready")
        self.assertFalse(set(gateways.items()) & set(self.gateways().items()), "gateways that were not replaced")
        clients.end()
        print(f"{helm}: {clients.counts} answers while every program was replaced")
        self.assertEqual(clients.faults, [])
        self.assertEqual(self.pods(), models)
        self.settings_were_kept()
        self.books_are_right(clients)
        self.assertEqual(self.set_spot()["spot"]["percent"], 50)

    def gateways(self):
        return {pod["metadata"]["name"]: pod["metadata"]["uid"] for pod in self.kube[NAMESPACE].get(
            "pods", selector="app.kubernetes.io/component=gateway")["items"]}

    def set_spot(self):
        """A field that the old definition does not have. What of spec.scaling is kept."""
        self.kube[MODELS].run("patch", "modeldeployment", "brook", "--type=merge", "--patch", '{"spec":{"scaling":{"spot":{"percent":50}}}}')
        return self.kube[MODELS].get("modeldeployment", "brook")["spec"]["scaling"]

    def settings_were_kept(self):
        ledger = self.kube[NAMESPACE].get("statefulset", "spate-ledger")["spec"]["template"]["spec"]["containers"][0]
        self.assertIn("--settle-time=60s", ledger["args"])
        status, answer = product.ask(self.address(), f"{MODELS}/brook")
        self.assertEqual(status, 200, answer)

    def books_are_right(self, clients):
        """What the clients were told, from before the upgrade on, is what the tenant is charged for, each token once."""
        told = {"requests": sum(clients.counts.values()), "input": clients.prompt_tokens, "output": clients.completion_tokens}

        def charged():
            row = self.report().get("crowd", {})
            found = {"requests": row.get("requests"), "input": row.get("input", 0) + row.get("cached", 0),
                     "output": row.get("visible", 0) + row.get("reasoning", 0)}
            return found == told or found

        found = None
        end = time.monotonic() + SHIPPED_S
        while found is not True and time.monotonic() < end:
            found = charged()
        self.assertIs(found, True, f"the clients were told {told}, the books say {found}")

    def nothing_is_stuck(self):
        wait_for(lambda: "spate.dev" not in self.kubectl("get", "crd", "--output", "name"), GONE_S, "the definitions being gone")
        wait_for(lambda: not self.kube[MODELS].get("pods")["items"], GONE_S, "the pods of the model being gone")

    def namespaces_go(self, *names):
        self.kubectl("delete", "namespace", *names, f"--timeout={GONE_S}s")

    # The tests

    def test_upgrade_by_helm_3_and_everything_goes(self):
        self.install_old()
        self.upgrade_under_load("helm3")
        self.say("Take everything away", helm="helm3")
        self.nothing_is_stuck()
        left = self.kube[NAMESPACE].run("get", "all,pvc,secrets,leases,networkpolicies", "--output", "name").split()
        self.assertEqual(left, ["lease.coordination.k8s.io/spate-operator"])
        self.namespaces_go(MODELS, NAMESPACE)

    def test_upgrade_by_helm_4_and_install_elsewhere(self):
        """Uninstalled with a live model, and installed again under another name in another namespace: the same pods serve. At the end
        the definitions go while the model lives."""
        self.install_old()
        self.upgrade_under_load("helm4")
        models = self.pods()
        self.say("Uninstall", helm="helm4")
        wait_for(lambda: not self.kube[NAMESPACE].get("pods")["items"], GONE_S, "the end of the release's pods")
        self.assertEqual(self.pods(), models)
        self.say("Install again elsewhere", REGISTRY)
        address = self.address("flood-spate", ELSEWHERE)
        wait_for(lambda: product.ask(address, f"{MODELS}/brook")[0] == 200, READY_S, "an answer of the new release")
        self.wait_ready(2)
        self.assertEqual(self.pods(), models)
        usage = traffic.stream(address, f"{MODELS}/brook", CROWD_KEY, traffic.LONG_TOKENS)
        self.assertEqual(usage["completion_tokens"], traffic.LONG_TOKENS)
        self.namespaces_go(NAMESPACE)
        self.assertEqual(self.pods(), models)
        self.say("Take everything away at once", {"upgrade spate": "upgrade flood", "uninstall spate": "uninstall flood",
                                                  "--namespace spate": "--namespace elsewhere"})
        self.nothing_is_stuck()
        self.namespaces_go(MODELS, ELSEWHERE)


if __name__ == "__main__":
    unittest.main()
