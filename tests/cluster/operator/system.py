# SPDX-License-Identifier: Apache-2.0
"""Spate on a test cluster with its operators and its ledger outside, where a test can kill and freeze them: gateways and
agents are pods, as the chart makes them."""
import base64
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT / "tests" / "cluster"))

import product  # noqa: E402
import rig  # noqa: E402
from product import BIN  # noqa: E402
from rig import wait_for  # noqa: E402

NAMESPACE = "spate-system"
TAG = "test"
BROOK = f"oci://{product.image('brook', TAG)}"
AUDIENCE = "spate-operator"
ROUTES = "/internal/v1/routes?run=00000000000000000000000001"
LAST_WORDS = 4000


class Program:
    """One of ours on this host; network_of: in the network of that process."""

    def __init__(self, folder, name, *arguments, network_of=None):
        self.name = name
        self.log = folder / f"{name}.log"
        self.address_file = folder / f"{name}.address"
        self.address_file.unlink(missing_ok=True)
        enter = ["nsenter", "--target", str(network_of), "--net"] if network_of else []
        command = [*enter, str(BIN / arguments[0]), *arguments[1:], "--address-file", str(self.address_file)]
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        wait_for(lambda: self.address_file.exists() or self.process.poll() is not None, 60, name)
        if self.process.poll() is not None:
            raise AssertionError(f"{name} did not start:\n{self.last_words()}")

    def last_words(self):
        return self.log.read_text(errors="replace")[-LAST_WORDS:]

    @property
    def address(self):
        return self.address_file.read_text().strip()

    def signal(self, number):
        os.kill(self.process.pid, number)

    def kill(self):
        self.process.kill()
        self.process.wait()

    def stop(self):
        if self.process.poll() is None:
            self.signal(signal.SIGCONT)
            self.process.terminate()
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.kill()


class RoutesPoll(threading.Thread):
    """Asks one operator for routes as a gateway does: for newer ones than it has, again and again. Notes each answer."""

    def __init__(self, operator, token):
        super().__init__(daemon=True)
        self.address = operator.address
        self.token = token
        self.answers = []  # (time, status, version or "")
        self.ended = False
        self.start()

    def run(self):
        have = ""
        while not self.ended:
            try:
                status, body = product.request_json(self.address, "GET", f"{ROUTES}&have={have}", token=self.token)
            except OSError:
                status, body = 0, ""
            version = body["version"] if status == 200 else ""
            have = version or have
            self.answers.append((time.monotonic(), status, version))
            if status not in (200, 204):
                time.sleep(0.1)

    def epoch(self):
        """Of the newest routes told: which leadership made them. 0: none was told."""
        return max((int(version.split(":")[1]) for _, _, version in self.answers if version), default=0)

    def end(self):
        self.ended = True
        self.join(30)


class System:
    """Of one test: its own cluster, unless SPATE_CLUSTER names one to use."""

    def __init__(self, name):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="spate-operator-"))
        self.own = "SPATE_CLUSTER" not in os.environ
        self.cluster = rig.Cluster(name if self.own else os.environ["SPATE_CLUSTER"])
        self.programs = {}
        if self.own:
            self.cluster.up()
        self.kube = rig.Kube(self.cluster, NAMESPACE).make_namespace()
        definitions = subprocess.run([str(BIN / "spate-crd"), "yaml"], capture_output=True, text=True, check=True).stdout
        self.kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", text=definitions)
        self.kubectl("wait", "--for=condition=Established", "--timeout=30s", "crd", "modeldeployments.spate.dev",
                     "tenants.spate.dev", "pricebooks.spate.dev")
        product.load_images(self.cluster, ("agent", "brook", "gateway"), TAG)

    def kubectl(self, *arguments, **options):
        return rig.api.kubectl(self.cluster.plan, *arguments, **options)

    def close(self):
        for program in self.programs.values():
            program.stop()
        if self.own:
            self.cluster.down()
        shutil.rmtree(self.folder)

    # Programs

    def start_operator(self, name, *arguments, kubeconfig=None):
        listen = f"{self.cluster.plan.host_address}:0"
        ledger = self.programs.get("ledger")
        program = Program(self.folder, name, "spate-operator", "--platform", "kube", "--kubeconfig",
                          str(kubeconfig or self.cluster.plan.kubeconfig), "--namespace", NAMESPACE, "--name", name, "--listen", listen,
                          "--agent-image", product.image("agent", TAG), "--agent-pull-policy", "Never",
                          *(["--ledger", f"http://{ledger.address}"] if ledger else []), *arguments)
        self.programs[name] = program
        return program

    def make_narrow_account(self, *namespaces):
        """A kubeconfig whose account has rights in these namespaces only, by a RoleBinding inside each, as the chart gives
        them; and may read what is of the whole cluster."""
        group = "rbac.authorization.k8s.io"
        subject = {"kind": "ServiceAccount", "name": "narrow", "namespace": NAMESPACE}
        self.kube.apply({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "narrow"}})
        self.apply({"apiVersion": f"{group}/v1", "kind": "ClusterRole", "metadata": {"name": "narrow"},
                    "rules": [{"apiGroups": [""], "resources": ["nodes"], "verbs": ["get", "list", "watch"]},
                              {"apiGroups": ["spate.dev"], "verbs": ["*"], "resources": [
                                  "tenants", "tenants/status", "pricebooks", "pricebooks/status"]}]},
                   {"apiVersion": f"{group}/v1", "kind": "ClusterRoleBinding", "metadata": {"name": "narrow"},
                    "subjects": [subject], "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": "narrow"}},
                   *({"apiVersion": f"{group}/v1", "kind": "RoleBinding", "metadata": {"name": "narrow", "namespace": namespace},
                      "subjects": [subject], "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": "cluster-admin"}}
                     for namespace in (NAMESPACE, *namespaces)))
        config = json.loads(self.kubectl("config", "view", "--raw", "-o", "json"))
        token = self.kube.run("create", "token", "narrow").strip()
        config["users"] = [{"name": user["name"], "user": {"token": token}} for user in config["users"]]
        path = self.folder / "narrow.json"
        path.write_text(json.dumps(config))
        return path

    def start_ledger(self):
        """Its key is the operator's, as the chart mounts it."""
        secret = self.kube.get("secret", "spate-token-key")
        key = self.folder / "token.pub"
        key.write_bytes(base64.b64decode(secret["data"]["token.pub"]))
        self.programs["ledger"] = Program(self.folder, "ledger", "spate-ledger", "--db", str(self.folder / "ledger.db"),
                                          "--token-public-key", str(key), "--listen", f"{self.cluster.plan.host_address}:0")
        return self.programs["ledger"]

    def make_operator_service(self, *operators):
        """A Service over programs outside the cluster: each has a port of its own, so a slice of its own."""
        slices = [{"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
                   "metadata": {"name": f"operator-{operator.name}", "labels": {"kubernetes.io/service-name": "operator"}},
                   "ports": [{"name": "http", "port": int(operator.address.rsplit(":", 1)[1])}],
                   "endpoints": [{"addresses": [self.cluster.plan.host_address], "conditions": {"ready": True}}]}
                  for operator in operators]
        service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "operator"},
                   "spec": {"ports": [{"name": "http", "port": 7001}]}}
        self.kube.apply(service, *slices)

    def make_gateway(self, name="gateway-0", account="spate-gateway", component="gateway"):
        container = rig.restricted({
            "name": "gateway", "image": product.image("gateway", TAG), "imagePullPolicy": "Never",
            "args": ["--state", "/var/lib/spate", "--name", name, "--listen", "0.0.0.0:8080", "--operator",
                     f"http://operator.{NAMESPACE}:7001", "--ledger", f"http://{self.programs['ledger'].address}",
                     "--credential-file", "/var/run/secrets/spate/token"],
            "ports": [{"name": "http", "containerPort": 8080}],
            "volumeMounts": [{"name": "state", "mountPath": "/var/lib/spate"},
                             {"name": "credential", "mountPath": "/var/run/secrets/spate", "readOnly": True}]})
        credential = {"name": "credential", "projected": {"sources": [
            {"serviceAccountToken": {"audience": AUDIENCE, "expirationSeconds": 3600, "path": "token"}}]}}
        self.kube.apply(
            {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": account}},
            {"apiVersion": "v1", "kind": "Pod",
             "metadata": {"name": name, "labels": {"app": "gateway", "spate.dev/component": component}},
             "spec": {"serviceAccountName": account, "automountServiceAccountToken": False, "containers": [container],
                      "nodeSelector": {"kubernetes.io/hostname": "n3"}, "terminationGracePeriodSeconds": 5,
                      "securityContext": {"runAsNonRoot": True, "fsGroup": 65532, "seccompProfile": {"type": "RuntimeDefault"}},
                      "volumes": [{"name": "state", "emptyDir": {}}, credential]}})
        return wait_for(lambda: self.kube.get("pod", name)["status"].get("podIP"), 60, f"the address of {name}") + ":8080"

    # What gateways ask

    def gateway_credential(self, account="spate-gateway", *arguments, audience=AUDIENCE):
        """A service-account token, as the kubelet puts it into the gateway's pod."""
        return self.kube.run("create", "token", account, "--audience", audience, *arguments).strip()

    def gateway_token(self, operator, gateway="gateway-0"):
        """The operator's own token for that gateway."""
        credential = self.gateway_credential("spate-gateway", "--bound-object-kind", "Pod", "--bound-object-name", gateway)
        status, body = product.request_json(operator.address, "POST", "/internal/v1/token", {"gateway": gateway}, credential)
        if status != 200:
            raise AssertionError(f"no token for {gateway}: {status} {body}")
        return body["tokens"]["operator"]

    def routes(self, operator, token):
        """The newest, at once."""
        status, body = product.request_json(operator.address, "GET", ROUTES, token=token)
        if status != 200:
            raise AssertionError(f"no routes from {operator.name}: {status} {body}")
        return body

    # Objects

    def apply(self, *objects):
        rig.api.apply(self.cluster.plan, *objects)

    def model(self, name, namespace, uri=BROOK, **more):
        return product.model(name, namespace, uri, **more)

    def holder(self):
        return product.holder(self.kube)
