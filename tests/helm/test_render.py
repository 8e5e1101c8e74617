# SPDX-License-Identifier: Apache-2.0
"""What the chart renders: the same by both versions of helm, whatever the values, and as hard as it says."""
import json
import re
import unittest

import combinations
import rig
from objects import PROGRAMS, container_of, objects, pod_specs, rendered, workloads


class Render(unittest.TestCase):
    objects = staticmethod(objects)

    def test_both_versions_render_the_same(self):
        for name, values in combinations.combinations():
            with self.subTest(name):
                self.assertEqual(*(rendered(version, json.dumps(values)) for version in rig.HELMS))

    def test_every_pod_is_restricted(self):
        for name, values in combinations.combinations():
            specs = pod_specs(self.objects(values))
            self.assertGreaterEqual(len(specs), len(PROGRAMS), name)
            for spec in specs:
                self.assertTrue(spec["securityContext"]["runAsNonRoot"])
                self.assertEqual(spec["securityContext"]["runAsUser"], 65532)
                self.assertEqual(spec["securityContext"]["seccompProfile"], {"type": "RuntimeDefault"})
                for container in spec["containers"]:
                    context = container["securityContext"]
                    self.assertFalse(context["allowPrivilegeEscalation"])
                    self.assertTrue(context["readOnlyRootFilesystem"])
                    self.assertEqual(context["capabilities"], {"drop": ["ALL"]})

    def test_only_the_operator_gets_a_token_of_the_api_server(self):
        for item in workloads(self.objects()).values():
            spec = item["spec"]["template"]["spec"]
            component = item["metadata"]["labels"]["app.kubernetes.io/component"]
            self.assertEqual(spec["automountServiceAccountToken"], component == "operator")
            tokens = [source["serviceAccountToken"] for volume in spec.get("volumes", ()) if "projected" in volume
                      for source in volume["projected"]["sources"]]
            audiences = [token["audience"] for token in tokens]
            self.assertEqual(audiences, ["spate-operator"] if component == "gateway" else [])

    def test_no_role_says_everything(self):
        for _, values in combinations.combinations():
            roles = [item for item in self.objects(values) if item["kind"] in ("Role", "ClusterRole")]
            for rule in (rule for role in roles for rule in role["rules"]):
                for star in ("verbs", "resources", "apiGroups"):
                    self.assertNotIn("*", "".join(rule[star]), rule)

    def test_a_role_in_each_namespace_that_is_watched(self):
        everywhere = self.objects()
        some = self.objects({"watchNamespaces": ["team-a", "team-b"]})
        self.assertTrue(any(item["metadata"]["name"].endswith("operator-models") for item in everywhere
                            if item["kind"] == "ClusterRole"))
        self.assertFalse([item for item in some if item["kind"] == "ClusterRole"
                          and any("pods" in rule["resources"] for rule in item["rules"])])
        self.assertEqual({item["metadata"]["namespace"] for item in some if item["kind"] == "Role"},
                         {"spate", "team-a", "team-b"})
        self.assertIn("--watch-namespaces=team-a,team-b", container_of(workloads(some)["operator"])["args"])
        self.assertFalse([a for a in container_of(workloads(everywhere)["operator"])["args"] if "watch" in a])

    def test_every_internal_port_has_a_policy_that_names_its_callers(self):
        policies = {item["metadata"]["name"]: item["spec"] for item in self.objects() if item["kind"] == "NetworkPolicy"}
        self.assertEqual(set(policies), {"spate-operator", "spate-gateway", "spate-ledger", "spate-agents"})
        for name, callers in (("operator", {"gateway", "operator"}), ("ledger", {"gateway", "operator"}),
                              ("agents", {"gateway", "operator"})):
            ingress = policies[f"spate-{name}"]["ingress"]
            self.assertEqual(len(ingress), 1)
            self.assertEqual({peer["podSelector"]["matchLabels"]["app.kubernetes.io/component"] for peer in ingress[0]["from"]},
                             callers)
        clients, = policies["spate-gateway"]["ingress"]
        self.assertEqual(clients, {"ports": [{"port": 8080, "protocol": "TCP"}]}, "everyone, but for metrics nobody")
        self.assertEqual(policies["spate-agents"]["egress"], [])
        self.assertEqual(policies["spate-ledger"]["egress"], [])

    def test_clients_do_not_reach_metrics(self):
        """They name all tenants. The monitor and the policy know another port, which the Service of clients does not have."""
        scraper = {"podSelector": {"matchLabels": {"app": "prometheus"}}}
        found = self.objects({"networkPolicy": {"scrapers": [scraper], "clients": [{"podSelector": {}}]},
                              "metrics": {"serviceMonitor": {"enabled": True}}})
        by_kind = {(item["kind"], item["metadata"]["name"]): item for item in found}
        container = container_of(by_kind["StatefulSet", "spate-gateway"])
        ports = {port["name"]: port["containerPort"] for port in container["ports"]}
        self.assertIn(f"--metrics-listen=0.0.0.0:{ports['metrics']}", container["args"])
        self.assertEqual([port["name"] for port in by_kind["Service", "spate-gateway"]["spec"]["ports"]], ["http"])
        monitor, service = by_kind["ServiceMonitor", "spate-gateway"]["spec"], by_kind["Service", "spate-gateway-pods"]
        self.assertEqual(monitor["endpoints"][0]["port"], "metrics")
        self.assertIn("metrics", [port["name"] for port in service["spec"]["ports"]])
        self.assertEqual(monitor["selector"]["matchExpressions"][0]["operator"], "Exists")
        self.assertIn(monitor["selector"]["matchExpressions"][0]["key"], service["metadata"]["labels"])
        rules = {rule["ports"][0]["port"]: rule["from"] for rule in by_kind["NetworkPolicy", "spate-gateway"]["spec"]["ingress"]}
        self.assertEqual(rules[ports["metrics"]], [scraper])
        self.assertNotIn(scraper, rules[ports["http"]])

    def test_policies_choose_the_pods_of_the_chart(self):
        found = self.objects()
        policies = {item["metadata"]["name"]: item["spec"]["podSelector"]["matchLabels"] for item in found
                    if item["kind"] == "NetworkPolicy"}
        for component, item in workloads(found).items():
            labels = item["spec"]["template"]["metadata"]["labels"]
            chosen = [name for name, selector in policies.items() if selector.items() <= labels.items()]
            self.assertEqual(chosen, [f"spate-{component}"])

    def test_gateways_keep_off_spot_in_every_alternative(self):
        for affinity in ({}, combinations.AFFINITY):
            found = workloads(self.objects({"gateway": {"affinity": affinity}}))["gateway"]
            node = found["spec"]["template"]["spec"]["affinity"]["nodeAffinity"]
            terms = node["requiredDuringSchedulingIgnoredDuringExecution"]["nodeSelectorTerms"]
            self.assertEqual(len(terms), 2 if affinity else 1)
            for term in terms:
                keys = {expression["key"]: expression["operator"] for expression in term["matchExpressions"]}
                self.assertEqual(keys["karpenter.sh/capacity-type"], "NotIn")
            self.assertEqual("preferredDuringSchedulingIgnoredDuringExecution" in node, bool(affinity))

    def test_a_new_chart_version_alone_does_not_touch_pods(self):
        for item in workloads(self.objects()).values():
            labels = item["spec"]["template"]["metadata"]["labels"]
            self.assertNotIn("helm.sh/chart", labels)
            self.assertNotIn("app.kubernetes.io/version", labels)

    def test_definitions_are_kept_if_wanted(self):
        for keep in (True, False):
            found = [item for item in self.objects({"crds": {"keep": keep}}) if item["kind"] == "CustomResourceDefinition"]
            self.assertEqual(len(found), len(list((rig.ROOT / "crd" / "yaml").iterdir())))
            for item in found:
                self.assertEqual(item["metadata"].get("annotations", {}).get("helm.sh/resource-policy"), "keep" if keep else None)

    def test_alerts_look_at_metrics_that_there_are(self):
        known = set(re.findall(r"^\| `(\w+)` \|", (rig.ROOT / "docs" / "reference" / "metrics.md").read_text(), re.MULTILINE))
        found = self.objects({"metrics": {"prometheusRule": {"enabled": True}}})
        rules = [rule for item in found if item["kind"] == "PrometheusRule" for group in item["spec"]["groups"]
                 for rule in group["rules"]]
        self.assertGreater(len(rules), 0)
        for rule in rules:
            names = set(re.findall(r"\b(spate_\w+)", rule["expr"]))
            self.assertTrue(names and names <= known, f"{rule['alert']}: {names - known or rule['expr']}")

    def test_versions_agree(self):
        version = re.search(r"project\(spate VERSION (\S+)", (rig.ROOT / "CMakeLists.txt").read_text())[1]
        chart = (rig.CHART / "Chart.yaml").read_text()
        self.assertRegex(chart, rf"(?m)^version: {re.escape(version)}$")
        self.assertRegex(chart, rf"(?m)^appVersion: {re.escape(version)}$")

    def test_references_of_images(self):
        cases = [
            ({}, "spate.invalid/ledger:0.1.0"),
            ({"image": {"registry": "registry.example/x/", "tag": "t"}}, "registry.example/x/ledger:t"),
            ({"image": {"registry": ""}}, "ledger:0.1.0"),
            ({"ledger": {"image": {"repository": "l", "tag": "u"}}}, "spate.invalid/l:u"),
            ({"ledger": {"image": {"tag": "u", "digest": "sha256:" + "a" * 64}}}, "spate.invalid/ledger@sha256:" + "a" * 64),
        ]
        for values, reference in cases:
            found = container_of(workloads(self.objects(values))["ledger"])["image"]
            self.assertEqual(found, reference)


if __name__ == "__main__":
    unittest.main()
