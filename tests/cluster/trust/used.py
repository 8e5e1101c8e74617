# SPDX-License-Identifier: Apache-2.0
"""Every right that the chart gives is used: what the API server wrote down of the operator's requests is compared with its roles.
By its name the last class of the file, so that the other tests have had their requests made."""
import json
import unittest

from shared import BROOK, TEAM, product, rig, system
from testbed import control_plane

NAMESPACE = "used"
# A right that no request here shows, and why it is needed all the same. A whole list comes as a watch where the API server streams
# lists, as this one does; where it does not, or says so by an error, it is asked for by pages: tests/cluster/kube_client shows that.
STREAMED = ("modeldeployments", "modelroutes", "tenants", "pricebooks")
NOT_SEEN = {(f"spate.dev/{kind}", "list"): "lists by pages" for kind in STREAMED} | {
    ("/pods", "list"): "lists by pages", ("/nodes", "list"): "lists by pages",
    ("policy/poddisruptionbudgets", "create"): "an apply is a patch; the server asks for this right too when that makes the object",
}
COMPONENT = "app.kubernetes.io/component=operator"


def path_of(group, resource, subresource=""):
    return f"{group}/{resource}" + (f"/{subresource}" if subresource else "")


def requests(account):
    """What the account asked of the API server and was answered: objects of its log."""
    lines = control_plane.audit_log(system.release.cluster.plan).read_text().splitlines()
    found = [json.loads(line) for line in lines if f'"{account}"' in line]
    return [request for request in found if request["user"]["username"] == account and "responseStatus" in request]


def used(in_namespace):
    """{(path, verb)} of what succeeded in the release's own namespace, or of what did elsewhere."""
    found = set()
    for request in requests(operator()):
        about = request.get("objectRef", {})
        at_home = about.get("namespace") == system.release.namespace
        if about and at_home == in_namespace and request["responseStatus"]["code"] < 400:
            found.add((path_of(about.get("apiGroup", ""), about["resource"], about.get("subresource")), request["verb"]))
    return found


def granted(kind, *arguments):
    """{(path, verb)} of the operator's roles."""
    selector = f"app.kubernetes.io/instance={system.release.name},{COMPONENT}"
    roles = json.loads(system.release.kubectl("get", kind, *arguments, "-o", "json", "--selector", selector))["items"]
    return {(path_of(group, resource), verb) for role in roles for rule in role["rules"]
            for group in rule["apiGroups"] for resource in rule["resources"] for verb in rule["verbs"]}


def account_of(name):
    return f"system:serviceaccount:{system.release.namespace}:{name}"


def operator():
    return account_of("spate-operator")


def thing(kind, name, spec, namespace=None):
    metadata = {"name": name} | ({"namespace": namespace} if namespace else {})
    return {"apiVersion": "spate.dev/v1alpha1", "kind": kind, "metadata": metadata, "spec": spec}


class Used(unittest.TestCase):
    def make_it_work(self):
        """What the other tests may not have it do: write of routes, tenants and price books, drain a pod, tell of something twice."""
        release = system.release
        kube = rig.Kube(release.cluster, NAMESPACE).make_namespace()
        self.addCleanup(kube.run, "delete", "modeldeployments,modelroutes", "--all", "--wait=false")
        self.addCleanup(release.kubectl, "delete", "pricebook,tenant", "used", "--ignore-not-found")
        busy = release.model("busy", NAMESPACE, uri=BROOK)
        busy["spec"]["scaling"] = {"mode": "Manual", "replicas": 1}
        release.apply(busy, thing("ModelRoute", "way", {"targets": [{"model": "busy"}]}, NAMESPACE),
                      thing("Tenant", "used", {"priceBook": "used"}),
                      thing("PriceBook", "used", {"prices": [{"model": f"{NAMESPACE}/busy", "input": "1", "output": "1"}]}))
        for replicas in (2, 1, 2, 1):
            kube.run("scale", "modeldeployment", "busy", f"--replicas={replicas}")
            rig.wait_for(lambda: sum(map(rig.is_ready, product.pods_of(kube, "busy").values())) == replicas, 60, "that size")

    def test_every_right_is_used(self):
        self.make_it_work()
        anywhere, at_home = granted("clusterroles"), granted("roles", "--namespace", system.release.namespace)
        self.assertLessEqual(set(NOT_SEEN), anywhere | at_home)

        def unused():
            """An event that comes again is written some seconds later."""
            return ((anywhere - used(False)) | (at_home - used(True))) - set(NOT_SEEN)

        try:
            rig.wait_for(lambda: not unused(), 30, "a use of each right")
        except Exception as error:
            raise AssertionError(f"rights that the operator does not use: {sorted(unused())}") from error

    def test_nobody_asks_for_more(self):
        """No request of ours is refused for want of a right, and those without rights ask nothing."""
        refused = [request for request in requests(operator()) if request["responseStatus"]["code"] == 403]
        self.assertEqual([(request["verb"], request["requestURI"]) for request in refused], [])
        for account in (account_of("spate-gateway"), account_of("spate-ledger"), f"system:serviceaccount:{TEAM}:default"):
            self.assertEqual(requests(account), [])
