# SPDX-License-Identifier: Apache-2.0
"""
A scripted API server: objects, versions, lists, watches and conflicts as a real one has them, and
faults on demand. It writes its bytes itself, so that a fault can lie between any two of them.
tests/cluster/kube_client asks it and a real API server the same questions and compares the answers.
"""
import base64
import collections
import copy
import datetime
import gzip
import json
import os
import socket
import ssl
import struct
import threading
import time
import urllib.parse
import uuid
import zlib

Rule = collections.namedtuple("Rule", "matches action")
REASONS = {400: "BadRequest", 401: "Unauthorized", 403: "Forbidden", 404: "NotFound", 409: "Conflict",
           410: "Expired", 422: "Invalid", 429: "TooManyRequests", 500: "InternalError", 503: "ServiceUnavailable"}


def status_object(code, reason=None, message="", retry_after=None):
    details = {} if retry_after is None else {"details": {"retryAfterSeconds": retry_after}}
    return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": message,
            "reason": reason or REASONS[code], "code": code} | details


class Refusal(Exception):
    def __init__(self, code, reason=None, message=""):
        super().__init__(message)
        self.code = code
        self.status = status_object(code, reason, message)


class Request:
    def __init__(self, method, target, headers, body):
        self.method, self.headers, self.body = method, headers, body
        self.time = time.monotonic()
        path, _, query = target.partition("?")
        self.query = dict(urllib.parse.parse_qsl(query, keep_blank_values=True))
        parts = path.strip("/").split("/")
        rest = parts[2:] if parts[0] == "api" else parts[3:]
        self.group_version = "/".join(parts[1:2] if parts[0] == "api" else parts[1:3])
        self.namespace = None
        if rest[:1] == ["namespaces"] and len(rest) > 2:
            self.namespace, rest = rest[1], rest[2:]
        self.plural, self.name, self.subresource = (rest + [None, None, None])[:3]

    def is_watch(self):
        return self.query.get("watch") == "true"

    def is_stream_list(self):
        return self.is_watch() and "sendInitialEvents" in self.query

    def is_plain_watch(self):
        return self.is_watch() and not self.is_stream_list()

    def is_list(self):
        return self.method == "GET" and self.name is None and not self.is_watch()

    def is_continued(self):
        return self.is_list() and "continue" in self.query


class Connection:
    """One accepted socket; what it sends may be cut anywhere."""

    def __init__(self, server, sock):
        self.server, self.sock = server, sock
        self.file = sock.makefile("rb")
        self.compressor = None
        self.deaf = False  # half-open: nothing of it is answered any more
        self.lock = threading.Lock()

    def read_request(self):
        first = self.file.readline(65536).decode().split()
        if len(first) != 3:
            return None
        headers = {}
        while True:
            line = self.file.readline(65536).decode().strip()
            if not line:
                break
            name, _, value = line.partition(":")
            headers[name.lower()] = value.strip()
        body = self.file.read(int(headers.get("content-length", 0)))
        return Request(first[0], first[1], headers, body)

    def raw(self, data):
        with self.lock:
            self.sock.sendall(data)

    def answer(self, code, body, headers=None, request=None):
        data = json.dumps(body).encode()
        lines = dict(headers or {})
        if self.server.gzip and request is not None and "gzip" in request.headers.get("accept-encoding", ""):
            data = gzip.compress(data)
            lines["Content-Encoding"] = "gzip"
        lines |= {"Content-Type": "application/json", "Content-Length": str(len(data))}
        head = f"HTTP/1.1 {code} X\r\n" + "".join(f"{k}: {v}\r\n" for k, v in lines.items()) + "\r\n"
        self.raw(head.encode() + data)

    def begin_stream(self, request):
        encoding = ""
        if self.server.gzip and "gzip" in request.headers.get("accept-encoding", ""):
            self.compressor = zlib.compressobj(wbits=31)
            encoding = "Content-Encoding: gzip\r\n"
        self.raw(("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n"
                  + encoding + "\r\n").encode())

    def write(self, data):
        """Bytes of a stream, in the chunks that the server's chunker makes."""
        if self.compressor is not None:
            data = self.compressor.compress(data) + self.compressor.flush(zlib.Z_SYNC_FLUSH)
        for piece in self.server.chunker(data):
            self.raw(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")

    def end_stream(self):
        if self.compressor is not None:
            data = self.compressor.flush()
            self.compressor = None
            self.raw(f"{len(data):x}\r\n".encode() + data + b"\r\n")
        self.raw(b"0\r\n\r\n")

    def reset(self):
        """A broken connection: what was sent arrives, then it is gone."""
        try:
            self.sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass

    def abort(self):
        """The same with a reset, as of a machine that restarted."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        os.close(self.sock.detach())


class Watcher:
    def __init__(self, connection, request):
        self.connection, self.request = connection, request
        self.dead = False


def line_of(kind, obj):
    return (json.dumps({"type": kind, "object": obj}, ensure_ascii=False) + "\n").encode()


class ApiServer:
    def __init__(self, tls=None):
        self.condition = threading.Condition()
        self.objects = {}  # (plural, namespace, name) -> object
        self.log = []  # (version, plural, type, object)
        self.version = 100
        self.compacted = 0
        self.snapshots = {}  # version -> objects, for pages
        self.watchers = []
        self.connections = []
        self.requests = []
        self.rules = []
        self.gzip = False  # also of what a real one leaves alone: small answers, and watches, as a proxy may
        self.chunker = lambda data: [data]
        self.stream_lists = True
        self.end_marks = True
        self.shuffled = False
        self.token = None
        self.connection_limit = None
        self.terminating = set()
        self.frozen = False  # accepts and says nothing
        self.closing = False
        self.context = tls
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    # --- sockets -----------------------------------------------------------------------------

    def accept(self):
        while not self.closing:
            try:
                sock, _ = self.socket.accept()
            except OSError:
                return
            with self.condition:
                full = self.connection_limit is not None and len(self.connections) >= self.connection_limit
            if full:
                sock.close()
                continue
            threading.Thread(target=self.serve_socket, args=(sock,), daemon=True).start()

    def serve_socket(self, sock):
        connection = None
        try:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self.context is not None:
                sock = self.context.wrap_socket(sock, server_side=True)
            connection = Connection(self, sock)
            with self.condition:
                self.connections.append(connection)
            self.serve(connection)
        except (OSError, ssl.SSLError, ValueError):
            pass
        finally:
            with self.condition:
                if connection in self.connections:
                    self.connections.remove(connection)
            try:
                sock.close()
            except OSError:
                pass

    def serve(self, connection):
        while True:
            request = connection.read_request()
            if request is None:
                return
            with self.condition:
                self.requests.append(request)
                self.condition.notify_all()
                rule = next((r for r in self.rules if r.matches(request)), None)
                if rule is not None:
                    self.rules.remove(rule)
            if self.frozen or connection.deaf:
                time.sleep(3600)
            if self.token is not None and request.headers.get("authorization") != f"Bearer {self.token}":
                connection.answer(401, status_object(401, message="Unauthorized"))
                continue
            if rule is not None:
                if rule.action(connection, request) is False:
                    return
                continue
            try:
                self.handle(connection, request)
            except Refusal as refusal:
                connection.answer(refusal.code, refusal.status)

    def close(self):
        self.closing = True
        self.socket.close()
        self.drop_connections()

    def drop_connections(self):
        with self.condition:
            connections = list(self.connections)
        for connection in connections:
            connection.reset()

    # --- faults ------------------------------------------------------------------------------

    def on(self, matches, action, times=1):
        with self.condition:
            self.rules += [Rule(matches, action)] * times

    def refuse(self, matches, code, times=1, reason=None, headers=None, retry_after=None):
        body = status_object(code, reason, "refused by the script", retry_after)
        self.on(matches, lambda connection, request: connection.answer(code, body, headers), times)

    def live_watchers(self):
        with self.condition:
            return [w for w in self.watchers if not w.dead]

    def to_watchers(self, action):
        for watcher in self.live_watchers():
            action(watcher.connection)

    def drop_watches(self):
        """Every watch breaks off, between two events."""
        for watcher in self.live_watchers():
            watcher.dead = True
            watcher.connection.reset()

    def send_error(self, code, reason=None):
        for watcher in self.live_watchers():
            watcher.dead = True
            watcher.connection.write(line_of("ERROR", status_object(code, reason)))

    def bookmark(self, version=None):
        with self.condition:
            if version is None:
                self.version += 1
                version = self.version
        self.to_watchers(lambda c: c.write(self.bookmark_line(version)))
        return str(version)

    @staticmethod
    def bookmark_line(version, end=False):
        metadata = {"resourceVersion": str(version), "creationTimestamp": None}
        if end:
            metadata["annotations"] = {"k8s.io/initial-events-end": "true"}
        return line_of("BOOKMARK", {"kind": "ConfigMap", "apiVersion": "v1", "metadata": metadata})

    def silence(self):
        """Watches stay open and say nothing any more."""
        for watcher in self.live_watchers():
            watcher.dead = True

    def forget_connections(self):
        """As behind a balancer that has lost its table: old connections are dead, and nobody says so."""
        with self.condition:
            for connection in self.connections:
                connection.deaf = True

    def compact(self):
        with self.condition:
            self.compacted = self.version

    # --- objects -----------------------------------------------------------------------------

    def change(self, kind, plural, obj):
        self.version += 1
        obj["metadata"]["resourceVersion"] = str(self.version)
        key = (plural, obj["metadata"].get("namespace"), obj["metadata"]["name"])
        if kind == "DELETED":
            self.objects.pop(key, None)
        else:
            self.objects[key] = obj
        self.log.append((self.version, plural, kind, copy.deepcopy(obj)))
        self.condition.notify_all()
        return obj

    def create(self, plural, obj, namespace=None):
        metadata = obj.setdefault("metadata", {})
        if namespace is not None:
            metadata["namespace"] = namespace
        if (plural, metadata.get("namespace"), metadata["name"]) in self.objects:
            raise Refusal(409, "AlreadyExists", f'{plural} "{metadata["name"]}" already exists')
        if metadata.get("namespace") in self.terminating:
            raise Refusal(403, message="unable to create new content: the namespace is being terminated")
        now = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
        metadata |= {"uid": str(uuid.uuid4()), "creationTimestamp": now,
                     "managedFields": [{"manager": "someone", "operation": "Update"}]}
        return self.change("ADDED", plural, obj)

    def put_map(self, name, value, namespace="n"):
        """Makes or changes a ConfigMap."""
        with self.condition:
            old = self.objects.get(("configmaps", namespace, name))
            if old is None:
                return self.create("configmaps", {"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"name": name},
                                                  "data": {"value": value}}, namespace)
            return self.change("MODIFIED", "configmaps", copy.deepcopy(old) | {"data": {"value": value}})

    def delete_map(self, name, namespace="n"):
        with self.condition:
            self.change("DELETED", "configmaps", copy.deepcopy(self.objects["configmaps", namespace, name]))

    def versions(self, plural="configmaps"):
        """What a store of this kind should hold."""
        with self.condition:
            return {f"{namespace}/{name}" if namespace else name: obj["metadata"]["resourceVersion"]
                    for (kind, namespace, name), obj in self.objects.items() if kind == plural}

    # --- requests ----------------------------------------------------------------------------

    def handle(self, connection, request):
        if request.is_watch():
            self.watch(connection, request)
        elif request.is_list():
            connection.answer(200, self.page(request), request=request)
        else:
            with self.condition:
                code, body = getattr(self, "do_" + request.method.lower())(request)
            connection.answer(code, body, request=request)

    def selected(self, objects, request):
        return [obj for (plural, namespace, _), obj in sorted(objects.items(), key=lambda i: (i[0][1] or "", i[0][2]))
                if plural == request.plural and request.namespace in (None, namespace)]

    def page(self, request):
        with self.condition:
            if "continue" in request.query:
                token = json.loads(base64.b64decode(request.query["continue"]))
                if token["version"] < self.compacted or token["version"] not in self.snapshots:
                    raise Refusal(410, message="The provided continue parameter is too old")
            else:
                token = {"version": self.version, "start": 0}
                self.snapshots[self.version] = dict(self.objects)
            items = self.selected(self.snapshots[token["version"]], request)
        if self.shuffled:
            items.sort(key=lambda o: -int(o["metadata"]["resourceVersion"]))
        end = token["start"] + int(request.query.get("limit", len(items)))
        metadata = {"resourceVersion": str(token["version"])}
        if end < len(items):
            following = json.dumps({"version": token["version"], "start": end}).encode()
            metadata |= {"continue": base64.b64encode(following).decode(), "remainingItemCount": len(items) - end}
        return {"kind": "ConfigMapList", "apiVersion": "v1", "metadata": metadata, "items": items[token["start"]:end]}

    def watch(self, connection, request):
        if request.is_stream_list() and not self.stream_lists:
            raise Refusal(422, message="ListOptions is invalid: sendInitialEvents: Forbidden: sendInitialEvents is "
                                       "forbidden for watch unless the WatchList feature gate is enabled")
        if request.is_stream_list() and request.query.get("resourceVersionMatch") != "NotOlderThan":
            raise Refusal(422, message="ListOptions is invalid: resourceVersionMatch: Forbidden: sendInitialEvents "
                                       "requires setting resourceVersionMatch to NotOlderThan")
        watcher = Watcher(connection, request)
        connection.begin_stream(request)
        with self.condition:
            version = self.version
            initial = self.selected(self.objects, request)
        if request.is_stream_list():
            for obj in initial:
                connection.write(line_of("ADDED", obj))
            if self.end_marks:
                connection.write(self.bookmark_line(version, end=True))
        else:
            version = int(request.query.get("resourceVersion") or version)
            if version < self.compacted:
                connection.write(line_of("ERROR", status_object(410, message="too old resource version")))
                connection.end_stream()
                return
        deadline = time.monotonic() + float(request.query.get("timeoutSeconds", 600))
        with self.condition:
            self.watchers.append(watcher)
            self.condition.notify_all()
        try:
            self.follow(watcher, version, deadline)
        finally:
            with self.condition:
                self.watchers.remove(watcher)
        if not watcher.dead:
            connection.end_stream()
        else:
            while not self.closing and connection.sock.fileno() >= 0:  # silent, or cut: nothing is served on it any more
                time.sleep(0.05)

    def follow(self, watcher, version, deadline):
        position = 0
        request = watcher.request
        while not watcher.dead and time.monotonic() < deadline:
            with self.condition:
                if position == len(self.log):
                    self.condition.wait(0.05)
                events = self.log[position:]
                position = len(self.log)
            for number, plural, kind, obj in events:
                if number <= version or plural != request.plural or watcher.dead:
                    continue
                if request.namespace in (None, obj["metadata"].get("namespace")):
                    watcher.connection.write(line_of(kind, obj))

    def existing(self, request):
        found = self.objects.get((request.plural, request.namespace, request.name))
        if found is None:
            raise Refusal(404, message=f'{request.plural} "{request.name}" not found')
        return found

    @staticmethod
    def check_version(found, wanted):
        if wanted and wanted != found["metadata"]["resourceVersion"]:
            raise Refusal(409, message="the object has been modified; please apply your changes to the latest version")

    def do_get(self, request):
        return 200, self.existing(request)

    def do_post(self, request):
        return 201, self.create(request.plural, json.loads(request.body), request.namespace)

    def do_put(self, request):
        found = self.existing(request)
        fresh = json.loads(request.body)
        self.check_version(found, fresh["metadata"].get("resourceVersion"))
        if request.subresource == "status":
            fresh = copy.deepcopy(found) | {"status": fresh.get("status")}
        fresh["metadata"] = copy.deepcopy(found["metadata"])
        return 200, self.change("MODIFIED", request.plural, fresh)

    def do_patch(self, request):
        patch = json.loads(request.body)
        applied = "apply-patch" in request.headers["content-type"]
        if applied and "fieldManager" not in request.query:
            raise Refusal(422, message="PatchOptions.meta.k8s.io is invalid: fieldManager: Required value")
        if applied and (request.plural, request.namespace, request.name) not in self.objects:
            return 201, self.create(request.plural, patch, request.namespace)
        found = self.existing(request)
        self.check_version(found, patch.get("metadata", {}).pop("resourceVersion", None))
        fresh = merged(copy.deepcopy(found), patch)
        if fresh == found:
            return 200, found
        return 200, self.change("MODIFIED", request.plural, fresh)

    def do_delete(self, request):
        found = self.existing(request)
        wanted = json.loads(request.body or b"{}").get("preconditions", {})
        if wanted.get("uid") not in (None, found["metadata"]["uid"]):
            raise Refusal(409, message="the UID in the precondition does not match the UID in record")
        self.check_version(found, wanted.get("resourceVersion"))
        self.change("DELETED", request.plural, copy.deepcopy(found))
        return 200, {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success"}


def merged(target, patch):
    """RFC 7386."""
    for key, value in patch.items():
        if value is None:
            target.pop(key, None)
        elif isinstance(value, dict):
            target[key] = merged(target[key] if isinstance(target.get(key), dict) else {}, value)
        else:
            target[key] = value
    return target
