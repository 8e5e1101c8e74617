# SPDX-License-Identifier: Apache-2.0
"""The API server without kubectl, for objects by the thousand: a connection for each thread, kept open."""
import concurrent.futures
import http.client
import json
import ssl
import threading

THREADS = 8
TIMEOUT_S = 120
WATCH_SILENCE_S = 900


class Direct:
    def __init__(self, cluster):
        self.address = cluster.plan.control_plane_address
        self.port = cluster.plan.server.rsplit(":", 1)[1]
        self.trust = ssl.create_default_context(cafile=str(cluster.authority.certificate))
        self.trust.load_cert_chain(str(cluster.authority.file("admin.crt")), str(cluster.authority.file("admin.key")))
        self.of_thread = threading.local()

    def connect(self, timeout=TIMEOUT_S):
        return http.client.HTTPSConnection(self.address, int(self.port), timeout=timeout, context=self.trust)

    def call(self, method, path, body=None, content_type="application/json"):
        connection = getattr(self.of_thread, "connection", None)
        if connection is None:
            connection = self.of_thread.connection = self.connect()
        connection.request(method, path, json.dumps(body) if body is not None else None, {"content-type": content_type})
        answer = connection.getresponse()
        text = answer.read()
        if answer.status >= 300:
            raise RuntimeError(f"{method} {path}: {answer.status} {text[:300].decode()}")
        return json.loads(text)

    def get(self, path):
        return self.call("GET", path)

    def post(self, path, body):
        return self.call("POST", path, body)

    def merge(self, path, body):
        return self.call("PATCH", path, body, "application/merge-patch+json")

    def for_each(self, function, items):
        """Calls function(item) for all of them by a few threads; the results in order."""
        with concurrent.futures.ThreadPoolExecutor(THREADS) as pool:
            return list(pool.map(function, items))

    def watch(self, path, resource_version):
        """Events from there on, for as long as they come."""
        connection = self.connect(WATCH_SILENCE_S)
        connection.request("GET", f"{path}?watch=1&resourceVersion={resource_version}&timeoutSeconds=3600")
        answer = connection.getresponse()
        try:
            while line := answer.readline():
                yield json.loads(line)
        finally:
            connection.close()
