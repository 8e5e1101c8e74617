# SPDX-License-Identifier: Apache-2.0
"""What each service account may do, as `kubectl auth can-i --list` says, is what docs/kubernetes/rbac.md says, with a reason."""
import json
import re
import unittest

import routes
from shared import TEAM, release, rig, system

PAGE = routes.ROOT / "docs" / "kubernetes" / "rbac.md"
# Of a release that looks after some namespaces only: its roles alone, beside the release that runs.
WATCHING = "watching"


def table(title):
    """{(resource, name or "", verb)} of the page's table under that title, each row with a reason."""
    rights = set()
    for resource, name, verbs, why in re.findall(r"^\| `([^`]+)` \| (?:`([^`]+)`)? ?\| ([a-z, ]+) \| (.*) \|$", section(title), re.MULTILINE):
        assert why.strip(), f"{resource}: why?"
        rights |= {(resource, name, verb.strip()) for verb in verbs.split(",")}
    assert rights, f"no table under {title}"
    return rights


def starred(title):
    """Those of its rows that are marked as belonging to no namespace."""
    rows = re.findall(r"^\| `([^`]+)` \|.*\* \|$", section(title), re.MULTILINE)
    return {right for right in table(title) if right[0] in rows}


def section(title):
    return PAGE.read_text().split(f"## {title}\n")[1].split("\n## ")[0]


class Rights(unittest.TestCase):
    def can(self, account, namespace, in_namespace):
        """(rights on resources, paths that are no resources) of a service account there."""
        text = system.release.kubectl("auth", "can-i", "--list", "--as", f"system:serviceaccount:{in_namespace}:{account}",
                                      "--as-group", "system:serviceaccounts", "--as-group", f"system:serviceaccounts:{in_namespace}",
                                      "--as-group", "system:authenticated", "--namespace", namespace)
        rights, paths = set(), set()
        for line in text.splitlines()[1:]:
            resource, urls, names, verbs = re.match(r"(\S*)\s+\[(.*?)\]\s+\[(.*?)\]\s+\[(.*?)\]$", line).groups()
            # "models.spate.dev/status" is how kubectl writes models/status of the group spate.dev.
            resource = re.sub(r"^([^./]+)\.([^/]+)/(\w+)$", r"\1/\3.\2", resource)
            if resource:
                rights |= {(resource, name, verb) for name in names.split() or [""] for verb in verbs.split()}
            else:
                paths |= set(urls.split())
        return rights, paths

    def test_rights_are_those_of_the_page(self):
        namespace = system.release.namespace
        everyone = table("What every account may do")
        anywhere, at_home = table("In every namespace"), table("In its own namespace")
        for where, expected in ((namespace, anywhere | at_home), (TEAM, anywhere), ("default", anywhere)):
            rights, _ = self.can("spate-operator", where, namespace)
            self.assertEqual(rights, expected | everyone, f"operator in {where}")
        for account, home in (("spate-gateway", namespace), ("spate-ledger", namespace), ("default", TEAM), ("nobody", "default")):
            for where in (namespace, TEAM):
                rights, paths = self.can(account, where, home)
                self.assertEqual(rights, everyone, f"{account} in {where}")
                self.assertEqual(paths, set(re.findall(r"`(/[^`]*)`", section("What every account may do"))), account)

    def test_watched_namespaces_narrow_them(self):
        """The same page: what is not starred is left in the named namespaces alone."""
        namespace, everyone = system.release.namespace, table("What every account may do")
        kube = [rig.Kube(system.release.cluster, name).make_namespace() for name in ("watched", "unwatched")]
        rendered = system.release.helm("template", WATCHING, release.CHART, "--show-only", "templates/rbac/operator.yaml",
                                       values={"watchNamespaces": ["watched"]})
        system.release.kubectl("apply", "-f", "-", text=rendered)
        self.addCleanup(system.release.kubectl, "delete", "-f", "-", text=rendered)
        anywhere, at_home, always = table("In every namespace"), table("In its own namespace"), starred("In every namespace")
        account = f"{WATCHING}-spate"
        at_home = {(resource, name.replace("spate", account, 1), verb) for resource, name, verb in at_home}
        for where, expected in ((kube[0].namespace, anywhere), (kube[1].namespace, always), (namespace, always | at_home)):
            rights, _ = self.can(f"{account}-operator", where, namespace)
            self.assertEqual(rights, expected | everyone, where)

    def test_pods_of_models_run_without_a_token(self):
        for program, name, pod in system.pods():
            mounted = json.dumps(pod["spec"].get("volumes", []))
            self.assertEqual("serviceAccountToken" in mounted, program in ("operator", "gateway"), name)
            if program == "gateway":
                self.assertIn('"audience": "spate-operator"', mounted)
            if program == "agent":
                self.assertEqual(pod["spec"]["serviceAccountName"], "default")
                self.assertFalse(pod["spec"]["automountServiceAccountToken"])

    def test_no_star(self):
        """In none of our roles, those for people among them."""
        found = json.loads(system.release.kubectl("get", "clusterroles,roles", "-A", "-o", "json", "--selector",
                                                  f"app.kubernetes.io/instance={system.release.name}"))["items"]
        self.assertGreaterEqual(len(found), 6)
        for role in found:
            for rule in role["rules"]:
                self.assertNotIn("*", [text for part in rule.values() for text in part], role["metadata"]["name"])
                self.assertTrue(all("*" not in text for part in rule.values() for text in part), role["metadata"]["name"])
