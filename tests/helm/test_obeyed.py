# SPDX-License-Identifier: Apache-2.0
"""What is set comes out: each part of a pod where it belongs, in the pods of each program; and nothing of what is
switched off."""
import unittest

import combinations
from objects import PROGRAMS, container_of, objects, of_kind, workloads

GIVEN = combinations.PART_OF_A_POD


def template_of(workload):
    return workload["spec"]["template"]


def spec_of(workload):
    return template_of(workload)["spec"]


# Where each part of a pod is in what is rendered for a program, and how: "map": it holds what is given and maybe more; "more": a list
# that begins with the chart's own; "same": nothing else.
PLACES = {
    "podLabels": ("map", lambda workload: template_of(workload)["metadata"]["labels"]),
    "podAnnotations": ("map", lambda workload: template_of(workload)["metadata"].get("annotations", {})),
    "annotations": ("map", lambda workload: workload["metadata"].get("annotations", {})),
    "env": ("more", lambda workload: container_of(workload)["env"]),
    "volumes": ("more", lambda workload: spec_of(workload)["volumes"]),
    "volumeMounts": ("more", lambda workload: container_of(workload)["volumeMounts"]),
    "tolerations": ("more", lambda workload: spec_of(workload).get("tolerations", [])),
    "nodeSelector": ("same", lambda workload: spec_of(workload).get("nodeSelector")),
    "priorityClassName": ("same", lambda workload: spec_of(workload).get("priorityClassName")),
    "topologySpreadConstraints": ("same", lambda workload: spec_of(workload)["topologySpreadConstraints"]),
    "resources": ("same", lambda workload: container_of(workload)["resources"]),
}
# Those that the test below looks for by itself.
ELSEWHERE = {"logLevel", "extraArgs", "serviceAccount"}

# A part that can be switched off, and what then is not there: kinds, of the component if one is named, or of all.
PARTS = [
    ({"crds": {"enabled": False}}, None, ("CustomResourceDefinition",)),
    ({"networkPolicy": {"enabled": False}}, None, ("NetworkPolicy",)),
    ({"rbac": {"create": False, "aggregate": False}}, None, ("Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding")),
    ({"rbac": {"aggregate": False}}, "roles", ("ClusterRole",)),
    ({"rbac": {"create": False}}, "operator", ("Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding")),
    ({"operator": {"podDisruptionBudget": {"enabled": False}}}, "operator", ("PodDisruptionBudget",)),
    ({"gateway": {"podDisruptionBudget": {"enabled": False}}}, "gateway", ("PodDisruptionBudget",)),
    ({"metrics": {"serviceMonitor": {"enabled": False}}}, None, ("ServiceMonitor",)),
    ({"metrics": {"podMonitor": {"enabled": False}}}, None, ("PodMonitor",)),
    ({"metrics": {"prometheusRule": {"enabled": False}}}, None, ("PrometheusRule",)),
    ({"tests": {"enabled": False}}, "test", ("ModelDeployment", "Tenant", "Secret", "Pod")),
]
ALL_ON = {"metrics": {name: {"enabled": True} for name in ("serviceMonitor", "podMonitor", "prometheusRule")}}


class PartsOfPods(unittest.TestCase):
    def test_each_is_where_it_belongs(self):
        self.assertEqual(PLACES.keys() | ELSEWHERE, GIVEN.keys(), "a part without a place here")
        before = workloads(objects())
        for program in PROGRAMS:
            after = workloads(objects({program: GIVEN}))[program]
            for part, (how, place) in PLACES.items():
                with self.subTest(program=program, part=part):
                    given, found = GIVEN[part], place(after)
                    if how == "map":
                        given = place(before[program]) | given
                    elif how == "more":
                        given = place(before[program]) + given
                    self.assertEqual(found, given)

    def test_options_and_accounts(self):
        for program in PROGRAMS:
            found = objects({program: GIVEN | {"serviceAccount": {"name": "mine"} | GIVEN["serviceAccount"]}})
            workload = workloads(found)[program]
            arguments = container_of(workload)["args"]
            self.assertIn(f"--log-level={GIVEN['logLevel']}", arguments)
            self.assertEqual(arguments[-len(GIVEN["extraArgs"]):], GIVEN["extraArgs"], "after ours, so that they win")
            account, = (item for item in of_kind(found, "ServiceAccount") if item["metadata"]["name"] == "mine")
            self.assertEqual(account["metadata"]["annotations"], GIVEN["serviceAccount"]["annotations"])
            self.assertEqual(spec_of(workload)["serviceAccountName"], "mine")

    def test_affinity_is_taken_as_it_is_where_spot_is_fine(self):
        for program in PROGRAMS:
            found = workloads(objects({program: {"affinity": combinations.AFFINITY, "avoidSpot": False}}))[program]
            self.assertEqual(spec_of(found)["affinity"], combinations.AFFINITY)

    def test_no_program_gets_what_is_meant_for_another(self):
        before = workloads(objects())
        for program in PROGRAMS:
            after = workloads(objects({program: GIVEN}))
            for other in set(PROGRAMS) - {program}:
                self.assertEqual(after[other], before[other])

    def test_secrets_of_the_registry_are_named_by_every_pod(self):
        secrets = [{"name": "a"}, {"name": "b"}]
        found = objects({"image": {"pullSecrets": secrets, "pullPolicy": "Always"}, "agent": {"pullSecret": "spate-registry"}})
        specs = [spec_of(item) for item in workloads(found).values()] + [item["spec"] for item in of_kind(found, "Pod")]
        self.assertEqual(len(specs), len(PROGRAMS) + 1, "and that of the test")
        for spec in specs:
            self.assertEqual(spec["imagePullSecrets"], secrets)
            self.assertEqual({container["imagePullPolicy"] for container in spec["containers"]}, {"Always"})
        arguments = container_of(workloads(found)["operator"])["args"]
        self.assertIn("--agent-pull-secret=spate-registry", arguments)
        self.assertIn("--agent-pull-policy=Always", arguments)

    def test_claims(self):
        asked = {"storageClassName": "fast", "size": "7Gi", "accessModes": ["ReadWriteOncePod"], "annotations": {"a": "b"}}
        for program in ("gateway", "ledger"):
            claim, = workloads(objects({program: {"persistence": asked}}))[program]["spec"]["volumeClaimTemplates"]
            self.assertEqual(claim["metadata"]["annotations"], asked["annotations"])
            self.assertEqual(claim["spec"], {"storageClassName": "fast", "accessModes": asked["accessModes"],
                                             "resources": {"requests": {"storage": "7Gi"}}})
            without = workloads(objects({program: {"persistence": {"enabled": False}}}))[program]
            self.assertNotIn("volumeClaimTemplates", without["spec"])
            self.assertIn({"name": "state", "emptyDir": {}}, spec_of(without)["volumes"])


class WholeRelease(unittest.TestCase):
    def test_common_labels_and_annotations_are_on_all_objects_and_pods(self):
        labels, annotations = {"cost": "42"}, {"a": "1", "b": "yes"}
        found = objects(ALL_ON | {"commonLabels": labels, "commonAnnotations": annotations})
        self.assertGreater(len(found), 30)
        for metadata in [item["metadata"] for item in found] + [template_of(item)["metadata"] for item in workloads(found).values()]:
            with self.subTest(metadata["name"] if "name" in metadata else metadata["labels"]):
                self.assertLessEqual(labels.items(), metadata["labels"].items())
                self.assertLessEqual(annotations.items(), metadata["annotations"].items())

    def test_what_is_switched_off_is_not_there(self):
        for values, component, kinds in PARTS:
            with self.subTest(values):
                there = of_component(objects(ALL_ON), component, kinds)
                self.assertEqual({item["kind"] for item in there}, set(kinds), "it is there when it is on")
                everything_else = {key_of(item) for item in objects(ALL_ON)} - {key_of(item) for item in there}
                values = {key: ALL_ON.get(key, {}) | value for key, value in values.items()}
                self.assertEqual({key_of(item) for item in objects(ALL_ON | values)}, everything_else)

    def test_services_of_clients(self):
        asked = {"type": "LoadBalancer", "port": 8443, "nodePort": 30001, "annotations": {"a": "b"},
                 "loadBalancerClass": "example.com/internal", "externalTrafficPolicy": "Local",
                 "loadBalancerSourceRanges": ["10.0.0.0/8"]}
        service, = (item for item in of_kind(objects({"gateway": {"service": asked}}), "Service")
                    if item["metadata"]["name"] == "spate-gateway")
        self.assertEqual(service["metadata"]["annotations"], asked["annotations"])
        self.assertEqual({key: service["spec"].get(key) for key in asked if key not in ("port", "nodePort", "annotations")},
                         {key: value for key, value in asked.items() if key not in ("port", "nodePort", "annotations")})
        self.assertEqual(service["spec"]["ports"], [{"name": "http", "port": 8443, "targetPort": "http", "protocol": "TCP",
                                                     "nodePort": 30001}])

    def test_numbers(self):
        found = workloads(objects({"operator": {"replicas": 3}, "gateway": {"replicas": 5, "drainSeconds": 3600, "usageLogBytes": "512Mi"},
                                   "ledger": {"settleSeconds": 60}, "logFormat": "text"}))
        self.assertEqual({name: item["spec"]["replicas"] for name, item in found.items()}, {"operator": 3, "gateway": 5, "ledger": 1})
        for program, argument in (("gateway", "--drain=3600s"), ("gateway", "--usage-log-bytes=512Mi"), ("ledger", "--settle-time=60s"),
                                  *((name, "--log-format=text") for name in PROGRAMS)):
            self.assertIn(argument, container_of(found[program])["args"])
        self.assertGreater(spec_of(found["gateway"])["terminationGracePeriodSeconds"], 3600, "so long, and some to end in")

    def test_other_objects_are_filled_in(self):
        extra = combinations.SETTINGS["extra"]
        found, = (item for item in of_kind(objects(extra), "ConfigMap") if item["metadata"]["name"] == "extra")
        self.assertEqual((found["metadata"]["namespace"], found["data"]), ("spate", {"a": "1"}))


def of_component(found, component, kinds):
    return [item for item in of_kind(found, *kinds)
            if component in (None, item["metadata"]["labels"]["app.kubernetes.io/component"])]


def key_of(item):
    return item["kind"], item["metadata"].get("namespace"), item["metadata"]["name"]


if __name__ == "__main__":
    unittest.main()
