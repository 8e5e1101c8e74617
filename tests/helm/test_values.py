# SPDX-License-Identifier: Apache-2.0
"""Values: what is not in values.yaml is refused with its path, by both versions of helm, and values.yaml and its schema say
the same."""
import json
import re
import unittest

import rig

# What is planted in a values file: a tree, and where helm must say that something is wrong with what.
TYPOS = [
    ({"operater": {"replicas": 3}}, "", "operater"),
    ({"gatewayReplicas": 2}, "", "gatewayReplicas"),
    ({"operator": {"replica": 3}}, "/operator", "replica"),
    ({"operator": {"image": {"name": "operator"}}}, "/operator/image", "name"),
    ({"operator": {"logLevel": "verbose"}}, "/operator/logLevel", "debug"),
    ({"operator": {"replicas": "two"}}, "/operator/replicas", "want integer"),
    ({"image": {"pullPolicy": "ifNotPresent"}}, "/image/pullPolicy", "IfNotPresent"),
    ({"image": {"pullSecrets": ["registry"]}}, "/image/pullSecrets/0", "want object"),
    ({"image": {"repository": "registry.example"}}, "/image", "repository"),
    ({"crds": {"install": False}}, "/crds", "install"),
    ({"rbac": {"enabled": True}}, "/rbac", "enabled"),
    ({"watchNamespaces": ["Team_A"]}, "/watchNamespaces/0", "pattern"),
    ({"watchNamespaces": "team-a"}, "/watchNamespaces", "want array"),
    ({"gateway": {"persistence": {"storageClass": "fast"}}}, "/gateway/persistence", "storageClass"),
    ({"gateway": {"service": {"ports": [80]}}}, "/gateway/service", "ports"),
    ({"gateway": {"service": {"type": "Loadbalancer"}}}, "/gateway/service/type", "LoadBalancer"),
    ({"gateway": {"replicas": 65}}, "/gateway/replicas", "64"),
    ({"gateway": {"service": {"externalTrafficPolicy": "local"}}}, "/gateway/service/externalTrafficPolicy", "Local"),
    ({"gateway": {"tolerations": [{"key": "gpu", "op": "Exists"}]}}, "/gateway/tolerations/0", "op"),
    ({"gateway": {"affinity": {"nodeAfinity": {}}}}, "/gateway/affinity", "nodeAfinity"),
    ({"gateway": {"resources": {"limit": {"memory": "1Gi"}}}}, "/gateway/resources", "limit"),
    ({"gateway": {"env": [{"name": "POD_NAME", "value": "x"}]}}, "/gateway/env/0/name", "not"),
    ({"ledger": {"replicas": 2}}, "/ledger", "replicas"),
    ({"ledger": {"persistence": {"size": "10 GB"}}}, "/ledger/persistence/size", "pattern"),
    ({"agent": {"image": {"digest": "sha256:short"}}}, "/agent/image/digest", "pattern"),
    ({"agent": {"pullSecret": "registry"}}, "/agent/pullSecret", "spate-"),
    ({"networkPolicy": {"clients": [{"podselector": {}}]}}, "/networkPolicy/clients/0", "podselector"),
    ({"metrics": {"podMonitor": {"enabled": "true"}}}, "/metrics/podMonitor/enabled", "want boolean"),
    ({"metrics": {"serviceMonitor": {"interval": "30s"}}}, "/metrics/serviceMonitor", "interval"),
    ({"tests": {"enable": False}}, "/tests", "enable"),
]


# What a chart sets that this one is part of.
PARENTS = {"global", "enabled"}


class Values(unittest.TestCase):
    def test_lint_is_strict(self):
        for version in rig.HELMS:
            result = rig.helm(version, "lint", "--strict", rig.CHART, "--kube-version", rig.KUBE_VERSION)
            self.assertEqual(result.returncode, 0, result.stdout + result.stderr)
            self.assertNotRegex(result.stdout, r"\[(WARNING|ERROR)\]")

    def test_what_is_wrong_is_refused_with_its_path(self):
        for version in rig.HELMS:
            for values, path, what in TYPOS:
                with self.subTest(version=version, values=values):
                    result = rig.helm(version, "template", "spate", rig.CHART, "--kube-version", rig.KUBE_VERSION,
                                      values=values)
                    self.assertNotEqual(result.returncode, 0)
                    lines = [line for line in result.stderr.splitlines() if f"at '{path}':" in line]
                    self.assertTrue(any(what in line for line in lines), result.stderr)

    def test_schema_knows_the_keys_of_values_and_no_others(self):
        schema = json.loads((rig.CHART / "values.schema.json").read_text())
        values = rig.parse_values((rig.CHART / "values.yaml").read_text())
        self.assertEqual(paths_of(values), paths_of_schema(schema, schema) - PARENTS)

    def test_schema_is_closed_wherever_it_names_keys(self):
        for path, part in parts_of(json.loads((rig.CHART / "values.schema.json").read_text())):
            # A volume has some thirty kinds, each with fields of its own, and an extra object is anything at all.
            if "properties" in part and not path.endswith("/volumes/items"):
                self.assertIs(part.get("additionalProperties"), False, path)

    def test_page_of_values_has_each_of_them(self):
        page = (rig.ROOT / "docs" / "reference" / "values.md").read_text()
        described = set(re.findall(r"^\| `([A-Za-z.]+)` \| `", page, re.MULTILINE))
        values = rig.parse_values((rig.CHART / "values.yaml").read_text())
        self.assertEqual(described, leaves_of(values))


def paths_of(tree, before=""):
    """Of all keys, but for those inside of what holds any names (requests and limits)."""
    paths = set()
    for key, value in tree.items():
        paths.add(before + key)
        if isinstance(value, dict) and key not in ("requests", "limits"):
            paths |= paths_of(value, f"{before}{key}.")
    return paths


# Parts of a pod: what is in them is for Kubernetes to say, and empty here.
PARTS_OF_A_POD = ("affinity",)


def paths_of_schema(schema, root, before=""):
    paths = set()
    for key, value in schema.get("properties", {}).items():
        if "$ref" in value:
            value = root["definitions"][value["$ref"].rpartition("/")[2]]
        paths.add(before + key)
        if key not in PARTS_OF_A_POD:
            paths |= paths_of_schema(value, root, f"{before}{key}.")
    return paths


def leaves_of(tree, before=""):
    leaves = set()
    for key, value in tree.items():
        if isinstance(value, dict) and value and key not in ("requests", "limits"):
            leaves |= leaves_of(value, f"{before}{key}.")
        else:
            leaves.add(before + key)
    return leaves


def parts_of(schema, path=""):
    if isinstance(schema, dict):
        yield path, schema
        for key, value in schema.items():
            yield from parts_of(value, f"{path}/{key}")


if __name__ == "__main__":
    unittest.main()
