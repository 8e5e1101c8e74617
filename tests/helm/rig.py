# SPDX-License-Identifier: Apache-2.0
"""For tests of the chart: both versions of helm, what they render as objects, and an API server to show it to."""
import atexit
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "cluster"))

from testbed import binaries  # noqa: E402
from testbed import helm as tools  # noqa: E402
from testbed.cluster import Cluster  # noqa: E402
from testbed.machine import wait_for  # noqa: E402

__all__ = ["CHART", "Cluster", "HELMS", "ROOT", "Server", "helm", "parse_objects", "parse_values", "render", "wait_for"]

CHART = ROOT / "helm" / "spate"
HELMS = tools.VERSIONS
# Helm built from source does not know which Kubernetes it belongs to.
KUBE_VERSION = "1.36.3"
# What kubectl remembers of a server must not be kept for the next one at the same address.
KUBECTL_CACHE = tempfile.mkdtemp(prefix="spate-kubectl-")
atexit.register(shutil.rmtree, KUBECTL_CACHE, ignore_errors=True)
PROGRAMS = binaries.Binaries().get((*HELMS, "kubectl"))


def run(program, *arguments, text=None, environment=None):
    command = [str(PROGRAMS.path(program)), *map(str, arguments)]
    return subprocess.run(command, input=text, capture_output=True, text=True, check=False, cwd=ROOT,
                          env=os.environ | {"KUBECONFIG": os.devnull, "KUBECACHEDIR": KUBECTL_CACHE} | (environment or {}))


def helm(version, *arguments, values=None, environment=None):
    """values: a tree, as of a values file."""
    return tools.helm(PROGRAMS, version, *arguments, values=values, kubeconfig=(environment or {}).get("KUBECONFIG", os.devnull))


def render(version, values=None, release="spate", namespace="spate", arguments=()):
    """What `helm template` prints."""
    result = helm(version, "template", release, CHART, "--namespace", namespace, "--kube-version", KUBE_VERSION, *arguments,
                  values=values or {})
    if result.returncode != 0:
        raise AssertionError(f"{version} template with {json.dumps(values)}:\n{result.stderr}")
    return result.stdout


def parse_objects(text):
    """YAML documents as objects. kubectl is the parser, and is asked nothing else: no server is involved."""
    result = run("kubectl", "annotate", "--local", "-f", "-", "spate.dev/parsed=yes", "--output", "json", text=text)
    if result.returncode != 0:
        raise AssertionError(f"not YAML of objects: {result.stderr}\n{text}")
    decoder, found, at = json.JSONDecoder(), [], 0
    while at < len(result.stdout.rstrip()):
        item, end = decoder.raw_decode(result.stdout, at)
        found.append(without_mark(item))
        at = end + 1
    return found


def without_mark(item):
    annotations = item["metadata"]["annotations"]
    del annotations["spate.dev/parsed"]
    if not annotations:
        del item["metadata"]["annotations"]
    return item


def parse_values(text):
    """A file of values as a tree."""
    indented = "".join(f"  {line}" for line in text.splitlines(keepends=True))
    return parse_objects(f"apiVersion: v1\nkind: Values\nmetadata: {{name: values}}\nvalues:\n{indented}")[0]["values"]


class Server(unittest.TestCase):
    """A test with an API server of its own, without nodes: what is created is checked, and stays pending."""

    @classmethod
    def setUpClass(cls):
        cls.cluster = Cluster(f"helm-{os.getpid()}")
        cls.addClassCleanup(cls.cluster.down)
        cls.cluster.up(control_plane_only=True)
        cls.environment = {"KUBECONFIG": str(cls.cluster.plan.kubeconfig)}

    @classmethod
    def kubectl(cls, *arguments, text=None, check=True):
        result = run("kubectl", *arguments, text=text, environment=cls.environment)
        if check and result.returncode != 0:
            raise AssertionError(f"kubectl {' '.join(map(str, arguments))}: {result.stderr}{result.stdout}")
        return result.stdout

    @classmethod
    def get(cls, *arguments):
        return json.loads(cls.kubectl("get", "--output", "json", *arguments))

    @classmethod
    def make_namespace(cls, name):
        cls.kubectl("create", "namespace", name)
        cls.kubectl("label", "namespace", name, "pod-security.kubernetes.io/enforce=restricted")
        return name

    @classmethod
    def helm(cls, version, *arguments, values=None):
        result = helm(version, *arguments, values=values, environment=cls.environment)
        if result.returncode != 0:
            raise AssertionError(f"{version} {' '.join(map(str, arguments))}: {result.stderr}{result.stdout}")
        return result.stdout

    def can(self, who, *what):
        """Whether an account, or a person, may do that."""
        return self.kubectl("auth", "can-i", *what, "--as", who, check=False).strip() == "yes"
