# SPDX-License-Identifier: Apache-2.0
"""A private registry of images beside a cluster: TLS by the cluster's authority, a user with a password for every question, and a
name that the nodes resolve. It runs in the machine of the control plane and ends with that."""
import collections
import http.client
import json
import os
import signal
import ssl
import subprocess

from . import machine as machines
from . import node as nodes
from . import plan as plans

HOST = "registry.example"
PORT = 443
READY_S = 30
# As htpasswd --bcrypt writes them: pusher's password is push-secret, puller's is secret.
USERS = """\
pusher:$2b$05$9R5jAHtNTK7KjXQ0HuARVO0HOcECzamMAAL/eemnPqa/YSyIg43fy
puller:$2b$05$4bJhM1V6mWBBLvfbYgq7R.BaTpmJjizPvjrcjO28qL1p1rX6Zl65K
"""
# How a node's containerd asks it.
HOSTS_TOML = """\
server = "https://{host}"
ca = "{authority}"
"""


class Registry:
    """Call start(), and close() where the cluster goes on without it."""

    def __init__(self, cluster):
        self.plan = cluster.plan
        self.authority = cluster.authority
        self.binaries = cluster.binaries
        self.machine = cluster.machine(plans.CONTROL_PLANE)
        self.folder = self.machine.folder / "registry"
        self.process = None

    @property
    def address(self):
        return self.plan.control_plane_address

    @property
    def hosts(self):
        """A file as /etc/hosts is, by which its name leads to it."""
        return self.folder / "hosts"

    def start(self):
        self.binaries.get(["registry"])
        self.folder.mkdir()
        self.authority.server("registry", f"CN = {HOST}", [f"DNS:{HOST}"])
        (self.folder / "users").write_text(USERS)
        (self.folder / "settings").write_text(json.dumps(self.settings()))
        self.hosts.write_text(f"127.0.0.1 localhost\n{self.address} {HOST}\n")
        command = self.machine.entering([self.binaries.path("registry"), "serve", self.folder / "settings"])
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
                                            env=os.environ | {"OTEL_TRACES_EXPORTER": "none"})
        machines.wait_for(self.answers, READY_S, f"the registry being ready ({self.log} says why)")
        for node in plans.NODES:
            self.introduce(node)
        return self

    def settings(self):
        """As JSON, which is YAML too."""
        return {"version": 0.1, "log": {"level": "info", "formatter": "json", "accesslog": {"disabled": True}},
                "storage": {"filesystem": {"rootdirectory": str(self.folder / "store")}},
                "http": {"addr": f"{self.address}:{PORT}", "secret": "of no use to one server",
                         "tls": {"certificate": str(self.authority.file("registry.crt")), "key": str(self.authority.file("registry.key"))}},
                "auth": {"htpasswd": {"realm": HOST, "path": str(self.folder / "users")}}}

    @property
    def log(self):
        return self.plan.log_folder(plans.CONTROL_PLANE) / "registry.log"

    def answers(self):
        """It is well when it refuses a stranger."""
        connection = http.client.HTTPSConnection(self.address, PORT, timeout=READY_S, context=self.trust())
        try:
            connection.request("GET", "/v2/")
            return connection.getresponse().status == http.HTTPStatus.UNAUTHORIZED
        except OSError:
            return False
        finally:
            connection.close()

    def trust(self):
        trust = ssl.create_default_context(cafile=self.authority.certificate)
        trust.check_hostname = False  # the name leads to it on the nodes alone
        return trust

    def introduce(self, node):
        """Tells a node the name and the authority; once more after a node was off."""
        self.settings_on(node).parent.mkdir(exist_ok=True)
        self.settings_on(node).write_text(HOSTS_TOML.format(host=HOST, authority=self.authority.certificate))
        machines.Machine(self.plan, node.name).inside(["mount", "--bind", self.hosts, "/etc/hosts"], check=True)

    def settings_on(self, node):
        return nodes.registries(self.plan, node) / HOST / "hosts.toml"

    # What it was asked

    def rows(self):
        return [json.loads(line) for line in self.log.read_text().splitlines() if line.startswith("{")]

    def taken(self, user):
        """The paths that this user has read."""
        return {row["http.request.uri"] for row in self.rows() if row.get("auth.user.name") == user
                and row["http.request.method"] == "GET" and row.get("http.response.status") == http.HTTPStatus.OK}

    def refused(self):
        """How often each path was refused to somebody whose password is wrong; who has none, is asked for one, and not counted."""
        return collections.Counter(row["http.request.uri"] for row in self.rows() if row["msg"].endswith("authentication failure"))

    def close(self):
        if self.process is not None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            self.process = None
