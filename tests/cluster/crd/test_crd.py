# SPDX-License-Identifier: Apache-2.0
"""The CustomResourceDefinitions on a real API server: it takes them, explains them, answers /scale from the first
moment, and gives each of 500 almost right manifests the verdict (and the defaults) that our own check gives it; and
each promise of the tables, broken once, is named by both.

Uses the cluster that SPATE_CLUSTER and KUBECONFIG name (`./dev cluster env`); else makes one and takes it down.
SPATE_SEED repeats a run. Standard library only."""
import base64
import collections
import contextlib
import http.client
import json
import os
import pathlib
import ssl
import subprocess
import sys
import tempfile
import time
import unittest
import urllib.parse

ROOT = pathlib.Path(__file__).resolve().parents[3]
BIN = pathlib.Path(os.environ.get("SPATE_BIN", ROOT / "build/dev/bin"))
NAME = "crd-test"
MUTANTS = 500
# A generator gone wrong would make all of one kind, and prove nothing.
LEAST_OF_EACH_VERDICT = 100


def run(*command, check=True, **options):
    result = subprocess.run([str(part) for part in command], text=True, capture_output=True, **options)
    if check and result.returncode != 0:
        raise AssertionError(f"{command}: {result.stderr.strip()}")
    return result


def as_kubectl_writes(value):
    """kubectl writes the number 4.0 of a manifest as 4."""
    if isinstance(value, dict):
        return {key: as_kubectl_writes(member) for key, member in value.items()}
    if isinstance(value, list):
        return [as_kubectl_writes(member) for member in value]
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return int(value)
    return value


class Server:
    """The API server of the current kubeconfig, over one connection."""

    def __init__(self):
        config = json.loads(run("kubectl", "config", "view", "--raw", "-o", "json", "--minify").stdout)
        cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
        context = ssl.create_default_context(cadata=self.text(cluster, "certificate-authority"))
        with contextlib.ExitStack() as files:
            paths = []
            for key in ("client-certificate", "client-key"):
                file = files.enter_context(tempfile.NamedTemporaryFile("w", suffix=".pem"))
                file.write(self.text(user, key))
                file.flush()
                paths.append(file.name)
            context.load_cert_chain(*paths)
        address = urllib.parse.urlsplit(cluster["server"])
        self.connection = http.client.HTTPSConnection(address.hostname, address.port, context=context, timeout=30)

    @staticmethod
    def text(section, key):
        if key + "-data" in section:
            return base64.b64decode(section[key + "-data"]).decode()
        return pathlib.Path(section[key]).read_text()

    def dry_run(self, mutant):
        """The status and the body of a creation that is not kept."""
        path = "/apis/spate.dev/v1alpha1/" + ("namespaces/default/" if mutant["namespaced"] else "") + mutant["resource"]
        self.connection.request("POST", path + "?dryRun=All&fieldValidation=Strict", json.dumps(as_kubectl_writes(mutant["object"])),
                                {"Content-Type": "application/json"})
        answer = self.connection.getresponse()
        return answer.status, json.loads(answer.read())


def make_cluster():
    """A control plane of our own, unless there is one to use."""
    if os.environ.get("SPATE_CLUSTER") and os.environ.get("KUBECONFIG"):
        return None
    run(ROOT / "dev", "cluster", "up", "--control-plane-only", "--name", NAME)
    for line in run(ROOT / "dev", "cluster", "env", "--name", NAME).stdout.splitlines():
        name, _, value = line.removeprefix("export ").partition("=")
        os.environ[name] = os.path.expandvars(value.strip('"'))
    return NAME


def wait_until_served(plural):
    deadline = time.monotonic() + 30
    while run("kubectl", "get", plural, "-A", check=False).returncode != 0:
        if time.monotonic() > deadline:
            raise AssertionError(f"{plural} is not served after 30 s")
        time.sleep(0.2)


class Definitions(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.own_cluster = make_cluster()
        definitions = run(BIN / "spate-crd", "yaml").stdout
        run("kubectl", "apply", "--server-side", "--force-conflicts", "-f", "-", input=definitions)
        for plural in ("modeldeployments", "modelroutes", "tenants", "pricebooks"):
            wait_until_served(plural + ".spate.dev")

    @classmethod
    def tearDownClass(cls):
        if cls.own_cluster:
            run(ROOT / "dev", "cluster", "down", "--name", cls.own_cluster)

    def apply(self, **spec):
        manifest = {"apiVersion": "spate.dev/v1alpha1", "kind": "ModelDeployment", "metadata": {"name": "crd-test"},
                    "spec": {"model": {"uri": "file:///m"}, **spec}}
        run("kubectl", "apply", "-n", "default", "-f", "-", input=json.dumps(manifest))
        self.addCleanup(run, "kubectl", "delete", "md", "crd-test", "-n", "default", "--ignore-not-found")

    def test_nothing_is_wrong_with_them(self):
        found = json.loads(run("kubectl", "get", "crd", "-o", "json").stdout)["items"]
        ours = [item for item in found if item["spec"]["group"] == "spate.dev"]
        self.assertTrue(ours)
        for item in ours:
            conditions = {row["type"]: row["status"] for row in item["status"]["conditions"]}
            self.assertEqual(conditions.get("Established"), "True", item["metadata"]["name"])
            self.assertNotIn("NonStructuralSchema", conditions)

    def test_explain_reads_like_documentation(self):
        text = " ".join(run("kubectl", "explain", "modeldeployment.spec.scaling").stdout.split())
        for phrase in ("How many replicas there are, and when.", "enum: Auto, Manual",
                       "The largest number of replicas in mode Auto. 1 to 1000. Default: 1."):
            self.assertIn(phrase, text)
        self.assertIn("How long no request must have come",
                      run("kubectl", "explain", "md.spec.scaling.idle.afterSeconds").stdout)

    def test_scale_answers_before_the_first_reconcile(self):
        self.apply()
        self.assertEqual(run("kubectl", "get", "md", "crd-test", "--subresource=scale", "-o",
                             "jsonpath={.spec.replicas}/{.status.replicas}").stdout, "1/0")

    def test_scaling_in_mode_auto_is_refused_with_the_cure(self):
        self.apply()
        for replicas in (0, 3):
            result = run("kubectl", "scale", "md", "crd-test", f"--replicas={replicas}", check=False)
            self.assertNotEqual(result.returncode, 0)
            self.assertIn("spec.scaling.replicas: Forbidden: replicas is obeyed in mode Manual only: set "
                          "spec.scaling.mode to Manual", result.stderr)

    def test_scaling_in_mode_manual(self):
        self.apply(scaling={"mode": "Manual", "replicas": 2})
        run("kubectl", "scale", "md", "crd-test", "--replicas=0")
        self.assertEqual(run("kubectl", "get", "md", "crd-test", "-o", "jsonpath={.spec.scaling.replicas}").stdout, "0")

    def test_an_autoscaler_finds_its_figures(self):
        self.apply(scaling={"mode": "Manual", "replicas": 2})
        status = {"status": {"replicas": 2, "selector": "spate.dev/model=crd-test"}}
        run("kubectl", "patch", "md", "crd-test", "--subresource=status", "--type=merge", "-p", json.dumps(status))
        self.assertEqual(run("kubectl", "get", "md", "crd-test", "--subresource=scale", "-o",
                             "jsonpath={.status.replicas} {.status.selector}").stdout, "2 spate.dev/model=crd-test")

    def test_a_status_is_taken_as_the_operator_writes_it(self):
        specs = {"modeldeployments": {"model": {"uri": "file:///m"}}, "modelroutes": {"targets": [{"model": "brook"}]},
                 "tenants": {}, "pricebooks": {"prices": []}}
        kinds = {"modeldeployments": "ModelDeployment", "modelroutes": "ModelRoute", "tenants": "Tenant", "pricebooks": "PriceBook"}
        lines = run(BIN / "spate-crd-statuses").stdout.splitlines()
        self.assertEqual(len(lines), len(specs))
        for line in map(json.loads, lines):
            resource = line["resource"]
            manifest = {"apiVersion": "spate.dev/v1alpha1", "kind": kinds[resource], "metadata": {"name": "crd-status"},
                        "spec": specs[resource]}
            run("kubectl", "apply", "-f", "-", input=json.dumps(manifest))
            self.addCleanup(run, "kubectl", "delete", resource, "crd-status", "--ignore-not-found")
            found = json.loads(run("kubectl", "get", resource, "crd-status", "-o", "json").stdout)
            found["status"] = line["status"]
            run("kubectl", "replace", "--subresource=status", "--validate=strict", "-f", "-", input=json.dumps(found))
            found = json.loads(run("kubectl", "get", resource, "crd-status", "-o", "json").stdout)
            self.assertEqual(found["status"], line["status"])

    def test_names_columns_and_category(self):
        """Ready is shown as the operator writes it; the other columns of the tables come as they are."""
        specs = {"md": ("ModelDeployment", {"model": {"uri": "file:///m"}}), "mr": ("ModelRoute", {"targets": [{"model": "brook"}]}),
                 "tn": ("Tenant", {"priceBook": "list"}), "pb": ("PriceBook", {"prices": []})}
        columns = {"md": "NAME READY REPLICAS DESIRED MODE REASON AGE", "mr": "NAME READY TARGETS FALLBACK REASON AGE",
                   "tn": "NAME READY PRIORITY REQUESTS/MIN CONCURRENCY PRICE-BOOK REASON AGE",
                   "pb": "NAME READY CURRENCY MODELS REASON AGE"}
        ready = [{"type": "Ready", "status": "False", "reason": "Tried", "lastTransitionTime": "2026-11-22T15:04:05Z"}]
        for short, (kind, spec) in specs.items():
            manifest = {"apiVersion": "spate.dev/v1alpha1", "kind": kind, "metadata": {"name": "crd-columns"}, "spec": spec}
            run("kubectl", "apply", "-f", "-", input=json.dumps(manifest))
            self.addCleanup(run, "kubectl", "delete", short, "crd-columns", "--ignore-not-found")
            run("kubectl", "patch", short, "crd-columns", "--subresource=status", "--type=merge", "-p",
                json.dumps({"status": {"conditions": ready}}))
            header, row = run("kubectl", "get", short, "crd-columns").stdout.splitlines()
            self.assertEqual(header.split(), columns[short].split())
            self.assertEqual(row[header.index("READY"):].split()[0], "False")
            self.assertEqual(row[header.index("REASON"):].split()[0], "Tried")
            self.assertIn(f"{kind.lower()}.spate.dev/crd-columns", run("kubectl", "get", "spate", "-o", "name").stdout)

    def test_every_verdict_is_the_same(self):
        seed = os.environ.get("SPATE_SEED") or str(int.from_bytes(os.urandom(4), "big"))
        print(f"SPATE_SEED={seed}", file=sys.stderr)
        server = Server()
        self.addCleanup(server.connection.close)
        verdicts = collections.Counter()
        for line in run(BIN / "spate-crd-mutants", seed, MUTANTS).stdout.splitlines():
            mutant = json.loads(line)
            status, body = server.dry_run(mutant)
            self.assertIn(status, (201, 400, 422), f"seed {seed}: {body}")
            verdicts[status == 201] += 1
            self.compare(seed, mutant, status == 201, body)
        self.assertEqual(sum(verdicts.values()), MUTANTS)
        for verdict in (True, False):
            self.assertGreaterEqual(verdicts[verdict], LEAST_OF_EACH_VERDICT)

    def test_every_promise_and_rule_is_broken_once(self):
        """That none is left out is for spate-crd-faults to say: it goes through the tables."""
        server = Server()
        self.addCleanup(server.connection.close)
        kinds = collections.Counter()
        for fault in map(json.loads, run(BIN / "spate-crd-faults").stdout.splitlines()):
            status, body = server.dry_run(fault)
            kinds[fault["resource"]] += 1
            self.compare("none", fault, status == 201, body)
            if "theirs" not in fault:
                continue
            with self.subTest(fault["what"]):
                self.assertIn(status, (400, 422))
                self.assertIn(fault["ours"], fault["line"])
                self.assertIn(fault["theirs"], body["message"])
        self.assertEqual(len(kinds), 4)

    def compare(self, seed, mutant, accepted, body):
        case = f"seed {seed}: {mutant['what']}\n{json.dumps(mutant['object'])[:4000]}\n"
        with self.subTest(case):
            if accepted != mutant["accepted"]:
                self.fail(f"{case}API server: {'accepted' if accepted else body.get('message')}\n"
                          f"ours: {mutant.get('line', 'accepted')}")
            if accepted:
                self.assertEqual(body["spec"], mutant["spec"], case)


if __name__ == "__main__":
    unittest.main(verbosity=2)
