# SPDX-License-Identifier: Apache-2.0
"""Values as people combine them: each of these alone, and some together, chosen by a fixed seed."""
import copy
import random

COUNT = 50
SEED = 4

PART_OF_A_POD = {
    "podLabels": {"team": "ml"}, "podAnnotations": {"example.com/why": "a: b # c"},
    "env": [{"name": "TZ", "value": "UTC"}, {"name": "SECRET", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}],
    "volumes": [{"name": "more", "emptyDir": {}}], "volumeMounts": [{"name": "more", "mountPath": "/more", "readOnly": True}],
    "nodeSelector": {"disk": "ssd"}, "priorityClassName": "system-cluster-critical",
    "tolerations": [{"key": "a", "operator": "Exists"}, {"key": "b", "value": "c", "effect": "NoExecute", "tolerationSeconds": 9}],
    "topologySpreadConstraints": [{"maxSkew": 2, "topologyKey": "rack", "whenUnsatisfiable": "DoNotSchedule",
                                   "labelSelector": {"matchLabels": {"team": "ml"}}}],
    "extraArgs": ["--log-level=debug"], "annotations": {"example.com/a": "1"}, "logLevel": "warn",
    "resources": {"requests": {"cpu": 1, "memory": "1Gi"}, "limits": {"cpu": "1500m", "memory": "1Gi"}},
    "serviceAccount": {"annotations": {"example.com/role": "r"}},
}
ZONE_A = {"key": "topology.kubernetes.io/zone", "operator": "In", "values": ["a"]}
AFFINITY = {"nodeAffinity": {
    "requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [
        {"matchExpressions": [ZONE_A]}, {"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["n"]}]}]},
    "preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 50, "preference": {"matchExpressions": [ZONE_A]}}]},
    "podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [
        {"topologyKey": "kubernetes.io/hostname", "labelSelector": {"matchLabels": {"app.kubernetes.io/name": "spate"}}}]}}

SETTINGS = {
    "nothing": {},
    "names": {"nameOverride": "flood", "fullnameOverride": "a-name-that-is-as-long-as-it-may-be-abcd"},
    "labels": {"commonLabels": {"cost": "42", "yes": "true"}, "commonAnnotations": {"a": "1", "b": "yes"}},
    "registry": {"image": {"registry": "registry.example:5000/spate", "tag": "1.2.3", "pullPolicy": "Always",
                           "pullSecrets": [{"name": "a"}, {"name": "b"}]}, "agent": {"pullSecret": "spate-registry"}},
    "no registry": {"image": {"registry": ""}},
    "digests": {name: {"image": {"digest": "sha256:" + "0123456789abcdef" * 4}}
                for name in ("operator", "gateway", "ledger", "agent", "brook")},
    "repositories": {"operator": {"image": {"repository": "a/b", "tag": "x"}}, "brook": {"image": {"repository": "m", "tag": "y"}}},
    "namespaces": {"watchNamespaces": ["team-a", "team-b"]},
    "own namespace": {"watchNamespaces": ["spate"]},
    "no definitions": {"crds": {"enabled": False}},
    "definitions go": {"crds": {"keep": False}},
    "no roles": {"rbac": {"create": False, "aggregate": False}},
    "text logs": {"logFormat": "text"},
    "one of each": {"operator": {"replicas": 1}, "gateway": {"replicas": 1}},
    "none": {"operator": {"replicas": 0}, "gateway": {"replicas": 0}},
    "many": {"operator": {"replicas": 3}, "gateway": {"replicas": 20, "podDisruptionBudget": {"maxUnavailable": "10%"}}},
    "no budgets": {"operator": {"podDisruptionBudget": {"enabled": False}}, "gateway": {"podDisruptionBudget": {"enabled": False}}},
    "operator pod": {"operator": PART_OF_A_POD},
    "gateway pod": {"gateway": PART_OF_A_POD},
    "ledger pod": {"ledger": PART_OF_A_POD},
    "affinity": {"operator": {"affinity": AFFINITY}, "gateway": {"affinity": AFFINITY}},
    "spot is fine": {"gateway": {"avoidSpot": False}, "ledger": {"avoidSpot": False}, "operator": {"avoidSpot": True}},
    "load balancer": {"gateway": {"service": {"type": "LoadBalancer", "port": 8443, "nodePort": 30001, "annotations": {"a": "b"},
                                              "loadBalancerClass": "example.com/internal", "externalTrafficPolicy": "Cluster",
                                              "loadBalancerSourceRanges": ["10.0.0.0/8", "fd00::/8"]}}},
    "node port": {"gateway": {"service": {"type": "NodePort", "externalTrafficPolicy": "Local"}}},
    "part of another chart": {"enabled": True, "global": {"anything": 1}},
    "no volumes": {"gateway": {"persistence": {"enabled": False}}, "ledger": {"persistence": {"enabled": False}}},
    "volumes": {"gateway": {"persistence": {"storageClassName": "fast", "size": "1.5Gi", "annotations": {"a": "b"}}},
                "ledger": {"persistence": {"accessModes": ["ReadWriteOncePod"], "size": "100Gi"}, "settleSeconds": 60}},
    "long drain": {"gateway": {"drainSeconds": 3600, "usageLogBytes": "512Mi"}},
    "accounts": {name: {"serviceAccount": {"name": f"my-{name}"}} for name in ("operator", "gateway", "ledger")},
    "no policies": {"networkPolicy": {"enabled": False}},
    "peers": {"networkPolicy": {"clients": [{"ipBlock": {"cidr": "10.0.0.0/8", "except": ["10.1.0.0/16"]}}],
                                "scrapers": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}],
                                "modelNamespaces": ["team-c"], "agentEgress": True, "apiServerPorts": [8443],
                                "dnsPorts": [53, 5353]}},
    "monitors": {"metrics": {
        "serviceMonitor": {"enabled": True, "intervalSeconds": 10, "labels": {"release": "prometheus"}},
        "podMonitor": {"enabled": True, "labels": {"release": "prometheus"}},
        "prometheusRule": {"enabled": True, "labels": {"release": "prometheus"}, "alertLabels": {"team": "ml"}}}},
    "no tests": {"tests": {"enabled": False}},
    "tests elsewhere": {"tests": {"namespace": "team-b"}},
    "extra": {"extraObjects": [{"apiVersion": "v1", "kind": "ConfigMap",
                                "metadata": {"name": "extra", "namespace": "{{ .Release.Namespace }}"}, "data": {"a": "{{ 1 }}"}}]},
}
# Namespaces that the combinations name.
NAMESPACES = ("spate", "team-a", "team-b", "team-c")


def combinations():
    """(name, values), COUNT of them."""
    found = [(name, values) for name, values in SETTINGS.items()]
    choose = random.Random(SEED)
    while len(found) < COUNT:
        names = choose.sample(sorted(SETTINGS), 6)
        values = {}
        for name in names:
            merge(values, SETTINGS[name])
        found.append((" + ".join(names), values))
    return found


def merge(into, values):
    for key, value in values.items():
        if isinstance(value, dict) and isinstance(into.get(key), dict):
            merge(into[key], value)
        else:
            into[key] = copy.deepcopy(value)
