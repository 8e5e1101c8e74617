# SPDX-License-Identifier: Apache-2.0
"""The client under test as a process: commands in, results out (tool/tool.h)."""
import json
import os
import queue
import signal
import subprocess
import tempfile
import threading
import time

PATIENCE_S = 20


class Tool:
    def __init__(self, **opening):
        self.process = subprocess.Popen([os.environ["KUBE_TOOL"]], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        text=True, bufsize=1)
        self.incoming = queue.Queue()
        self.seen = []
        threading.Thread(target=self.read, daemon=True).start()
        self.do("open", **opening)
        self.opened = self.wait("OPEN")

    def read(self):
        for line in self.process.stdout:
            self.incoming.put(json.loads(line))
        self.incoming.put(None)

    def do(self, command, **arguments):
        self.process.stdin.write(json.dumps({"do": command} | arguments) + "\n")
        self.process.stdin.flush()

    def wait(self, event, seconds=PATIENCE_S, **members):
        """The next event of this name with these members; what comes before it is kept in `seen`."""
        deadline = time.monotonic() + seconds
        while True:
            left = deadline - time.monotonic()
            try:
                found = self.incoming.get(timeout=max(left, 0.001))
            except queue.Empty:
                raise AssertionError(f"no {event} {members} in {seconds} s; saw {self.seen[-20:]}") from None
            if found is None:
                raise AssertionError(f"the tool ended with {self.process.wait()} before {event}; saw {self.seen[-20:]}")
            self.seen.append(found)
            if found["event"] == event and all(found.get(k) == v for k, v in members.items()):
                return found

    def ask(self, command, event, **arguments):
        self.do(command, **arguments)
        return self.wait(event, **({"id": arguments["id"]} if "id" in arguments else {}))

    def watch(self, name="w", resource="v1/configmaps", synced=True, **options):
        self.do("watch", id=name, resource=resource, **options)
        if synced:
            self.wait("SYNCED", id=name)

    def dump(self, name="w"):
        return self.ask("dump", "DUMP", id=name)

    def request(self, verb, resource, **arguments):
        return self.ask("request", "ANSWER", id=f"r{time.monotonic_ns()}", verb=verb, resource=resource, **arguments)

    def wait_store(self, expected, name="w", seconds=PATIENCE_S):
        """Until the store equals what `expected()` gives; returns the dump."""
        deadline = time.monotonic() + seconds
        while True:
            found = self.dump(name)
            if found["synced"] and found["objects"] == expected():
                return found
            if time.monotonic() > deadline:
                raise AssertionError(f"the store is {found}, not {expected()}")
            time.sleep(0.02)

    def changes(self, key):
        return [e["event"] for e in self.seen if e.get("key") == key]

    def stop(self):
        self.process.send_signal(signal.SIGSTOP)

    def go_on(self):
        self.process.send_signal(signal.SIGCONT)

    def quit(self):
        """A proper end; returns the exit status."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.do("quit")
            self.wait("BYE")
        return self.process.wait(PATIENCE_S)

    def end(self):
        """At the end of a test: a proper end, in which a build with sanitizers looks for leaks."""
        status = self.quit() if self.process.poll() is None else 0
        self.process.stdin.close()
        self.process.stdout.close()
        if status != 0:
            raise AssertionError(f"the tool ended with {status}")


def write_kubeconfig(folder, port, **user):
    """For a server without TLS on this machine."""
    path = os.path.join(folder, "config")
    with open(path, "w", encoding="utf-8") as file:
        json.dump({"current-context": "c", "contexts": [{"name": "c", "context": {"cluster": "k", "user": "u"}}],
                   "clusters": [{"name": "k", "cluster": {"server": f"http://127.0.0.1:{port}"}}],
                   "users": [{"name": "u", "user": user}]}, file)
    return path


def temporary_folder(test):
    folder = tempfile.TemporaryDirectory()
    test.addCleanup(folder.cleanup)
    return folder.name
