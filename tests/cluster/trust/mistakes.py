# SPDX-License-Identifier: Apache-2.0
"""The mistakes that people make, and what they are told, within seconds and with the cure.

Of the ten, in the order of what is provoked here: no GPU plugin (1), a taint (2), memory that does not fit (3), a context above the KV
cache (4), a model that is not there (5), a volume or image that is not there (5, 7), definitions that are missing (8), a wrong key,
model or path (9). Not here: S3 and instance metadata (6 and half of 10), for no code of ours asks either; a gated model, for hf://
is refused by name. Whether Prometheus selects our monitors (10) is a matter of labels, which tests/helm checks."""
import json
import time
import unittest

from shared import BROOK, MODEL, product, rig, system

NAMESPACE = "mistakes"
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
        self.assertRegex(answer["error"]["message"], r"\d+.*\d+")

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

    def test_a_missing_definition(self):
        release = system.release
        text = release.kubectl("get", "crd", "pricebooks.spate.dev", "-o", "json")
        release.kubectl("delete", "crd", "pricebooks.spate.dev")
        try:
            standby = next(name for name in release.pods("operator") if name != release.leader())
            release.kube.run("delete", "pod", standby, "--wait=false")

            def log():
                names = [name for name in release.pods("operator") if name not in (standby, release.leader())]
                return next((text for name in names if "CustomResourceDefinition" in (text := release.kube.run(
                    "logs", name, check=False))), None)

            said = rig.wait_for(log, 30, "an operator that misses a definition to say so")
            self.assertIn("pricebooks", said)
            self.assertIn("crds.enabled=true", said)
        finally:
            found = json.loads(text)
            found["metadata"] = {part: found["metadata"].get(part, {}) for part in ("name", "labels", "annotations")}
            found.pop("status")
            release.kubectl("create", "-f", "-", text=json.dumps(found))

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
