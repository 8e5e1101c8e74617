# SPDX-License-Identifier: Apache-2.0
"""The chart before a real API server (without nodes, so that pods are checked and created, but do not run)."""
import collections
import hashlib
import itertools
import json
import re
import subprocess
import time
import unittest

import combinations
import rig
import pages

# crd/yaml/GROUP_RESOURCES.yaml
DEFINITIONS = {".".join(reversed(path.stem.split("_"))) for path in (rig.ROOT / "crd" / "yaml").iterdir()}
GONE_S = 60
DEFINITIONS_GONE_S = 180
TOUCHED_EACH_S = 5  # an API server that could not list a definition's objects looks at growing intervals, or when it is touched
RBAC_PAGE = rig.ROOT / "docs" / "kubernetes" / "rbac.md"


def model(namespace, name="brook"):
    return json.dumps({"apiVersion": "spate.dev/v1alpha1", "kind": "ModelDeployment",
                       "metadata": {"name": name, "namespace": namespace}, "spec": {"model": {"uri": "file:///models/brook"}}})


def account(name, namespace="spate"):
    return f"system:serviceaccount:{namespace}:{name}"


class DryRun(rig.Server):
    def test_all_combinations_are_valid_objects(self):
        """kinds of our own and of the Prometheus operator among them."""
        for namespace in combinations.NAMESPACES:
            self.make_namespace(namespace)
        self.kubectl("apply", "-f", rig.ROOT / "crd" / "yaml", "-f", rig.ROOT / "tests" / "helm" / "monitoring.yaml")
        self.kubectl("wait", "--for=condition=Established", "crd", "--all", "--timeout=60s")
        rig.wait_for(lambda: "podmonitors" in self.kubectl("api-resources"), 30, "the new kinds")
        kinds = collections.Counter()
        for index, (name, values) in enumerate(combinations.combinations()):
            with self.subTest(name):
                text = rig.render(rig.HELMS[index % len(rig.HELMS)], values)
                said = self.kubectl("apply", "--dry-run=server", "--validate=strict", "--output=name", "-f", "-", text=text)
                kinds.update(line.partition("/")[0] for line in said.split())
        # Each template was there at least once.
        for kind in ("modeldeployment.spate.dev", "tenant.spate.dev", "podmonitor.monitoring.coreos.com",
                     "servicemonitor.monitoring.coreos.com", "prometheusrule.monitoring.coreos.com", "networkpolicy.networking.k8s.io",
                     "statefulset.apps", "deployment.apps", "poddisruptionbudget.policy", "rolebinding.rbac.authorization.k8s.io"):
            self.assertGreater(kinds[kind], 0, kind)


class Install(rig.Server):
    counter = itertools.count()

    def setUp(self):
        """As if nothing had ever been installed."""
        self.kubectl("delete", "crd", "--ignore-not-found", "--wait=false", *DEFINITIONS)
        self.wait_definitions_gone()
        self.namespace = self.make_namespace(f"n{next(self.counter)}")

    def install(self, version, name="spate", values=None, arguments=()):
        self.helm(version, "install", name, rig.CHART, "--namespace", self.namespace, *arguments, values=values)
        self.addCleanup(self.uninstall, version, name, self.namespace)

    def uninstall(self, version, name, namespace):
        if name in self.helm(version, "list", "--short", "--namespace", namespace).split():
            self.helm(version, "uninstall", name, "--namespace", namespace)

    def definitions(self):
        return {item["metadata"]["name"] for item in self.get("crd")["items"]} & DEFINITIONS

    def test_restricted_namespace_admits_every_pod(self):
        self.install("helm4")
        rig.wait_for(lambda: len(self.pods()) == 5, 30, "two operators, two gateways and a ledger")
        for pod in self.pods():
            self.assertEqual(pod["spec"]["securityContext"]["runAsUser"], 65532)

    def pods(self):
        return self.get("pods", "--namespace", self.namespace)["items"]

    def test_notes_end_with_commands_that_the_server_takes(self):
        self.install("helm3", values={"networkPolicy": {"modelNamespaces": [self.namespace]}})
        notes = self.helm("helm3", "get", "notes", "spate", "--namespace", self.namespace)
        commands = notes[notes.index("KEY="):]
        self.assertEqual(subprocess.run(["bash", "-n"], input=commands, text=True, check=False).returncode, 0, commands)
        self.assertRegex(commands.rstrip(), r"curl [^\n]*\n[^\n]*\Z")
        made = commands[:commands.index("END\n\n") + len("END\n")] + 'echo "made with $KEY"'
        own = {"PATH": f"{self.cluster.plan.programs}:/usr/bin:/bin", "KUBECACHEDIR": rig.KUBECTL_CACHE}
        said = subprocess.run(["bash", "-euo", "pipefail", "-c", made], env=self.environment | own, text=True,
                              capture_output=True, check=True).stdout
        key = re.search(r"made with (\S+)", said)[1]
        self.assertRegex(key, r"^sk-spate-[0-9a-f]{48}$")
        tenant = self.get("tenant", "me")
        self.assertEqual(tenant["spec"]["keys"][0]["sha256"], hashlib.sha256(key.encode()).hexdigest())
        found = self.get("modeldeployment", "brook", "--namespace", self.namespace)
        self.assertEqual(found["spec"]["model"]["uri"], "oci://spate.invalid/brook:0.1.0")
        request = re.search(r"-d '(\{.*\})'", commands, re.DOTALL)[1]
        self.assertEqual(json.loads(request)["model"], f"{self.namespace}/brook")
        self.kubectl("delete", "tenant", "me")

    def test_a_volume_is_made_larger(self):
        """By the commands of docs/kubernetes/install.md; but the claims themselves are not grown, as nobody made them volumes here."""
        self.install("helm4")
        patches, rest = [], []
        for line in pages.commands("install.md", "A larger volume").splitlines():
            (patches if " patch pvc " in line else rest).append(line)
        self.assertEqual(len(patches), 2)
        own = {"PATH": f"{self.cluster.plan.programs}:/usr/bin:/bin", "KUBECACHEDIR": rig.KUBECTL_CACHE}
        commands = "\n".join(rest).replace("--namespace spate ", f"--namespace {self.namespace} ").replace("helm ", f"{rig.PROGRAMS.path('helm4')} ")
        subprocess.run(["bash", "-euo", "pipefail", "-c", commands], env=self.environment | own, cwd=rig.ROOT, check=True,
                       capture_output=True)
        gateways = self.get("statefulset", "spate-gateway", "--namespace", self.namespace)
        claim, = gateways["spec"]["volumeClaimTemplates"]
        self.assertEqual(claim["spec"]["resources"]["requests"]["storage"], "4Gi")

    def test_models_outlive_an_uninstall_and_move_to_a_release_of_another_name(self):
        """By the commands of docs/kubernetes/install.md."""
        for version, other in (("helm3", "helm4"), ("helm4", "helm3")):
            self.install(version, arguments=("--take-ownership",))
            self.kubectl("apply", "-f", "-", text=model(self.namespace))
            uid = self.get("modeldeployment", "brook", "--namespace", self.namespace)["metadata"]["uid"]
            self.helm(version, "uninstall", "spate", "--namespace", self.namespace)
            self.assertEqual(self.definitions(), DEFINITIONS)
            elsewhere = self.make_namespace(f"{self.namespace}-{version}")
            self.helm(other, "install", "flood", rig.CHART, "--namespace", elsewhere, "--take-ownership")
            self.addCleanup(self.uninstall, other, "flood", elsewhere)
            found = self.get("modeldeployment", "brook", "--namespace", self.namespace)
            self.assertEqual(found["metadata"]["uid"], uid)
            self.helm(other, "upgrade", "flood", rig.CHART, "--namespace", elsewhere)
            self.helm(other, "uninstall", "flood", "--namespace", elsewhere)

    def test_models_go_with_the_definitions_if_that_is_wanted(self):
        for version in rig.HELMS:
            self.install(version)
            self.kubectl("apply", "-f", "-", text=model(self.namespace))
            self.helm(version, "upgrade", "spate", rig.CHART, "--namespace", self.namespace, values={"crds": {"keep": False}})
            self.helm(version, "uninstall", "spate", "--namespace", self.namespace)
            self.wait_definitions_gone()

    def wait_definitions_gone(self):
        end = time.monotonic() + DEFINITIONS_GONE_S
        touch = time.monotonic() + TOUCHED_EACH_S
        while left := [item for item in self.get("crd")["items"] if item["metadata"]["name"] in DEFINITIONS]:
            why = {item["metadata"]["name"]: item["status"]["conditions"] for item in left}
            self.assertLess(time.monotonic(), end, f"definitions are still there: {json.dumps(why)}")
            if time.monotonic() > touch:
                self.kubectl("annotate", "crd", "--overwrite", *why, f"touched={touch}", check=False)
                touch = time.monotonic() + TOUCHED_EACH_S
            time.sleep(0.2)

    def test_nothing_is_left_but_what_is_to_be_kept(self):
        before = self.everything()
        self.install("helm4")
        rig.wait_for(lambda: len(self.pods()) == 5, 30, "the pods")
        self.helm("helm4", "uninstall", "spate", "--namespace", self.namespace)
        rig.wait_for(lambda: not self.pods(), GONE_S, "the pods being gone")
        left = self.everything() - before
        kept = {f"customresourcedefinition.apiextensions.k8s.io/{name}" for name in DEFINITIONS} | {
            f"persistentvolumeclaim/state-spate-{name}" for name in ("gateway-0", "gateway-1", "ledger-0")}
        rig.wait_for(lambda: self.everything() - before <= kept, GONE_S, f"only {kept} being left, not {left}")

    def everything(self):
        kinds = "serviceaccounts,secrets,configmaps,services,persistentvolumeclaims,deployments,statefulsets,replicasets," \
            "poddisruptionbudgets,networkpolicies,roles,rolebindings,clusterroles,clusterrolebindings,crds"
        return set(self.kubectl("get", kinds, "--namespace", self.namespace, "--output", "name").split())

    # Rights

    def rules(self, who, namespace):
        """(resource, name or "", verb) of all that who may do there."""
        review = {"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectRulesReview", "spec": {"namespace": namespace}}
        said = json.loads(self.kubectl("create", "--as", who, "--validate=false", "--output", "json", "-f", "-", text=json.dumps(review)))
        return {(f"{resource}.{group}".rstrip("."), name, verb) for rule in said["status"]["resourceRules"]
                for group in rule["apiGroups"] for resource in rule["resources"]
                for name in rule.get("resourceNames", ("",)) for verb in rule["verbs"]}

    def test_rights_are_those_of_the_page(self):
        self.namespace = self.make_namespace("spate")
        self.install("helm4")
        nobody = self.rules(account("nobody"), "spate")
        everywhere, at_home = (rights_of_page(title) for title in ("In every namespace", "In its own namespace"))
        self.assertEqual(self.rules(account("spate-operator"), "default") - nobody, everywhere)
        self.assertEqual(self.rules(account("spate-operator"), "spate") - nobody, everywhere | at_home)
        for program in ("gateway", "ledger"):
            for namespace in ("spate", "default"):
                self.assertEqual(self.rules(account(f"spate-{program}"), namespace) - nobody, set())

    def test_watched_namespaces_are_the_only_ones(self):
        for name in ("watched", "unwatched"):
            self.make_namespace(name)
        self.install("helm4", values={"watchNamespaces": ["watched"]})
        operator = account("spate-operator", self.namespace)
        for verb, what in (("create", "pods"), ("delete", "pods"), ("list", "modeldeployments.spate.dev"),
                           ("create", "events.events.k8s.io")):
            self.assertTrue(self.can(operator, verb, what, "--namespace", "watched"), f"{verb} {what}")
            self.assertFalse(self.can(operator, verb, what, "--namespace", "unwatched"), f"{verb} {what}")
        self.assertFalse(self.can(operator, "get", "secrets", "--namespace", "watched"))
        self.assertTrue(self.can(operator, "get", "secrets/spate-token-key", "--namespace", self.namespace))
        self.assertFalse(self.can(operator, "get", "secrets/another", "--namespace", self.namespace))

    def test_people_have_the_rights_of_the_page(self):
        """Whoever has view, edit or admin in a namespace, and nobody else; of what belongs to no namespace, admin everywhere alone."""
        self.install("helm4")
        self.make_namespace(f"{self.namespace}-other")
        for role, expected in rights_of_people().items():
            self.bind("rolebinding", role, "--namespace", self.namespace)
            rig.wait_for(lambda r=role: self.ours(r, self.namespace), 30, f"{role} being given models")
            self.assertEqual(self.ours(role, self.namespace), expected, role)
            self.assertEqual(self.ours(role, f"{self.namespace}-other"), set())
            for resource, verb in itertools.product(("tenants", "pricebooks"), ("get", "create", "patch")):
                self.assertFalse(self.can(role, verb, f"{resource}.spate.dev"), f"{role} {verb} {resource}")

    def test_people_do_what_they_may(self):
        """And are told that it is forbidden where they may not: by requests, not by questions."""
        self.install("helm4")
        here = ("--namespace", self.namespace)
        self.kubectl("apply", *here, "-f", "-", text="\n---\n".join(map(json.dumps, objects_of_people(self.namespace))))
        self.addCleanup(self.kubectl, "delete", "modeldeployments,modelroutes,tenants,pricebooks", "--all", *here)
        for role in ("view", "edit", "admin"):
            self.bind("rolebinding", role, *here)
        self.bind("clusterrolebinding", "admin", who="owner")
        people = ("view", "edit", "admin", "owner")
        for who in people:
            rig.wait_for(lambda w=who: self.can(w, "get", "modelroutes.spate.dev", *here), 30, f"{who} being given models")
        write = ("--type=merge", "--patch", '{"metadata": {"labels": {"written": "yes"}}}')
        spoil = ("--subresource=status", "--type=merge", "--patch", '{"status": {"observedGeneration": 7}}')
        in_namespace, anywhere = {"edit", "admin", "owner"}, {"owner"}
        for allowed, *command in (
                (in_namespace | {"view"}, "get", "modeldeployment/brook", "--subresource=status", *here),
                (in_namespace | {"view"}, "get", "modeldeployment/brook", "--subresource=scale", *here),
                (in_namespace, "scale", "modeldeployment/brook", "--replicas=2", *here),
                (in_namespace, "patch", "modeldeployment/brook", *write, *here),
                (in_namespace, "patch", "modelroute/chat", *write, *here),
                (set(), "patch", "modeldeployment/brook", *spoil, *here),
                (set(), "patch", "modelroute/chat", *spoil, *here),
                (anywhere, "get", "tenants"), (anywhere, "get", "pricebook/list", "--subresource=status"),
                (anywhere, "patch", "tenant/acme", *write), (anywhere, "patch", "pricebook/list", *write),
                (set(), "patch", "tenant/acme", *spoil), (set(), "patch", "pricebook/list", *spoil)):
            for who in people:
                with self.subTest(who=who, command=command):
                    self.assertEqual(self.forbidden(who, *command), who not in allowed)
        self.assertEqual(self.get("modeldeployment", "brook", *here)["spec"]["scaling"]["replicas"], 2)

    def bind(self, kind, role, *where, who=None):
        name = f"{self.namespace}-{role}-{kind}"
        self.kubectl("create", kind, name, f"--clusterrole={role}", f"--user={who or role}", *where)
        self.addCleanup(self.kubectl, "delete", kind, name, *where)

    def ours(self, who, namespace):
        """(resource, verb) of all that a person may do there with our objects."""
        return {(resource, verb) for resource, _, verb in self.rules(who, namespace) if resource.endswith(".spate.dev")}

    def forbidden(self, who, *command):
        """Whether the API server refuses it for want of a right; it must not for anything else."""
        result = rig.run("kubectl", *command, "--as", who, environment=self.environment)
        refused = "(Forbidden)" in result.stderr
        self.assertEqual(result.returncode != 0, refused, result.stderr)
        return refused


def objects_of_people(namespace):
    """One of each kind. The model is in mode Manual, so that it may be scaled."""
    found = json.loads(model(namespace))
    found["spec"]["scaling"] = {"mode": "Manual"}
    group = {"apiVersion": "spate.dev/v1alpha1"}
    return [found,
            group | {"kind": "ModelRoute", "metadata": {"name": "chat"}, "spec": {"targets": [{"model": "brook"}]}},
            group | {"kind": "Tenant", "metadata": {"name": "acme"}},
            group | {"kind": "PriceBook", "metadata": {"name": "list"},
                     "spec": {"prices": [{"model": "*", "input": "1", "output": "2"}]}}]


def rights_of_people():
    """By role, the (resource, verb) that the page's table gives."""
    section = RBAC_PAGE.read_text().split("## For people\n")[1]
    groups = {name: verbs.strip(". ") for name, verbs in re.findall(r"\*(read|write)\*: ([a-z, ]+)", section)}
    rights = {"view": set(), "edit": set(), "admin": set()}
    for row in re.findall(r"^\| (`.*) \|$", section, re.MULTILINE):
        resources, *cells = row.split("|")
        for role, cell in zip(rights, cells, strict=True):
            spelled = re.sub(r"\*(\w+)\*", lambda found: groups[found[1]], cell).replace(" and ", ", ")
            rights[role] |= {(resource, verb.strip()) for resource in re.findall("`([^`]+)`", resources)
                             for verb in spelled.split(",") if verb.strip()}
    assert all(rights.values()), "no table of what people may do"
    return rights


def rights_of_page(title):
    """The table under that title of the page on rights."""
    section = RBAC_PAGE.read_text().split(f"## {title}\n")[1].split("\n## ")[0]
    rights = set()
    for resource, name, verbs in re.findall(r"^\| `([^`]+)` \| (?:`([^`]+)`)? ?\| ([a-z, ]+) \|", section, re.MULTILINE):
        rights |= {(resource, name, verb.strip()) for verb in verbs.split(",")}
    assert rights, f"no table under {title}"
    return rights


if __name__ == "__main__":
    unittest.main()
