# SPDX-License-Identifier: Apache-2.0
"""The mistakes that people make, and what they are told, within seconds and with the cure.

Of the ten, in the order of what is provoked here: no GPU plugin (1), a taint (2), memory that does not fit a node, or the model (3), a
context above the KV cache, and memory that runs out (4), a model that is not there (5), a volume or image that is not there (5, 7),
definitions that are missing or old (8), a wrong key, model or path (9). A full disk (7) is in disks.py. Not here: S3 and instance metadata (6 and half of 10),
for no code of ours asks either; a gated model, for hf:// is refused by name. Whether Prometheus selects our monitors (10) is a matter of
labels, which tests/helm checks."""
import http.client
import json
import re
import time
import unittest

import pages
from shared import BROOK, MODEL, TEAM, product, release, rig, system

NAMESPACE = "mistakes"
OLD_DEFINITION = product.ROOT / "tests/cluster/upgrade/spate-0.0.9/files/crds/spate.dev_modeldeployments.yaml"
TOLD_S = 10
# The status is written at most each 5 s, and other tests use the same two processors.
SLACK_S = 5
SMALL = {"cpuMillis": 50}


class Mistakes(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.kube = rig.Kube(system.release.cluster, NAMESPACE).make_namespace()

    def tearDown(self):
        self.kube.run("delete", "modeldeployment", "--all", "--wait=false")

    def model(self, name, uri=BROOK, engine=None, hardware=None):
        made = system.release.model(name, NAMESPACE, uri=uri, engine=engine, minReplicas=1)
        made["spec"]["hardware"] = SMALL | (hardware or {})
        return made

    def told(self, model, condition, *texts, seconds=TOLD_S + SLACK_S):
        """Until a condition of the model is False and says all of that."""
        system.release.apply(model)
        name, began = model["metadata"]["name"], time.monotonic()

        def says():
            found = product.conditions(self.kube, name).get(condition, {})
            return found if found.get("status") == "False" and all(text in found["message"] for text in texts) else None

        try:
            found = rig.wait_for(says, seconds, "words")
        except Exception as error:
            raise AssertionError(f"{name}: {json.dumps(product.conditions(self.kube, name), indent=1)}") from error
        print(f"{name}: {condition}={found['reason']} after {time.monotonic() - began:.1f} s: {found['message']}")

    # 1 to 3: where to run

    def test_no_device_plugin(self):
        path = "/status/capacity/nvidia.com~1gpu"
        for node in ("n1", "n2", "n3"):
            self.patch_node(node, [{"op": "remove", "path": path}, {"op": "remove", "path": path.replace("capacity", "allocatable")}])
            self.addCleanup(self.patch_node, node, [{"op": "add", "path": path, "value": "8"}])
        self.told(self.model("gpu", hardware={"gpus": 1}), "CapacityAvailable", "no node offers nvidia.com/gpu", "device plugin")

    def patch_node(self, node, patch):
        system.release.kubectl("patch", "node", node, "--subresource", "status", "--type", "json", "--patch", json.dumps(patch))

    def test_too_many_gpus(self):
        self.told(self.model("more", hardware={"gpus": 9}), "CapacityAvailable", "Insufficient nvidia.com/gpu", "lower spec.hardware.gpus")

    def test_a_taint(self):
        for node in ("n1", "n2", "n3"):
            system.release.kubectl("taint", "node", node, "dedicated=gpu:NoSchedule")
            self.addCleanup(system.release.kubectl, "taint", "node", node, "dedicated-")
        self.told(self.model("taint"), "CapacityAvailable", "has dedicated=gpu:NoSchedule", "spec.placement.tolerations")
        tolerant = self.model("tolerant")
        tolerant["spec"]["placement"] = {"tolerations": [{"key": "dedicated", "value": "gpu"}]}
        system.release.apply(tolerant)
        rig.wait_for(lambda: any(pod["spec"].get("nodeName") for pod in product.pods_of(self.kube, "tolerant").values()), 20,
                     "a place for it, by that cure")

    def test_no_room(self):
        self.told(self.model("memory", hardware={"memoryMiB": 900000}), "CapacityAvailable", "Insufficient memory", "spec.hardware.memoryMiB")
        self.told(self.model("cpu", engine={"threads": 512}, hardware={"cpuMillis": 512000}), "CapacityAvailable", "Insufficient cpu",
                  "spec.engine.threads")
        labels = self.model("labels")
        labels["spec"]["placement"] = {"nodeLabels": [{"key": "pool", "value": "none"}]}
        self.told(labels, "CapacityAvailable", "spec.placement.nodeLabels")

    # 4: more than the cache can hold

    def test_a_prompt_longer_than_the_context(self):
        status, answer = product.ask(system.release.gateway, MODEL, "word " * 20000)
        self.assertEqual((status, answer["error"]["code"]), (400, "context_length_exceeded"), answer)
        self.assertRegex(answer["error"]["message"], r"context is 32768 tokens, but the prompt has \d+")

    def test_a_context_above_the_cache(self):
        """It starts with the largest that fits, says so, and a request above that is refused with both numbers. The cure is obeyed."""
        name, small = f"{TEAM}/short", {"contextTokens": 2000, "kvCacheMiB": 1}
        model = system.release.model("short", TEAM, engine=small, minReplicas=1)
        system.release.apply(model)
        self.addCleanup(system.team.run, "delete", "modeldeployment", "short", "--wait=false")

        def said():
            status = system.release.status(system.team, "short")
            return next((pod["message"] for pod in status.get("pods", ()) if pod["phase"] == "Ready" and pod.get("message")), None)

        words = rig.wait_for(said, 60, "a ready pod with a remark")
        print(words)
        fits, wished, needed = map(int, re.match(r"its context is (\d+) tokens, not (\d+), .*raise kvCacheMiB .* to (\d+)", words).groups())
        self.assertEqual(wished, 2000)
        self.assertGreater(fits, 100)
        system.release.wait_answer(name)
        status, answer = system.release.ask(name, "word " * 1000)
        self.assertEqual((status, answer["error"]["code"]), (400, "context_length_exceeded"), answer)
        self.assertRegex(answer["error"]["message"], rf"context is {fits} tokens, but the prompt has \d+")
        model["spec"]["engine"]["kvCacheMiB"] = needed
        system.release.apply(model)
        self.assertEqual(rig.wait_for(lambda: (lambda found: found if found[0] == 200 else None)(
            system.release.ask(name, "word " * 300)), 60, "an answer, by that cure")[0], 200)
        rig.wait_for(lambda: not said(), 30, "no remark any more")

    def test_a_model_above_its_memory(self):
        """Its agent says so before it loads, with the figures, and stays: nothing is killed and started again. The cure is obeyed."""
        model = self.model("large", engine={"kvCacheMiB": 64}, hardware={"memoryMiB": 32})
        self.told(model, "Ready", "it needs", "KV cache 65", "but may use 32: raise spec.hardware.memoryMiB", "lower kvCacheMiB",
                  "smaller model")
        (pod,) = self.kube.get("modeldeployment", "large")["status"]["pods"]
        self.assertEqual(pod["phase"], "Failed")
        needed = int(re.match(r"it needs (\d+) MiB \(weights \d+, KV cache \d+, work \d+\), but may use 32: ", pod["message"])[1])
        time.sleep(5)
        (container,) = product.pods_of(self.kube, "large")[pod["name"]]["status"]["containerStatuses"]
        self.assertEqual((container["restartCount"], "running" in container["state"]), (0, True))
        model["spec"]["hardware"]["memoryMiB"] = needed + 32
        system.release.apply(model)
        rig.wait_for(lambda: product.conditions(self.kube, "large").get("Ready", {}).get("status") == "True", 60, "its being ready, by that cure")

    def test_memory_that_runs_out(self):
        """The kernel ends the agent at its limit, over a prompt of megabytes: the plan counts the model, not the requests. It is replaced
        before its node says why, so the words are an event's."""
        model = system.release.model("heavy", TEAM, engine={"kvCacheMiB": 4, "slots": 1}, minReplicas=1, maxReplicas=1)
        model["spec"]["hardware"] = SMALL | {"memoryMiB": 20}
        system.release.apply(model)
        self.addCleanup(system.team.run, "delete", "modeldeployment", "heavy", "--wait=false")
        system.release.wait_answer(f"{TEAM}/heavy")

        def told():
            found = system.team.get("events.events.k8s.io", fields="reason=AgentOutOfMemory")["items"]
            return next((event["note"] for event in found if event["regarding"]["name"] == "heavy"), None)

        asked = http.client.HTTPConnection(system.release.gateway, timeout=60)
        self.addCleanup(asked.close)  # whoever asked goes away: else the request would end one agent after the other
        asked.request("POST", "/v1/chat/completions", json.dumps({
            "model": f"{TEAM}/heavy", "messages": [{"role": "user", "content": "word " * 2000000}], "max_tokens": 1}),
                      {"content-type": "application/json", "authorization": f"Bearer {product.KEY}"})
        note = rig.wait_for(told, 60, "an event about the limit")
        print(note)
        self.assertRegex(note, "^heavy-.*its agent needed more memory than its limit allows: raise spec.hardware.memoryMiB")

    # 5 and 7: a model that is not there

    def test_no_such_claim(self):
        self.told(self.model("claim", "pvc://absent/x"), "CapacityAvailable", 'persistentvolumeclaim "absent" not found',
                  "make that claim", "spec.model.uri")

    def test_no_such_folder(self):
        self.told(self.model("folder", "file:///models/missing"), "Ready", "/models/missing", "No such file")

    def test_no_such_image(self):
        """A node tries for a while before it says so: within a minute, not ten seconds."""
        self.told(self.model("image", "oci://spate.invalid/missing:1"), "CapacityAvailable", "can't be pulled", "spec.model.uri", seconds=90)

    def test_no_such_scheme(self):
        for uri in ("hf://deepseek-ai/DeepSeek-R1-Distill-Qwen-7B", "s3://bucket/model"):
            with self.assertRaisesRegex(Exception, "not supported by this version: name the model's folder by file://"):
                system.release.apply(self.model("scheme", uri))
        self.told(self.model("name", "pvc://Absent/x"), "WeightsReachable", "pvc://CLAIM/path")

    # 8: definitions

    def said_by_operators(self, text):
        """The lines with that text in the logs of the operators there are."""
        names = system.release.pods("operator")
        return [line for name in names for line in system.release.kube.run("logs", name, check=False).splitlines() if text in line]

    def obey(self, words):
        """Runs the one command that a message ends with, as somebody would who reads it."""
        command = words[words.rindex("kubectl --namespace"):]
        shell = pages.Shell(system.release.cluster.plan.name, system.release.cluster.plan.programs,
                            environment={"KUBECONFIG": str(system.release.cluster.plan.kubeconfig)})
        self.addCleanup(shell.close)
        print(shell.run(command + "\n"))

    def test_a_missing_definition(self):
        installed = system.release
        found = json.loads(installed.kubectl("get", "crd", "pricebooks.spate.dev", "-o", "json"))
        installed.kubectl("delete", "crd", "pricebooks.spate.dev")
        try:
            standby = next(name for name in installed.pods("operator") if name != installed.leader())
            installed.kube.run("delete", "pod", standby, "--wait=false")
            line, *_ = rig.wait_for(lambda: self.said_by_operators("a CustomResourceDefinition is missing"), 30,
                                    "an operator that misses a definition to say so")
            self.assertIn("pricebooks", line)
            self.obey(json.loads(line)["cure"])
            rig.wait_for(lambda: all(map(rig.is_ready, installed.pods("operator").values())), 60, "its being ready, by that cure")
        finally:
            # With the chart's labels, as it was.
            found["metadata"] = {part: found["metadata"].get(part, {}) for part in ("name", "labels", "annotations")}
            found.pop("status")
            installed.kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", text=json.dumps(found))

    def definition(self):
        return json.loads(system.release.kubectl("get", "crd", "modeldeployments.spate.dev", "-o", "json"))

    def make_definition_old(self):
        """As release 0.0.9 had it, which lacks spec.hardware and more."""
        text = system.release.kubectl("create", "--dry-run=client", "-o", "json", "-f", str(OLD_DEFINITION))
        versions = json.loads(text)["spec"]["versions"]
        system.release.kubectl("patch", "crd", "modeldeployments.spate.dev", "--type", "merge",
                               "--patch", json.dumps({"spec": {"versions": versions}}))

    def has_hardware(self):
        return "hardware" in self.kube.get("modeldeployment", "old")["spec"]

    def test_an_old_definition(self):
        """Whoever applies with kubectl is told by that; other tools do not ask, and the field is lost."""
        before = self.definition()
        model = self.model("old")
        self.addCleanup(system.release.kubectl, "patch", "crd", "modeldeployments.spate.dev", "--type", "merge",
                        "--patch", json.dumps({"spec": {"versions": before["spec"]["versions"]}}))
        self.make_definition_old()

        def told():
            found = self.kube.get("events.events.k8s.io", fields="reason=DefinitionOutdated")["items"]
            return next((event["note"] for event in found if event["regarding"]["name"] == "old"), None)

        with self.assertRaisesRegex(Exception, 'unknown field "(spec.)?hardware"'):
            rig.wait_for(lambda: system.release.apply(model), 10, "the API server's obeying the old definition")
        self.kube.run("apply", "--validate=false", "-f", "-", text=json.dumps(model))
        self.assertFalse(self.has_hardware())
        began = time.monotonic()
        note = rig.wait_for(told, 30, "an event about a model whose field is lost")
        print(f"told after {time.monotonic() - began:.1f} s: {note}")
        for lost in ("spec.hardware", "spec.placement", "spec.scaling.spot", f"this operator ({release.TAG})"):
            self.assertIn(lost, note)
        rig.wait_for(lambda: len(self.said_by_operators("is of an older release")) == 2, 30, "both operators to say so")
        self.obey(note)
        rig.wait_for(lambda: len(self.said_by_operators("is up to date again")) == 2, 30, "both operators to see that")
        after = self.definition()
        self.assertEqual(after["spec"], before["spec"])
        for part in ("labels", "annotations"):
            self.assertEqual(after["metadata"].get(part), before["metadata"].get(part), "what the chart wants to know of it")
        self.kube.run("apply", "-f", "-", text=json.dumps(model))
        self.assertTrue(self.has_hardware())
        # The chart goes on to own them, as the page says.
        system.release.helm("upgrade", system.release.name, release.CHART, "--reset-then-reuse-values", "--force-conflicts")

    # 9: clients

    def test_what_a_client_is_told(self):
        gateway = system.release.gateway
        status, answer = product.ask(gateway, "acme-team/brok")
        self.assertEqual((status, answer["error"]["code"]), (404, "model_not_found"))
        self.assertIn("it may use: brook", answer["error"]["message"])
        status, answer = product.ask(gateway, MODEL, key="sk-test-wrong")
        self.assertEqual(status, 401)
        self.assertIn("Authorization", answer["error"]["message"])
        self.assertNotIn("sk-test-wrong", json.dumps(answer))
        status, answer = product.request_json(gateway, "POST", "/chat/completions", token=product.KEY, body={
            "model": MODEL, "messages": [{"role": "user", "content": "x"}], "max_tokens": 1})
        self.assertEqual(status, 200)
        status, answer = product.request_json(gateway, "POST", "/v1/api/chat", {}, product.KEY)
        self.assertEqual(status, 404)
        self.assertIn("/v1/chat/completions", answer["error"]["message"])
