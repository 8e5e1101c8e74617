# SPDX-License-Identifier: Apache-2.0
"""The API server without kubectl, which is slow to start: a connection for each thread, kept open."""
import http.client
import json
import ssl
import threading

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

    def exchange(self, connection, method, path, body, content_type):
        connection.request(method, path, json.dumps(body) if body is not None else None, {"content-type": content_type})
        answer = connection.getresponse()
        return answer, answer.read()

    def call(self, method, path, body=None, content_type="application/json"):
        kept = getattr(self.of_thread, "connection", None)
        try:
            answer, text = self.exchange(kept or self.connection_of_thread(), method, path, body, content_type)
        except (http.client.RemoteDisconnected, ConnectionError, ssl.SSLEOFError):
            if kept is None:
                raise
            # It was closed while nobody used it.
            answer, text = self.exchange(self.connection_of_thread(), method, path, body, content_type)
        if answer.status >= 300:
            raise RuntimeError(f"{method} {path}: {answer.status} {text[:300].decode()}")
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
        connection = self.connect(WATCH_SILENCE_S)
        connection.request("GET", f"{path}?watch=1&resourceVersion={resource_version}&timeoutSeconds=3600")
        answer = connection.getresponse()
        try:
            while line := answer.readline():
                yield json.loads(line)
        finally:
            connection.close()
