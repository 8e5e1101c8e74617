# SPDX-License-Identifier: Apache-2.0
"""Hostile texts in every field that takes a text: none reaches a path, a URL, a label of a metric or a line of a log as it is.

The schema refuses most of them, so its patterns are taken away as well, as if a schema of another version were in force: then it
is the operator alone that is between an object and what becomes of it."""
import json
import re
import unittest

from shared import BROOK, MODEL, TEAM, product, rig, system

NAMESPACE = "hostile"
MARK = "forged-line"
TEXTS = {
    "parent": "..", "slash": "/", "parents": "../../../../etc/passwd", "escaped parents": "%2e%2e%2f%2e%2e%2fapi%2fv1%2fsecrets",
    "line": f"x\n{MARK}", "lines and a header": f"x\r\nX-Spate-Tenant: {MARK}\r\n\r\nGET /{MARK}", "colour": f"\x1b[31m{MARK}\x1b[0m",
    "title of a terminal": f"\x1b]0;{MARK}\x07", "C1 control": f"\x9b31m{MARK}", "quotes": f"'\"{MARK}\"'", "command": f"$(touch {MARK})",
    "backticks": f"`{MARK}`", "variable": "$(HOSTNAME)${HOME}", "right to left": f"\u202e{MARK}\u202c", "query": f"?watch=1&x={MARK}",
    "fragment": f"#{MARK}", "semicolon": f"; rm -rf /{MARK}", "JSON": f'"}},{{"{MARK}":"', "line of a log":
    f'"}}\n{{"time":"2026-11-22T00:00:00Z","level":"error","program":"spate-operator","event":"{MARK}"}}', "YAML": f"x: {{a: [{MARK}\n---\n- !!x",
    "template": f"{{{{ .Values.{MARK} }}}}", "label of a metric": f'x"}} 1\n{MARK}{{a="', "very long": "A" * 900, "separators": f"\u2028{MARK}\u2029",
    "printf": "%s%n%s%n", "flag": "--platform=local", "escaped NUL": "x\\u0000y", "no width": f"\u200b{MARK}\ufeff", "host": "x@evil.example:80",
}
# JSON has an escape for it, the API server takes it in any text, and our readers of JSON do not. No client of the gateway sends it.
NUL = "x\0y"
LABEL = re.compile(r"^[A-Za-z_:][\w:]*(\{([a-zA-Z_]\w*=\"([^\"\\\n]|\\[\\\"n])*\"(,|(?=\})))*\})? [-+0-9.eEInfNa]+$")


class Hostile(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.kube = rig.Kube(system.release.cluster, NAMESPACE).make_namespace()

    def tearDown(self):
        self.kube.run("delete", "modeldeployment,modelroute", "--all", "--wait=false")
        system.release.kubectl("delete", "tenant,pricebook", "--selector", "hostile=yes", "--wait=false")

    def objects(self):
        """Each text in each field of each kind."""
        for number, text in enumerate(TEXTS.values()):
            name = f"h{number}"
            for scheme in ("oci://", "pvc://", "file:///", "oci://spate.invalid/x:1#", "pvc://claim/"):
                yield self.model(f"{name}-{scheme[:3]}-{len(scheme)}", {"model": {"uri": scheme + text}})
            yield self.model(f"{name}-name", {"model": {"uri": BROOK, "name": text}})
            yield self.model(f"{name}-place", {"model": {"uri": BROOK}, "placement": {
                "nodeLabels": [{"key": text, "value": text}], "tolerations": [{"key": text, "value": text}],
                "priorityClassName": text, "runtimeClassName": text}})
            yield self.thing("ModelRoute", f"{name}-route", {"targets": [{"model": text, "weight": 1}], "name": text}, NAMESPACE)
            yield self.thing("Tenant", f"{name}-tenant", {"namespaces": [text], "models": [text], "priceBook": text,
                                                               "keys": [{"id": text, "sha256": "0" * 64}]})
            yield self.thing("PriceBook", f"{name}-book", {"prices": [{"model": text, "input": text, "output": text}]})

    def thing(self, kind, name, spec, namespace=None):
        metadata = {"name": name, "labels": {"hostile": "yes"},
                    "annotations": {f"hostile/{n}": text for n, text in enumerate((*TEXTS.values(), NUL))}}
        return {"apiVersion": "spate.dev/v1alpha1", "kind": kind, "metadata": metadata | ({"namespace": namespace} if namespace else {}),
                "spec": spec}

    def model(self, name, spec):
        # Each gets a pod, and none a node: what a pod would be is looked at, and the machine is spared.
        nowhere = {"placement": {"nodeLabels": [{"key": "nowhere", "value": "x"}]}, "scaling": {"minReplicas": 1, "maxReplicas": 1}}
        return self.thing("ModelDeployment", name, nowhere | spec, NAMESPACE)

    def create(self, things, *options):
        """How many of them the server took."""
        text = json.dumps({"apiVersion": "v1", "kind": "List", "items": list(things)})
        return len(system.release.kubectl("create", "-f", "-", "--validate=false", "--output=name", *options, check=False,
                                          text=text).split())

    def test_what_any_schema_would_let_through(self):
        """What the true one takes is among it."""
        release = system.release
        names = [f"{kind}.spate.dev" for kind in ("modeldeployments", "modelroutes", "tenants", "pricebooks")]
        before = [json.loads(release.kubectl("get", "crd", name, "-o", "json")) for name in names]
        self.addCleanup(self.put_back, before)
        for definition in before:
            release.kubectl("replace", "-f", "-", text=json.dumps(without_rules(definition)))
        last = {thing["kind"]: thing for thing in self.objects()}
        rig.wait_for(lambda: self.create(last.values(), "--dry-run=server") == len(last), 30, "schemas that take any text")
        taken = self.create(self.objects())
        self.assertIn(r"x\u0000y", release.kubectl("get", "tenants", "-o", "json", "--selector", "hostile=yes"))
        self.assertGreater(taken, 9 * len(TEXTS))
        self.look(f"{taken} objects")
        self.assertEqual(product.ask(release.gateway, MODEL)[0], 200)

    def put_back(self, definitions):
        self.tearDown()
        for definition in definitions:
            definition["metadata"].pop("resourceVersion")
            system.release.kubectl("replace", "-f", "-", text=json.dumps(definition))
        last = {thing["kind"]: thing for thing in self.objects()}
        rig.wait_for(lambda: self.create(last.values(), "--dry-run=server") == 0, 30, "the true schemas")

    def test_what_is_written_to_pods(self):
        """By somebody with all rights on pods, into those of a model."""
        name, = product.pods_of(system.team, "brook")
        kept = system.team.get("pod", name)["status"]
        for number, text in enumerate((*TEXTS.values(), NUL)):
            metadata = {"metadata": {"annotations": {"spate.dev/created-ms": text, f"note-{number}": text,
                                                     "cluster-autoscaler.kubernetes.io/safe-to-evict": text}}}
            system.team.run("patch", "pod", name, "--type=merge", "-p", json.dumps(metadata))
            status = {"status": {"message": text, "reason": text, "conditions": [
                {"type": "PodScheduled", "status": "False", "reason": text, "message": text},
                {"type": "DisruptionTarget", "status": "Unknown", "reason": text, "message": text}]}}
            system.team.run("patch", "pod", name, "--subresource=status", "--type=merge", "-p", json.dumps(status), check=False)
        system.team.run("patch", "pod", name, "--subresource=status", "--type=merge", "-p", json.dumps({"status": {
            "message": None, "reason": None, "conditions": kept["conditions"]}}))
        self.look("a pod")

    def test_what_a_client_sends(self):
        gateway = system.release.gateway
        for text in TEXTS.values():
            self.assertEqual(product.ask(gateway, text)[0], 404)
            self.assertIn(product.ask(gateway, MODEL, text=text, user=text, max_tokens=1)[0], (200, 400))
            raw = [{"address": gateway, "method": "GET", "path": "/v1/models/" + "".join(f"%{b:02x}" for b in text.encode()),
                    "headers": {"authorization": f"Bearer {product.KEY}"}},
                   {"address": gateway, "method": "GET", "path": "/v1/models", "headers": {
                       "authorization": f"Bearer {product.KEY}", "x-request-id": text.encode("ascii", "replace").decode().split("\r")[0].split(
                           "\n")[0], "user-agent": "x"}}]
            for status, _ in system.foreign.call(*raw):
                self.assertIn(status, (200, 400, 404))
        self.look("requests")

    # What to look at

    def look(self, what):
        """The operator has had its time when a model that came last is served."""
        system.release.apply(system.release.model("last", TEAM))
        rig.wait_for(lambda: product.conditions(system.team, "last").get("NameAccepted"), 60, "the operator to get that far")
        system.team.run("delete", "modeldeployment", "last", "--wait=false")
        for program, name, pod in system.pods():
            log = system.release.kubectl("logs", "-n", pod["metadata"]["namespace"], name, check=False)
            self.look_at_log(program, log)
        for program, addresses in system.metrics_addresses().items():
            for address in addresses:
                (status, text), = system.foreign.call({"address": address, "method": "GET", "path": "/metrics"})
                self.assertEqual(status, 200, f"metrics of {program}")
                for line in text.splitlines():
                    if not line.startswith("# "):
                        self.assertRegex(line, LABEL, f"metrics of {program} after {what}")
        self.look_at_pods()
        self.look_at_messages()

    def look_at_log(self, program, log):
        for line in log.split("\n"):
            if not line:
                continue
            self.assertIsNone(UNSEEN.search(line), f"{program}: {line!r}")
            entry = json.loads(line)
            self.assertLessEqual({"time", "level", "program", "event"}, set(entry), line)
            self.assertEqual(entry["program"], f"spate-{program}", line)
            self.assertNotIn(MARK, entry["event"] + "".join(entry), line)

    def look_at_pods(self):
        """What was made of an object: names, paths and arguments that mean what they say."""
        for pod in self.kube.get("pods")["items"]:
            container, = pod["spec"]["containers"]
            arguments = container["args"]
            path = arguments[arguments.index("--model") + 1]
            self.assertNotIn("..", path.split("/"), path)
            self.assertIsNone(re.search(r"(?<!\$)(\$\$)*\$\(", path), path)
            self.assertEqual(len(arguments) % 2, 0)
            self.assertTrue(all(option.startswith("--") for option in arguments[::2]), arguments)
            for volume in pod["spec"]["volumes"]:
                self.assertNotIn("hostPath", volume)
                self.assertRegex(volume.get("image", {}).get("reference", "x/y"), r"^[A-Za-z0-9._:@/-]+$")
                self.assertRegex(volume.get("persistentVolumeClaim", {}).get("claimName", "x"), r"^[a-z0-9.-]+$")

    def look_at_messages(self):
        """Statuses and events are what kubectl shows: nothing in them obeys a terminal."""
        release = system.release
        for item in json.loads(release.kubectl("get", "modeldeployments,modelroutes,pricebooks", "-A", "-o", "json"))["items"]:
            status = item.get("status", {})
            for text in [row.get("message", "") for part in ("conditions", "pods", "decisions") for row in status.get(part, ())]:
                self.assertIsNone(UNSEEN.search(text), f"{item['metadata']['name']}: {text!r}")
        for event in json.loads(release.kubectl("get", "events.events.k8s.io", "-A", "-o", "json"))["items"]:
            if event.get("reportingController", "").startswith("spate"):
                self.assertIsNone(UNSEEN.search(event.get("note", "")), event)


UNSEEN = re.compile("[\x00-\x1f\x7f-\x9f\xad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]")


def without_rules(definition):
    """A schema that takes any text."""
    def strip(node):
        if isinstance(node, dict):
            return {key: strip(value) for key, value in node.items()
                    if not (key in ("pattern", "x-kubernetes-validations", "maxLength", "minLength") and not isinstance(value, dict))}
        return [strip(value) for value in node] if isinstance(node, list) else node

    return definition | {"spec": strip(definition["spec"])}
