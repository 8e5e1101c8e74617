# SPDX-License-Identifier: Apache-2.0
"""The how-tos of docs/kubernetes on a release that runs: each command, and what is shown of what it prints."""
import concurrent.futures
import csv
import datetime
import json
import os
import pathlib
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import pages  # noqa: E402
import product  # noqa: E402
import release  # noqa: E402
import rig  # noqa: E402

# The example that the pages have in place of a registry of one's own.
REGISTRY = {"registry.example/spate": "spate.invalid"}
# Answers at once, half as many as two replicas have slots; and the tokens of each.
STREAMS = 4
LONG = 1000
PAYER_KEY = "sk-test-payer"
PRICES = {"apiVersion": "spate.dev/v1alpha1", "kind": "PriceBook", "metadata": {"name": "list"},
          "spec": {"prices": [{"model": "default/brook", "input": "1000", "output": "2000"}]}}


class HowTos(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.release = release.Release(f"guides-{os.getpid()}", namespace="spate")
        cls.addClassCleanup(cls.release.close)
        cls.release.install()
        cls.kube = rig.Kube(cls.release.cluster, "default")
        cls.release.apply(product.model("brook", "default", release.BROOK), product.tenant("acme", "default"))
        cls.release.wait_answer("default/brook")

    def follow(self, page, replacements=None, on_block=None, **where):
        plan = self.release.cluster.plan
        shell = pages.Shell(plan.name, plan.programs, environment={"KUBECONFIG": str(plan.kubeconfig)}, **where)
        self.addCleanup(shell.close)
        return pages.follow(page, shell, replacements, on_block)

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

    def test_scaling(self):
        self.follow("scaling.md", REGISTRY)

    def test_routes(self):
        def ask_what_is_off(block):
            if "spate report" in block.text:
                status, answer = self.release.ask("default/present")
                self.assertEqual((status, answer["error"]["code"]), (503, "model_unavailable"))

        self.follow("routes.md", REGISTRY | {"8080": str(pages.free_port()), "sk-spate-quickstart": product.KEY}, ask_what_is_off)

    def test_nodes(self):
        """Answers are under way when the page drains a node."""
        answers = []
        with concurrent.futures.ThreadPoolExecutor(STREAMS) as pool:
            def ask_first(block):
                if "kubectl drain" in block.text:
                    answers.extend(pool.submit(self.release.ask, "default/delta", max_tokens=LONG, ignore_eos=True)
                                   for _ in range(STREAMS))

            self.release.apply(self.without_class())
            self.follow("nodes.md", REGISTRY, ask_first)
        came = [answer.result() for answer in answers]
        self.assertEqual([(status, answer.get("usage", {}).get("completion_tokens")) for status, answer in came],
                         [(200, LONG)] * STREAMS)
        self.assertEqual(len({str(answer["choices"][0]["message"]) for _, answer in came}), 1)
        refused = rig.wait_for(lambda: product.conditions(self.kube, "without-class").get("CapacityAvailable"), 30, "what is said of its class")
        self.assertEqual(refused["reason"], "CreationRefused")
        self.assertIn('RuntimeClass "absent" not found', refused["message"])
        self.kube.run("delete", "modeldeployment", "without-class")

    def without_class(self):
        """A model in a RuntimeClass that is not there."""
        model = product.model("without-class", "default", release.BROOK, minReplicas=1)
        model["spec"]["placement"] = {"runtimeClassName": "absent"}
        return model

    def test_reports(self):
        """The page's figures are an example, and its month is another. One tenant has a price book, one has none."""
        payer = product.tenant("payer", "default", key=PAYER_KEY)
        payer["spec"]["priceBook"] = "list"
        self.release.apply(PRICES, payer)
        for kind, name in (("pricebook", "list"), ("tenant", "payer")):
            self.release.kubectl("wait", "--for=condition=Ready", f"{kind}/{name}", "--timeout=30s")
        rig.wait_for(lambda: self.release.ask("default/brook", key=PAYER_KEY)[0] == 200, 60, "an answer for who pays")
        rig.wait_for(lambda: set(self.booked()) >= {("acme", "default/brook"), ("payer", "default/brook")}, 60, "both in the books")
        today = datetime.datetime.now(datetime.UTC).date()
        first, last = (str(today + datetime.timedelta(days=days)) for days in (-1, 2))
        with tempfile.TemporaryDirectory(prefix="spate-reports-") as folder:
            table, _ = self.follow("reports.md", {"2026-10-01": first, "2026-11-01": last}, cwd=folder)
            with open(pathlib.Path(folder) / "october.csv", encoding="utf-8") as file:
                rows = {row["tenant"]: row for row in csv.DictReader(file)}
        self.assert_table_as_shown(table)
        self.assertLessEqual({"acme", "payer"}, set(rows))
        self.assertLessEqual({row["day"] for row in rows.values()}, {str(today), str(today + datetime.timedelta(days=1))})
        paid = rows["payer"]
        tokens = {name: int(paid[name]) for name in ("input", "cached", "visible", "reasoning")}
        self.assertGreater(tokens["visible"] + tokens["reasoning"], 0)
        nano = 10**6 * (tokens["input"] + tokens["cached"] + 2 * (tokens["visible"] + tokens["reasoning"]))
        self.assertEqual((paid["unpriced"], int(paid["cost_nano_usd"])), ("false", nano))
        self.assertEqual((rows["acme"]["unpriced"], rows["acme"]["cost_usd"]), ("true", ""))

    def booked(self):
        """Tenant and model of all whose requests count: nothing is pending."""
        report = json.loads(self.release.kube.run("exec", "deployment/spate-operator", "--", "spate", "report", "--json"))
        return {(row["tenant"], row["model"]): row for row in report["rows"] if row["requests"] > 0 and not any(row["pending"].values())}

    def assert_table_as_shown(self, table):
        """The same columns, tenants and models as on the page, and what is said of a tenant without prices."""
        example = next(block.text for block in pages.blocks("reports.md") if block.language == "")
        shown, came = ([line.split() for line in text.splitlines() if line] for text in (example, table))
        self.assertEqual(came[0], shown[0])
        self.assertEqual(came[-1][0], shown[-1][0])
        of_acme = next(row for row in came if row[:2] == shown[1][:2])
        self.assertEqual((len(of_acme), of_acme[-1]), (len(shown[1]), "<unpriced>"))
        self.assertRegex(next(row for row in came if row[:2] == ["payer", "default/brook"])[-1], r"^0\.\d{6}$")

    def test_troubleshooting(self):
        self.follow("troubleshooting.md")


if __name__ == "__main__":
    unittest.main()
