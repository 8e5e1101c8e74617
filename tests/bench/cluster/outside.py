# SPDX-License-Identifier: Apache-2.0
"""A cluster of the bench's own, and operators outside it that can be measured and killed."""
import base64
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[3]
sys.path[:0] = [str(ROOT / "tests" / "cluster"), str(ROOT / "tests" / "cluster" / "operator")]

import product  # noqa: E402
import rig  # noqa: E402
import system  # noqa: E402
from product import BIN  # noqa: E402
from system import NAMESPACE  # noqa: E402


class Outside:
    """Context: the cluster goes with it, whatever happened."""

    wait_for = staticmethod(rig.wait_for)

    def __init__(self, name, control_plane_only):
        self.cluster = rig.Cluster(name)
        self.control_plane_only = control_plane_only
        self.programs = []

    def __enter__(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="spate-bench-"))
        try:
            self.cluster.up(control_plane_only=self.control_plane_only)
            self.make_namespace(NAMESPACE)
            definitions = subprocess.run([str(BIN / "spate-crd"), "yaml"], capture_output=True, text=True, check=True).stdout
            rig.api.kubectl(self.cluster.plan, "apply", "--server-side", "-f", "-", text=definitions)
            rig.api.kubectl(self.cluster.plan, "wait", "--for=condition=Established", "--timeout=30s", "crd", "--all")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        for program in self.programs:
            program.stop()
        self.cluster.down()
        shutil.rmtree(self.folder)

    def make_namespace(self, name):
        rig.api.apply(self.cluster.plan, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})

    def start_gateway(self, credential, operator):
        """The real one, so that loads are known and routes are taken. There is no ledger: nobody asks it anything."""
        file = self.folder / "credential"
        file.write_text(credential)
        self.programs.append(system.Program(
            self.folder, "gateway", "spate-gateway", "--state", str(self.folder), "--name", "gateway-0", "--listen",
            "127.0.0.1:0", "--operator", f"http://{operator.address}", "--ledger", "http://127.0.0.1:9",
            "--credential-file", str(file)))

    def freeze_controllers(self):
        """What Kubernetes itself does with a hundred thousand new pods is not measured, and would take half of this machine."""
        os.kill(self.cluster.machine("cp").process("kube-controller-manager"), signal.SIGSTOP)

    def stop_programs(self, *names):
        for program in self.programs:
            if program.name in names:
                program.stop()

    def start_agent(self, port):
        """At the addresses of all pods. An operator must have run before: it makes the key that agents check."""
        secret = rig.Kube(self.cluster, NAMESPACE).get("secret", "spate-token-key")
        key = self.folder / "token.pub"
        key.write_bytes(base64.b64decode(secret["data"]["token.pub"]))
        agent = system.Program(
            self.folder, "agent", "spate-agent", "--model", str(ROOT / "models" / "brook"), "--listen",
            f"0.0.0.0:{port}", "--data", str(self.folder / "agent"), "--token-public-key", str(key), "--pod-name", "agent",
            "--served-model", "bench/brook", "--slots", "8", "--threads", "1", network_of=self.cluster.machine("cp").pid)
        self.programs.append(agent)

    def start_operator(self, name):
        program = system.Program(
            self.folder, name, "spate-operator", "--platform", "kube", "--kubeconfig", str(self.cluster.plan.kubeconfig),
            "--namespace", NAMESPACE, "--name", name, "--listen", f"{self.cluster.plan.host_address}:0",
            "--agent-image", product.image("agent", system.TAG), "--agent-pull-policy", "Never")
        self.programs.append(program)
        return program
