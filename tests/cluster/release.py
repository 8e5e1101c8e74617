# SPDX-License-Identifier: Apache-2.0
"""Spate on a test cluster as people have it: installed by its chart, operators, gateways and ledger in pods."""
import os

import product
import rig
from testbed.helm import helm

CHART = product.ROOT / "helm" / "spate"
TAG = "0.1.0"
IMAGES = ("operator", "gateway", "ledger", "agent", "brook")
INSTALL_LIMIT = "240s"
BROOK = f"oci://{product.image('brook', TAG)}"


class Release:
    """On a cluster of its own, unless SPATE_CLUSTER names one to use. Call install(), and close() in any case."""

    def __init__(self, cluster_name, namespace="spate-system", name="spate", images=IMAGES, with_policies=False):
        """images: which ones are put on the nodes beforehand. with_policies: its own cluster enforces NetworkPolicies."""
        self.name = name
        self.namespace = namespace
        self.own = "SPATE_CLUSTER" not in os.environ
        self.cluster = rig.Cluster(cluster_name if self.own else os.environ["SPATE_CLUSTER"])
        if self.own:
            self.cluster.up(with_policies=with_policies)
        if images:
            product.load_images(self.cluster, images, TAG)
        self.kube = rig.Kube(self.cluster, namespace).make_namespace()

    def close(self):
        if self.own:
            self.cluster.down()
        else:
            self.helm("uninstall", self.name, check=False)

    def kubectl(self, *arguments, **options):
        """In no namespace but those that the arguments name."""
        return rig.api.kubectl(self.cluster.plan, *arguments, **options)

    def apply(self, *objects):
        rig.api.apply(self.cluster.plan, *objects)

    def helm(self, *arguments, version="helm4", values=None, check=True):
        result = helm(self.cluster.binaries, version, *arguments, "--namespace", self.namespace, values=values,
                      kubeconfig=self.cluster.plan.kubeconfig)
        if check and result.returncode != 0:
            raise AssertionError(f"{version} {' '.join(map(str, arguments))}: {result.stderr}{result.stdout}\n{self.what_happens()}")
        return result.stdout

    def install(self, *arguments, **options):
        """arguments and options: as helm() has them."""
        self.helm("install", self.name, CHART, "--wait", "--timeout", INSTALL_LIMIT, *arguments, **options)
        return self

    def what_happens(self):
        """For a person who reads that a test failed."""
        seen = [self.kubectl("get", kind, "--all-namespaces", *more, check=False) for kind, *more in (
            ("pods", "--output", "wide"), ("modeldeployments",), ("events", "--sort-by", ".lastTimestamp"))]
        seen += [f"--- the end of {name} ---\n" + self.kube.run("logs", name, "--tail=60", check=False)
                 for program in ("operator", "gateway", "ledger") for name in self.pods(program)]
        seen.append(self.kube.run("exec", "deployment/spate-operator", "--", "spate", "report", check=False))
        return "\n".join(seen)

    # Where its parts are

    def service(self, component, port_name="http"):
        """Address of a service; this host reaches those."""
        spec = self.kube.get("service", f"{self.name}-{component}")["spec"]
        port = next(row["port"] for row in spec["ports"] if row.get("name", "http") == port_name)
        return f"{spec['clusterIP']}:{port}"

    @property
    def gateway(self):
        return self.service("gateway")

    def pods(self, component):
        """Those of operator, gateway or ledger that are not on their way out, by name."""
        found = self.kube.get("pods", selector=f"app.kubernetes.io/component={component}")["items"]
        return {pod["metadata"]["name"]: pod for pod in found if "deletionTimestamp" not in pod["metadata"]}

    def leader(self):
        """Name of the operator's pod that leads; empty: none."""
        return product.holder(self.kube, f"{self.name}-operator")

    def team(self, namespace, tenant="acme"):
        """A namespace for models, with a tenant whose key is product.KEY. Returns kubectl in it."""
        kube = rig.Kube(self.cluster, namespace).make_namespace()
        self.apply(product.tenant(tenant, namespace))
        return kube

    def model(self, name, namespace, uri=BROOK, **more):
        return product.model(name, namespace, uri, **more)

    def ask(self, name, *arguments, **more):
        return product.ask(self.gateway, name, *arguments, **more)

    def wait_answer(self, name, seconds=60):
        """Until the gateways know model and tenant, and one answers."""
        return rig.wait_for(lambda: (lambda answer: answer if answer[0] == 200 else None)(self.ask(name)), seconds,
                            f"an answer of {name}")[1]

    def status(self, kube, name):
        return kube.get("modeldeployment", name).get("status", {})
