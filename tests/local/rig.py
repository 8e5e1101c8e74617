# SPDX-License-Identifier: Apache-2.0
"""Real agents and a real gateway under a scripted control plane.

The operator and the ledger here are stand-ins: they let a test say exactly which pods there are, kill
them at a given token, and see every usage record. What they say is what the real ones say (wire/routes,
wire/load, wire/ingest); the whole system with the real ones runs in the other tests of this folder.
Standard library only.
"""
import hashlib
import http.client
import http.server
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
BIN = pathlib.Path(os.environ.get("SPATE_BIN", ROOT / "build" / "dev" / "bin"))
KEY = "sk-test-acme"
CREDENTIAL = "test-credential"


def wait_for(condition, seconds=20, what="condition"):
    """Polls until the condition returns something true, and returns that."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(0.01)
    raise TimeoutError(f"{what} did not come true within {seconds} s")


class Process:
    """A program of ours with a folder, an address file and a log."""

    def __init__(self, folder, name, arguments):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.name = name
        self.arguments = arguments
        self.address_file = self.folder / f"{name}.address"
        self.log_path = self.folder / f"{name}.log"
        self.process = None

    def start(self):
        self.address_file.unlink(missing_ok=True)
        command = [str(BIN / self.arguments[0]), *self.arguments[1:], "--address-file", str(self.address_file)]
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        wait_for(lambda: self.address_file.exists() or self.process.poll() is not None, what=self.name)
        if self.process.poll() is not None:
            raise RuntimeError(f"{self.name} did not start:\n{self.log_path.read_text()[-2000:]}")
        return self

    @property
    def address(self):
        return self.address_file.read_text().strip()

    @property
    def port(self):
        return int(self.address.rsplit(":", 1)[1])

    def kill(self):
        """kill -9, and gone when this returns."""
        self.process.kill()
        self.process.wait()

    def freeze(self):
        os.kill(self.process.pid, signal.SIGSTOP)

    def stop(self, seconds=20):
        if self.process is None or self.process.poll() is not None:
            return
        os.kill(self.process.pid, signal.SIGCONT)
        self.process.terminate()
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()


class Agent(Process):
    def __init__(self, rig, name, model="models/brook", served="default/brook", slots=4, extra=()):
        folder = rig.folder / name
        super().__init__(folder, "agent", [
            "spate-agent", "--model", str(ROOT / model), "--listen", "127.0.0.1:0", "--data", str(folder / "data"),
            "--token-public-key", str(rig.folder / "token.pub"), "--pod-name", name, "--served-model", served,
            "--slots", str(slots), "--threads", "1", *extra])
        self.pod_name = name
        self.slots = slots
        self.generation = 0

    def start(self):
        self.generation += 1
        super().start()
        wait_for(self.is_ready, what=f"{self.pod_name} ready")
        return self

    def is_ready(self):
        return request_json(self.address, "GET", "/health")[0] == 200

    def status(self, token):
        return request_json(self.address, "GET", "/internal/v1/status", token=token)[1]

    def counters(self):
        """Totals of every run of this pod, by run id."""
        files = sorted((self.folder / "data" / "runs").glob("*.*"))
        command = [str(BIN / "spate-count"), "--each", *map(str, files)]
        lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
        return {run["run"]: run for run in map(json.loads, lines) if "run" in run}


def agent_of_altered_model(test, files):
    """A started agent by itself, over the shipped model ("m") with other files: name -> text. Ends with the test."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="spate-altered-"))
    test.addCleanup(shutil.rmtree, folder, ignore_errors=True)
    shutil.copytree(ROOT / "models" / "brook", folder / "model")
    for name, text in files.items():
        (folder / "model" / name).write_text(text)
    agent = Process(folder, "agent", ["spate-agent", "--model", str(folder / "model"), "--served-model", "m",
                                      "--listen", "127.0.0.1:0", "--data", str(folder / "data")])
    agent.start()
    test.addCleanup(agent.stop)
    wait_for(lambda: request_json(agent.address, "GET", "/health")[0] == 200, what="the agent")
    return agent


def request_json(address, method, path, body=None, token=None, timeout=10):
    host, port = address.rsplit(":", 1)
    connection = http.client.HTTPConnection(host, int(port), timeout=timeout)
    headers = {"authorization": f"Bearer {token}"} if token else {}
    try:
        connection.request(method, path, None if body is None else json.dumps(body), headers)
        response = connection.getresponse()
        text = response.read()
        return response.status, json.loads(text) if text else None
    finally:
        connection.close()


class ControlPlane:
    """A scripted operator and ledger on one port."""

    def __init__(self, rig):
        self.rig = rig
        self.condition = threading.Condition()
        self.counter = 0
        self.models = {}
        self.leavers = []
        self.tenants = [tenant("acme", KEY)]
        self.acknowledged = ""
        self.loads = []
        self.records = []
        self.ledger_down = False
        handler = type("Handler", (Handler,), {"plane": self})
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"

    def publish(self, models=None):
        with self.condition:
            if models is not None:
                self.models = models
            self.counter += 1
            self.condition.notify_all()
            return self.version()

    def version(self):
        return f"testplane:1:{self.counter}"

    def snapshot(self):
        return {"version": self.version(), "tenants": self.tenants, "leavers": self.leavers,
                "models": [model_route(name, pods) for name, pods in self.models.items()]}

    def publish_and_wait(self, models=None):
        version = self.publish(models)
        wait_for(lambda: self.acknowledged == version, what=f"acknowledgement of {version}")


def tenant(name, key, rpm=0, concurrency=0, models=()):
    return {"name": name, "priority": 0, "requests_per_minute": rpm, "concurrency": concurrency, "price_version": 1,
            "namespaces": ["default"], "models": list(models),
            "keys": [{"id": f"{name}-key", "sha256": hashlib.sha256(key.encode()).hexdigest()}]}


def model_route(name, pods):
    return {"name": name, "short_name": name.split("/")[1], "created": 1700000000, "context_max": 0, "can_wake": True,
            "hold_reason": "", "pods": pods}


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    plane = None

    def log_message(self, *arguments):
        pass

    def answer(self, status, body):
        data = b"" if body is None else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def body(self):
        return json.loads(self.rfile.read(int(self.headers.get("content-length", 0))) or b"null")

    def do_GET(self):
        plane = self.plane
        have = self.path.split("have=")[1].split("&")[0] if "have=" in self.path else ""
        with plane.condition:
            if have:
                plane.acknowledged = have
            if have == plane.version():
                plane.condition.wait_for(lambda: have != plane.version(), 5)
            snapshot = plane.snapshot() if have != plane.version() else None
        try:
            self.answer(200 if snapshot else 204, snapshot)
        except OSError:
            pass

    def do_POST(self):
        plane = self.plane
        body = self.body()
        if self.path == "/internal/v1/token":
            self.answer(200, {"tokens": plane.rig.tokens})
        elif self.path == "/internal/v1/load":
            plane.loads.append(body)
            self.answer(200, {})
        elif plane.ledger_down:
            self.answer(503, {})
        else:
            plane.records.extend(body["records"])
            self.answer(200, {"results": ["ok"] * len(body["records"])})


def hang_up(end):
    """Closes a socket that another thread may be reading: close alone would wait for that thread."""
    try:
        end.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass
    end.close()


class Trigger:
    """Pulled once, by the first cutter that sees the position pass."""

    def __init__(self):
        self.lock = threading.Lock()
        self.position = None
        self.kills = 0

    def arm(self, position):
        with self.lock:
            self.position = position

    def mark(self):
        with self.lock:
            return None if self.position is None else b'"p":%d,' % self.position

    def pull(self):
        """False if another cutter was first: a starved pod may still be at it when its successor is."""
        with self.lock:
            armed = self.position is not None
            self.position = None
            self.kills += armed
            return armed


class Poison(Trigger):
    """While it is on, each attempt ends right after it began, as one does that needs more memory than there is."""

    def __init__(self):
        super().__init__()
        self.on = False

    def mark(self):
        return b'"start":{' if self.on else None

    def pull(self):
        with self.lock:
            self.kills += self.on
            return self.on


class Cutter:
    """A TCP proxy before an agent that kills the agent right after a given token position passed: the byte
    after the event's end never arrives. Its own address stays, so the routes need not change."""

    def __init__(self, agent, trigger):
        self.agent = agent
        self.trigger = trigger
        self.starting = threading.Lock()
        self.server = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self.server.getsockname()[1]}"
        threading.Thread(target=self.accept, daemon=True).start()

    def close(self):
        self.server.close()

    def accept(self):
        while True:
            try:
                client, _ = self.server.accept()
            except OSError:
                return  # closed
            threading.Thread(target=self.serve, args=(client,), daemon=True).start()

    def serve(self, client):
        with self.starting:
            host, port = self.agent.address.rsplit(":", 1)
        try:
            upstream = socket.create_connection((host, int(port)))
        except OSError:
            client.close()
            return
        threading.Thread(target=self.pump, args=(client, upstream), daemon=True).start()
        self.pump_down(upstream, client)

    def pump(self, source, sink):
        try:
            while data := source.recv(65536):
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def pump_down(self, upstream, client):
        seen = b""
        try:
            while data := upstream.recv(65536):
                mark = self.trigger.mark()
                seen = (seen + data)[-131072:]
                if mark and mark in seen and self.trigger.pull():
                    self.cut(seen, data, mark, client)
                    break
                client.sendall(data)
        except OSError:
            pass
        for end in (upstream, client):
            hang_up(end)

    def cut(self, seen, data, mark, client):
        """Passes the bytes up to the end of the marked event, kills, and starts the agent again."""
        end = seen.index(b"\n\n", seen.index(mark)) + 2 if b"\n\n" in seen[seen.index(mark):] else len(seen)
        try:
            client.sendall(data[: max(0, end - (len(seen) - len(data)))])
        except OSError:
            pass  # the gateway has given this pod up already
        with self.starting:
            self.agent.kill()
            hang_up(client)
            self.agent.start()


class Rig:
    """Agents by name, one gateway, one control plane; a context manager that ends all of it."""

    def __init__(self, gateway_options=()):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="spate-rig-"))
        self.agents = {}
        self.gateway_options = gateway_options

    def __enter__(self):
        subprocess.run([str(BIN / "spate-token-tool"), "make", str(self.folder)], check=True)
        self.tokens = {audience: self.sign(audience) for audience in ("agent", "ledger", "operator")}
        (self.folder / "credential").write_text(CREDENTIAL)
        self.plane = ControlPlane(self)
        self.gateway = Process(self.folder / "gw", "gateway", [
            "spate-gateway", "--state", str(self.folder / "gw" / "state"), "--operator", self.plane.url, "--ledger",
            self.plane.url, "--credential-file", str(self.folder / "credential"), "--listen", "127.0.0.1:0",
            *self.gateway_options])
        self.gateway.start()
        return self

    def __exit__(self, *exception):
        for process in [*self.agents.values(), self.gateway]:
            process.stop()
        self.plane.server.shutdown()
        self.plane.server.server_close()
        if exception[0] is None:
            shutil.rmtree(self.folder, ignore_errors=True)
        else:
            print(f"logs are kept in {self.folder}")

    def sign(self, audience):
        result = subprocess.run([str(BIN / "spate-token-tool"), "sign", str(self.folder), audience, "gateway/test"],
                                capture_output=True, text=True, check=True)
        return result.stdout.strip()

    def agent(self, name, **options):
        self.agents[name] = Agent(self, name, **options).start()
        return self.agents[name]

    def pod(self, name, draining=False, address=None):
        agent = self.agents[name]
        digest = agent.status(self.tokens["agent"])["digest"]
        return {"name": name, "uid": f"{name}-uid", "address": address or agent.address, "draining": draining,
                "slots": agent.slots, "digest": digest}

    def route(self, *names, model="default/brook"):
        self.plane.publish_and_wait({model: [self.pod(name) for name in names]})

    def chat(self, content="What is 345 + 678?", key=KEY, **options):
        return Stream(self.gateway.address, content, key, options)


class Stream:
    """A streamed chat: iterates over chunks; gathers ids, text, finish reason and usage."""

    def __init__(self, address, content, key=KEY, options=None):
        options = dict(options or {})
        body = {"model": "brook", "stream": True, "temperature": 0, "return_token_ids": True,
                "stream_options": {"include_usage": True}, "messages": [{"role": "user", "content": content}], **options}
        host, port = address.rsplit(":", 1)
        self.connection = http.client.HTTPConnection(host, int(port), timeout=60)
        self.connection.request("POST", "/v1/chat/completions", json.dumps(body), {"authorization": f"Bearer {key}"})
        self.response = self.connection.getresponse()
        self.ids, self.content, self.reasoning = [], "", ""
        self.finish = self.usage = self.error = self.id = None
        self.done = False
        if self.response.status != 200:
            self.error = json.loads(self.response.read())["error"]
        elif not body["stream"]:
            self.take_whole(json.loads(self.response.read()))

    def __iter__(self):
        if self.error:
            return
        for line in self.response:
            if not line.startswith(b"data: "):
                continue
            data = line[6:].strip()
            if data == b"[DONE]":
                self.done = True
                continue
            chunk = json.loads(data)
            self.take(chunk)
            yield chunk

    def take_whole(self, answer):
        choice = answer["choices"][0]
        self.done = True
        self.ids = choice.get("token_ids") or []
        self.content = choice["message"]["content"]
        self.reasoning = choice["message"].get("reasoning_content", "")
        self.finish, self.usage, self.id = choice["finish_reason"], answer["usage"], answer["id"]

    def take(self, chunk):
        self.error = chunk.get("error", self.error)
        if chunk.get("usage"):
            self.usage = chunk["usage"]
        if "id" in chunk:
            assert self.id in (None, chunk["id"]), "a stream has one id"
            self.id = chunk["id"]
        for choice in chunk.get("choices", ()):
            self.ids += choice.get("token_ids") or []
            self.content += choice["delta"].get("content") or ""
            self.reasoning += choice["delta"].get("reasoning_content") or ""
            self.finish = choice["finish_reason"] or self.finish

    def run(self):
        for _ in self:
            pass
        return self

    def close(self):
        """Leaves in mid-answer: shuts the socket, so that the server sees it at once."""
        self.response.close()
        self.connection.close()

    __del__ = close

    def result(self):
        return {"ids": self.ids, "content": self.content, "reasoning": self.reasoning, "finish": self.finish,
                "usage": self.usage, "done": self.done, "error": self.error}
