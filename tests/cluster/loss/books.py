# SPDX-License-Identifier: Apache-2.0
"""What the engines counted, held against what the ledger says. The counter files are read on the disks of the nodes, which
are folders of this host; each is held open from its first moment, so it counts also when its pod, or its node, is gone."""
import base64
import json
import os
import pathlib
import shutil
import subprocess
import tempfile
import threading
import time

import product

TYPES = ("input_computed", "input_cached", "output", "recomputed")  # what an engine counts
POLL_S = 0.05
SAMPLE_S = 0.25


class Counters:
    PATTERN = "n[0-9]/kubelet/pods/*/volumes/kubernetes.io~empty-dir/data/runs/*.counters"

    def __init__(self, cluster):
        self.folder = cluster.plan.folder
        self.held = {}     # run -> open file
        self.pods = {}     # run -> uid of its pod
        self.samples = []  # when, and totals by run
        self.ended = threading.Event()
        self.look()
        self.thread = threading.Thread(target=self.watch, daemon=True)
        self.thread.start()

    def watch(self):
        sampled = 0
        while not self.ended.wait(POLL_S):
            self.look()
            if time.monotonic() - sampled >= SAMPLE_S:
                sampled = time.monotonic()
                self.samples.append((sampled, self.totals()))

    def look(self):
        for path in self.folder.glob(self.PATTERN):
            run = path.name.split(".")[0]
            if run not in self.held:
                try:
                    self.held[run] = open(path, "rb", buffering=0)
                    self.pods[run] = path.relative_to(self.folder).parts[3]
                except FileNotFoundError:
                    pass

    def totals(self):
        """By run, and in it by type. A file of which only the beginning was made is of a run that computed nothing."""
        files = [f"/proc/{os.getpid()}/fd/{file.fileno()}" for file in list(self.held.values())]
        lines = subprocess.run([str(product.BIN / "spate-count"), "--each", *files], capture_output=True, text=True,
                               check=False).stdout.splitlines()
        return {row["run"]: {t: row[t] for t in TYPES} for row in map(json.loads, lines) if "run" in row}

    def runs_of(self, pod_uid):
        return {run for run, uid in self.pods.items() if uid == pod_uid}

    def in_the_second_before(self, when, run, slack_s):
        """How much a run counted in the second before, and in the time that a look at it may be late by."""
        earlier = [totals[run] for at, totals in self.samples if run in totals and at <= when - 1 - slack_s]
        last = self.totals()[run]
        return {t: last[t] - (earlier[-1][t] if earlier else 0) for t in TYPES}

    def close(self):
        self.ended.set()
        self.thread.join()
        for file in self.held.values():
            file.close()


class Books:
    """The ledger's, asked as one of its gateways would."""

    def __init__(self, release):
        self.release = release
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="spate-loss-"))
        secret = release.kube.get("secret", f"{release.name}-token-key")
        for name, value in secret["data"].items():
            (self.folder / name).write_bytes(base64.b64decode(value))
        (self.folder / "token.key").chmod(0o600)

    def close(self):
        shutil.rmtree(self.folder)

    def token(self, audience, subject="operator/test"):
        result = subprocess.run([str(product.BIN / "spate-token-tool"), "sign", str(self.folder), audience, subject],
                                capture_output=True, text=True, check=True)
        return result.stdout.strip()

    def runs(self):
        """By run what is charged and what is waste, in the engine's types. What is not settled yet is missing."""
        ledger, = self.release.pods("ledger").values()
        status, body = product.request_json(address_of(ledger), "GET", "/internal/v1/runs", token=self.token("ledger"))
        if status != 200:
            raise AssertionError(f"the ledger answers {status}: {body}")
        return {run["run_id"]: by_type(run) for run in body["runs"]}

    def running_on(self, pod):
        """How many requests an agent says that it works on."""
        status, body = product.request_json(address_of(pod), "GET", "/internal/v1/status", token=self.token("agent"))
        if status != 200:
            raise AssertionError(f"the agent answers {status}: {body}")
        return body["running"]

    def missing(self, counters, allowed=None):
        """Runs of which the ledger does not say what the engine counted: run -> (counted, told). Of a run whose disk is
        lost so much may be missing as is allowed, by type; more than was counted is always wrong."""
        told, wrong = self.runs(), {}
        for run, counted in counters.totals().items():
            said = told.get(run, dict.fromkeys(TYPES, 0))
            less = (allowed or {}).get(run, dict.fromkeys(TYPES, 0))
            if any(not 0 <= counted[t] - said[t] <= less[t] for t in TYPES):
                wrong[run] = counted, said
        return wrong

    def wait_exact(self, counters, allowed=None, seconds=90):
        end = time.monotonic() + seconds
        while wrong := self.missing(counters, allowed):
            if time.monotonic() > end:
                raise AssertionError(f"counted, and charged + waste, of runs that differ after {seconds} s: {wrong}")
            time.sleep(0.5)


def by_type(run):
    waste = run["waste"]
    return {"input_computed": run["input"] + waste["input"], "input_cached": run["cached"] + waste["cached"],
            "output": run["visible"] + run["reasoning"] + waste["visible"] + waste["reasoning"],
            "recomputed": waste["recomputed"]}


def address_of(pod):
    return f"{pod['status']['podIP']}:{pod['spec']['containers'][0]['ports'][0]['containerPort']}"
