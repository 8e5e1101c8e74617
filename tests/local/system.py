# SPDX-License-Identifier: Apache-2.0
"""The whole of Spate on this machine for a test: the real operator, ledger and gateway on one state folder, as
`spate up` starts them, but watched over from here, so that the test can kill each at any time and have it back
at once, and with the settling time of a test. Standard library only."""
import collections
import json
import os
import pathlib
import shutil
import signal
import sqlite3
import subprocess
import tempfile
import threading
import time

import charging
import rig as rigs
import violence

SETTLE_S = 5


class CounterFiles:
    """Finds the counter files of all pods as they come and holds them open: pods are deleted, folders and all."""

    def __init__(self, state):
        self.pods = state / "pods"
        self.held = {}
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self.watch, daemon=True)
        self.thread.start()

    def watch(self):
        while not self.ended.wait(0.01):
            self.look()

    def look(self):
        for path in self.pods.glob("*/data/runs/*.counters"):
            run = path.name.split(".")[0]
            if run not in self.held:
                try:
                    self.held[run] = open(path, "rb", buffering=0)
                except FileNotFoundError:
                    pass

    def totals(self):
        self.look()
        return violence.read_counters([f"/proc/{os.getpid()}/fd/{file.fileno()}" for file in self.held.values()])

    def close(self):
        self.ended.set()
        self.thread.join()
        for file in self.held.values():
            file.close()


class System:
    def __init__(self, settle_s=SETTLE_S):
        self.settle_s = settle_s
        self.state = pathlib.Path(tempfile.mkdtemp(prefix="spate-system-"))
        self.programs = {}
        self.kills = collections.Counter()
        self.counters = CounterFiles(self.state)

    def __enter__(self):
        print(f"seed {violence.SEED}: repeat with SPATE_SEED={violence.SEED}", flush=True)
        (self.state / "gateway").mkdir()
        (self.state / "ledger").mkdir()
        self.start("operator", "--platform", "local", "--state", self.state, "--agent-binary", rigs.BIN / "spate-agent",
                   "--ledger-address-file", self.state / "ledger.address")
        self.start("ledger", "--db", self.state / "ledger" / "ledger.db", "--token-public-key", self.state / "token.pub",
                   "--settle-time", f"{self.settle_s}s")
        self.start("gateway", "--state", self.state / "gateway", "--operator", self.url("operator"), "--ledger",
                   self.url("ledger"), "--credential-file", self.state / "gateway-secret", "--name", "gateway-0",
                   "--collect-after", "1s")
        endpoints = {name: self.url(name) for name in self.programs}
        (self.state / "endpoints.json").write_text(json.dumps(endpoints))
        return self

    def __exit__(self, *exception):
        for name in ("gateway", "operator", "ledger"):
            if name in self.programs:
                self.programs[name].stop()
        for pid in self.agents().values():
            os.kill(pid, signal.SIGKILL)
        self.counters.close()
        if exception[0] is None:
            shutil.rmtree(self.state, ignore_errors=True)
        else:
            print(f"logs and state are kept in {self.state}")

    def start(self, name, *arguments):
        """The first start; from the next one on at the same address, as `spate up` does it."""
        program = rigs.Process(self.state, name, [f"spate-{name}", *map(str, arguments), "--listen", "127.0.0.1:0"])
        self.programs[name] = program.start()
        program.arguments[-1] = program.address

    def url(self, name):
        return f"http://{self.programs[name].address}"

    def gateway_address(self):
        return self.programs["gateway"].arguments[-1]

    def spate(self, *arguments, check=True):
        environment = {**os.environ, "SPATE_STATE": str(self.state)}
        result = subprocess.run([str(rigs.BIN / "spate"), *map(str, arguments)], env=environment, text=True,
                                capture_output=True)
        if check and result.returncode != 0:
            raise RuntimeError(f"spate {arguments}: {result.stderr}")
        return result.stdout

    def apply(self, text):
        manifest = self.state / "manifest.yaml"
        manifest.write_text(text)
        self.spate("apply", "-f", manifest)

    def make_keys(self, *tenants):
        for tenant in tenants:
            violence.KEYS[tenant] = self.spate("tenant", "key", "create", tenant).strip()
        for tenant in tenants:
            rigs.wait_for(lambda t=tenant: rigs.request_json(self.gateway_address(), "GET", "/v1/models",
                                                             token=violence.KEYS[t])[0] == 200, what="the new key")

    def agents(self):
        """Pids of the pods' processes, by the folder of the pod."""
        found = {}
        for entry in pathlib.Path("/proc").iterdir():
            try:
                words = (entry / "cmdline").read_bytes().split(b"\0")
                state = (entry / "stat").read_text().rsplit(")", 1)[1].split()[0]
            except (OSError, IndexError):
                continue
            if words[0].endswith(b"/spate-agent") and bytes(self.state) in b"\0".join(words) and state != "Z":
                found[words[words.index(b"--data") + 1].decode()] = int(entry.name)
        return found

    def kill_agent(self, rng):
        agents = self.agents()
        if agents:
            try:
                os.kill(agents[rng.choice(sorted(agents))], signal.SIGKILL)
                self.kills["agent"] += 1
            except ProcessLookupError:
                pass

    def kill(self, name, rng):
        """kill -9, sometimes again while it starts; then it is started until it is there."""
        program = self.programs[name]
        if program.process.poll() is not None:
            raise RuntimeError(f"the {name} ended by itself: {program.process.returncode}\n"
                               + program.log_path.read_text()[-1500:])
        program.kill()
        self.kills[name] += 1
        while rng.random() < 0.3:
            violence.spawn(program)
            time.sleep(rng.random() * 0.05)
            program.kill()
            self.kills[name] += 1
        program.start()

    def ledger_token(self):
        result = subprocess.run([str(rigs.BIN / "spate-token-tool"), "sign", str(self.state), "ledger", "operator/test"],
                                capture_output=True, text=True, check=True)
        return result.stdout.strip()

    def runs(self):
        """What the ledger says of each run, by type: charged, waste, and what is not settled yet."""
        address = self.programs["ledger"].address
        status, body = rigs.request_json(address, "GET", "/internal/v1/runs", token=self.ledger_token())
        if status != 200:
            raise RuntimeError(f"the ledger answered {status}: {body}")
        return {run["run_id"]: run for run in body["runs"]}

    def charges(self):
        """The charged positions of each request, [from, to) of each attempt, out of the ledger's own rows."""
        database = sqlite3.connect(f"file:{self.state}/ledger/ledger.db?mode=ro", uri=True)
        rows = database.execute("SELECT request_id, attempt, revision, position_from, position_to, account.tenant FROM charge"
                                " JOIN account ON account.id = charge.account ORDER BY request_id, attempt, revision")
        last = {(id_text(row[0]), row[1]): (row[3], row[4], row[5]) for row in rows}
        database.close()
        requests = collections.defaultdict(list)
        for (request, _), charge in last.items():
            requests[request].append(charge)
        return requests


def id_text(blob):
    """128 bits in the 26 characters of Crockford's base 32, as base/id writes them."""
    digits = "0123456789abcdefghjkmnpqrstvwxyz"
    number = int.from_bytes(blob, "big")
    return "".join(digits[number >> 5 * i & 31] for i in reversed(range(26)))


def told_by_type(run):
    """The ledger's words for the engine's types; what is not settled counts as missing."""
    waste = run["waste"]
    return {"input_computed": run["input"] + waste["input"], "input_cached": run["cached"] + waste["cached"],
            "output": run["visible"] + run["reasoning"] + waste["visible"] + waste["reasoning"],
            "recomputed": waste["recomputed"]}


def counted(total):
    return {t: total[t] for t in charging.TYPES}
