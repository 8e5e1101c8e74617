# SPDX-License-Identifier: Apache-2.0
"""What the chart renders, as objects, and the parts of it that tests look at."""
import functools
import json
import re

import rig

PROGRAMS = ("operator", "gateway", "ledger")


@functools.cache
def rendered(version, values):
    """The objects by kind, namespace and name. Rendering takes long enough to do it once for all tests."""
    objects = rig.parse_objects(without_key(rig.render(version, json.loads(values))))
    found = {(item["kind"], item["metadata"].get("namespace", ""), item["metadata"]["name"]): item for item in objects}
    assert len(found) == len(objects), "two objects of one name"
    return found


def without_key(text):
    """The test's key is another one each time."""
    return re.sub(r"sk-spate-\w+|sha256: [0-9a-f]{64}", "KEY", text)


def objects(values=None):
    return list(rendered("helm4", json.dumps(values or {})).values())


def of_kind(found, *kinds):
    return [item for item in found if item["kind"] in kinds]


def workloads(found):
    return {item["metadata"]["labels"]["app.kubernetes.io/component"]: item for item in of_kind(found, "Deployment", "StatefulSet")}


def pod_specs(found):
    return [item["spec"]["template"]["spec"] for item in workloads(found).values()] + \
        [item["spec"] for item in of_kind(found, "Pod")]


def container_of(workload):
    container, = workload["spec"]["template"]["spec"]["containers"]
    return container


def selects(selector, labels):
    """Whether a label selector, which only knows those two operators here, chooses these labels."""
    for expression in selector.get("matchExpressions", ()):
        if {"Exists": True, "DoesNotExist": False}[expression["operator"]] != (expression["key"] in labels):
            return False
    return selector["matchLabels"].items() <= labels.items()
