# SPDX-License-Identifier: Apache-2.0
"""The API server as the administrator, without kubectl: a process for each question costs more than its answer, and tests ask
many times a second. A connection for each thread, kept open."""
import contextlib
import functools
import http.client
import json
import socket
import ssl
import threading
import urllib.parse

from . import plan as plans
from .certificates import Authority

TIMEOUT_S = 120
WATCH_SILENCE_S = 900
ERROR_SHOWN = 300
DISCOVERY = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"


class Direct:
    def __init__(self, plan):
        self.plan = plan
        self.of_thread = threading.local()
        self.kinds = {}  # by each name that kubectl knows: (path of the version, resource, whether it is of a namespace)

    @property
    def trust(self):
        """Made anew each time, as a cluster may have been taken down and made again."""
        authority = Authority(self.plan)
        trust = ssl.create_default_context(cafile=str(authority.certificate))
        trust.load_cert_chain(str(authority.file("admin.crt")), str(authority.file("admin.key")))
        return trust

    # Requests

    def connect(self, timeout=TIMEOUT_S):
        return http.client.HTTPSConnection(self.plan.control_plane_address, plans.API_PORT, timeout=timeout, context=self.trust)

    def connect_socket(self, timeout=TIMEOUT_S):
        """A socket of TLS to it."""
        host = self.plan.control_plane_address
        return self.trust.wrap_socket(socket.create_connection((host, plans.API_PORT), timeout), server_hostname=host)

    def exchange(self, connection, method, path, body, headers):
        connection.request(method, path, json.dumps(body) if body is not None else None, headers)
        answer = connection.getresponse()
        return answer, answer.read()

    def send(self, method, path, body=None, headers=None):
        kept = getattr(self.of_thread, "connection", None)
        try:
            return self.exchange(kept or self.connection_of_thread(), method, path, body, headers or {})
        except (http.client.RemoteDisconnected, ConnectionError, ssl.SSLEOFError):
            if kept is None:
                raise
            # It was closed while nobody used it.
            return self.exchange(self.connection_of_thread(), method, path, body, headers or {})

    def call(self, method, path, body=None, content_type="application/json", accept="application/json"):
        try:
            answer, text = self.send(method, path, body, {"content-type": content_type, "accept": accept})
        except (OSError, http.client.HTTPException) as e:
            self.of_thread.connection = None
            raise plans.ClusterError(f"{method} {path}: {e}") from None
        if answer.status >= 300:
            raise plans.ClusterError(f"{method} {path}: {answer.status} {text[:ERROR_SHOWN].decode(errors='replace')}")
        return json.loads(text)

    def connection_of_thread(self):
        self.of_thread.connection = self.connect()
        return self.of_thread.connection

    def get(self, path):
        return self.call("GET", path)

    def post(self, path, body):
        return self.call("POST", path, body)

    def put(self, path, body):
        return self.call("PUT", path, body)

    def merge(self, path, body):
        return self.call("PATCH", path, body, "application/merge-patch+json")

    def watch(self, path, resource_version):
        """Events from there on, for as long as they come."""
        with contextlib.closing(self.connect(WATCH_SILENCE_S)) as connection:
            connection.request("GET", f"{path}?watch=1&resourceVersion={resource_version}&timeoutSeconds=3600")
            answer = connection.getresponse()
            while line := answer.readline():
                yield json.loads(line)

    # Kinds, by the names that people use

    def learn(self, groups, root):
        for group in groups["items"]:
            name = group["metadata"].get("name", "")
            version = group["versions"][0]
            path = f"{root}/{name}/{version['version']}" if name else f"{root}/{version['version']}"
            for row in version["resources"]:
                known = (path, row["resource"], row["scope"] == "Namespaced")
                names = [row["resource"], row.get("singularResource"), *row.get("shortNames", ())]
                if name:
                    names.append(f"{row['resource']}.{name}")
                for each in names:
                    self.kinds.setdefault(each, known)

    def kind(self, name):
        if name not in self.kinds:
            self.kinds = {}
            self.learn(self.call("GET", "/api", accept=DISCOVERY), "/api")
            self.learn(self.call("GET", "/apis", accept=DISCOVERY), "/apis")
        if name not in self.kinds:
            raise plans.ClusterError(f"the API server knows no kind '{name}'")
        return self.kinds[name]

    def path(self, kind, name=None, namespace=None, **selectors):
        version, resource, is_namespaced = self.kind(kind)
        path = [version]
        if is_namespaced and namespace:
            path += ["namespaces", namespace]
        path.append(resource)
        if name:
            path.append(name)
        query = urllib.parse.urlencode({key: value for key, value in selectors.items() if value})
        return "/".join(path) + (f"?{query}" if query else "")


@functools.cache
def of(plan):
    return Direct(plan)
