# SPDX-License-Identifier: Apache-2.0
"""Monitors choose what there is: each ServiceMonitor a Service of its program, by which the port with the metrics is scraped, and
once; the PodMonitor the pods of models, as the operator makes them."""
import json
import re
import unittest

import rig
from objects import PROGRAMS, container_of, objects, of_kind, selects, workloads

ON = {"metrics": {"serviceMonitor": {"enabled": True, "intervalSeconds": 7, "labels": {"release": "prometheus"}},
                  "podMonitor": {"enabled": True, "intervalSeconds": 9, "labels": {"release": "prometheus"}}}}
# Pods as operator/kube writes them: what its own tests compare with.
GOLDEN = sorted((rig.ROOT / "tests" / "unit" / "operator" / "golden").glob("pod_*.json"))
# Which port of a program serves /metrics, by the option that says where.
OPTIONS = {"operator": "--listen=0.0.0.0:", "gateway": "--metrics-listen=0.0.0.0:", "ledger": "--listen=0.0.0.0:"}


def port_of(container, option):
    value, = (argument[len(option):] for argument in container["args"] if argument.startswith(option))
    return int(value)


class ServiceMonitors(unittest.TestCase):
    def test_each_program_is_scraped_once_where_its_metrics_are(self):
        found = objects(ON)
        monitors = {item["metadata"]["name"]: item for item in of_kind(found, "ServiceMonitor")}
        self.assertEqual(set(monitors), {f"spate-{program}" for program in PROGRAMS})
        for program in PROGRAMS:
            with self.subTest(program):
                monitor = monitors[f"spate-{program}"]
                self.assertEqual(monitor["metadata"]["labels"]["release"], "prometheus")
                endpoint, = monitor["spec"]["endpoints"]
                self.assertEqual((endpoint["path"], endpoint["interval"]), ("/metrics", "7s"))
                port = port_of(container_of(workloads(found)[program]), OPTIONS[program])
                self.assertEqual(self.ports_scraped(found, monitor), [(program, port)])

    def ports_scraped(self, found, monitor):
        """(program, port) of each pod that a monitor leads to, by way of Services."""
        endpoint, = monitor["spec"]["endpoints"]
        services = [item for item in of_kind(found, "Service") if selects(monitor["spec"]["selector"], item["metadata"]["labels"])]
        scraped = []
        for service in services:
            self.assertEqual(service["metadata"]["namespace"], monitor["metadata"]["namespace"], "a monitor without a namespaceSelector")
            port, = (port for port in service["spec"]["ports"] if port["name"] == endpoint["port"])
            for program, workload in workloads(found).items():
                if service["spec"]["selector"].items() <= workload["spec"]["template"]["metadata"]["labels"].items():
                    named = {port["name"]: port["containerPort"] for port in container_of(workload)["ports"]}
                    scraped.append((program, named[port["targetPort"]]))
        return scraped


class PodsOfModels(unittest.TestCase):
    def setUp(self):
        self.assertGreater(len(GOLDEN), 3)
        self.pods = [json.loads(path.read_text()) for path in GOLDEN]

    def test_the_pod_monitor_chooses_them_and_knows_their_port(self):
        monitor, = of_kind(objects(ON), "PodMonitor")
        endpoint, = monitor["spec"]["podMetricsEndpoints"]
        self.assertEqual((endpoint["path"], endpoint["interval"]), ("/metrics", "9s"))
        self.assertEqual(monitor["metadata"]["labels"]["release"], "prometheus")
        for pod in self.pods:
            self.assertTrue(selects(monitor["spec"]["selector"], pod["metadata"]["labels"]), pod["metadata"]["labels"])
            container, = pod["spec"]["containers"]
            port, = (port["containerPort"] for port in container["ports"] if port["name"] == endpoint["port"])
            listen = container["args"][container["args"].index("--listen") + 1]
            self.assertEqual(listen, f"0.0.0.0:{port}")

    def test_the_pod_monitor_looks_where_models_are(self):
        for watched, expected in (([], {"any": True}), (["team-a", "team-b"], {"matchNames": ["team-a", "team-b"]})):
            monitor, = of_kind(objects(ON | {"watchNamespaces": watched}), "PodMonitor")
            self.assertEqual(monitor["spec"]["namespaceSelector"], expected)

    def test_they_are_not_taken_for_anything_else(self):
        found = objects(ON)
        others = [item["spec"]["selector"] for item in of_kind(found, "Service")]
        for pod in self.pods:
            self.assertFalse([selector for selector in others if selector.items() <= pod["metadata"]["labels"].items()])
        for workload in workloads(found).values():
            monitor, = of_kind(found, "PodMonitor")
            self.assertFalse(selects(monitor["spec"]["selector"], workload["spec"]["template"]["metadata"]["labels"]))


class WithoutThePrometheusOperator(unittest.TestCase):
    """The scrape configuration of docs/kubernetes/prometheus.md keeps the ports with metrics, and no others."""

    def test_the_page_keeps_them(self):
        page = (rig.ROOT / "docs" / "kubernetes" / "prometheus.md").read_text()
        labels = "__meta_kubernetes_pod_label_spate_dev_component, __meta_kubernetes_pod_container_port_name"
        pattern = re.search(rf"\[{labels}\]\n *regex: (\S+)", page)[1]
        found = objects()
        pods = [item["spec"]["template"] for item in workloads(found).values()] + [json.loads(path.read_text()) for path in GOLDEN]
        for pod in pods:
            component = pod["metadata"]["labels"]["spate.dev/component"]
            container, = pod["spec"]["containers"]
            kept = [port["containerPort"] for port in container["ports"] if re.fullmatch(pattern, f"{component};{port['name']}")]
            expected = 8000 if component == "agent" else port_of(container, OPTIONS[component])
            self.assertEqual(kept, [expected], component)


if __name__ == "__main__":
    unittest.main()
