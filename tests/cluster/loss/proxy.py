# SPDX-License-Identifier: Apache-2.0
"""A proxy between the API server and one operator, which can hold a request back: the moment between what a leader decided and
what the server gets of it, for as long as a test wants."""
import contextlib
import json
import select
import socket
import ssl
import threading

READ_BYTES = 1 << 16
HEAD_END = b"\r\n\r\n"


class Held:
    """A request that the operator has sent and the server has not got."""

    def __init__(self, method, path, body):
        self.method, self.path = method, path
        self.object = json.loads(body) if body.startswith(b"{") else None
        self.go = threading.Event()


class Proxy:
    """Plain HTTP on this machine (which the operator allows only there), TLS to the server. It changes nothing."""

    def __init__(self, api):
        self.api = api
        self.matches = None
        self.held = None
        self.caught = threading.Event()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        threading.Thread(target=self.accept, daemon=True).start()

    def hold_next(self, matches):
        """matches(method, path): whether that request is to be held, by its path without the query. One is; those after it pass."""
        self.caught.clear()
        self.held, self.matches = None, matches

    def wait_held(self, seconds):
        if not self.caught.wait(seconds):
            raise AssertionError(f"no request to hold came within {seconds} s")
        return self.held

    def write_kubeconfig(self, path):
        path.write_text(json.dumps({
            "apiVersion": "v1", "kind": "Config", "current-context": "it",
            "clusters": [{"name": "it", "cluster": {"server": self.url}}], "users": [{"name": "it", "user": {}}],
            "contexts": [{"name": "it", "context": {"cluster": "it", "user": "it"}}]}))
        return path

    def accept(self):
        with contextlib.suppress(OSError):
            while True:
                client, _ = self.listener.accept()
                threading.Thread(target=self.serve, args=(client,), daemon=True).start()

    def serve(self, client):
        """One thread for both ways: two must not use one connection of TLS at a time."""
        with contextlib.suppress(OSError), client, self.api.connect_socket() as server:
            server.setblocking(False)
            requests = b""
            while True:
                readable, _, _ = select.select([client, server], [], [])
                if server in readable and not pass_answer(server, client):
                    return
                if client in readable:
                    data = client.recv(READ_BYTES)
                    if not data:
                        return
                    requests = self.pass_requests(requests + data, server)

    def pass_requests(self, data, server):
        """Those that are whole. Returns the rest."""
        while (size := request_size(data)) is not None and len(data) >= size:
            self.maybe_hold(data[:size])
            server.setblocking(True)
            server.sendall(data[:size])
            server.setblocking(False)
            data = data[size:]
        return data

    def maybe_hold(self, request):
        head, _, body = request.partition(HEAD_END)
        method, path, _ = head.split(b"\r\n", 1)[0].decode().split(" ")
        if self.matches is None or not self.matches(method, path.partition("?")[0]):
            return
        self.matches = None
        self.held = held = Held(method, path, body)
        self.caught.set()
        held.go.wait()

    def close(self):
        if self.held:
            self.held.go.set()
        self.listener.close()


def pass_answer(server, client):
    """What has come of it. False: that was all."""
    while True:
        try:
            data = server.recv(READ_BYTES)
        except ssl.SSLWantReadError:
            return True
        if not data:
            return False
        client.sendall(data)


def request_size(data):
    """Of the first request, head and body; None: its head has not come yet."""
    head, end, _ = data.partition(HEAD_END)
    if not end:
        return None
    lines = head.lower().split(b"\r\n")
    assert not any(line.startswith(b"transfer-encoding") for line in lines), "this proxy knows bodies of a given length only"
    lengths = [int(line.partition(b":")[2]) for line in lines if line.startswith(b"content-length:")]
    return len(head) + len(HEAD_END) + sum(lengths)
