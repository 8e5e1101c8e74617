# SPDX-License-Identifier: Apache-2.0
"""Broken command lines of every program: one line each, which says what is wrong, where, and the cure; and nothing is
started."""
import json
import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import time
import unittest

import rig as rigs

MODEL = str(rigs.ROOT / "models" / "brook")
AGENT = str(rigs.BIN / "spate-agent")
TIME = "expected a time such as 250ms, 15s, 5m or 2h"
ADDRESS = "expected an address such as 127.0.0.1:8000"
URL = "expected a URL such as http://127.0.0.1:8000"
URLS = ["--operator", "http://127.0.0.1:1", "--ledger", "http://127.0.0.1:1"]
GATEWAY = ["--state", "state", "--credential-file", "secret", *URLS]
OPERATOR = ["--state", "state", "--agent-binary", AGENT]
LEDGER = ["--db", "ledger.db", "--token-public-key", "key"]

# Program, arguments, the line after "PROGRAM: ", and the exit status where it is not 2 (wrong usage).
CASES = [
    ("spate-agent", [], "--model is required: see spate-agent --help"),
    ("spate-agent", ["--model"], "--model: a value is missing: write --model PATH"),
    ("spate-agent", ["--modle", "x"], "unknown option --modle: did you mean --model?"),
    ("spate-agent", ["-x"], "unknown option -x: see spate-agent --help"),
    ("spate-agent", ["--model", MODEL, "more"],
     "unexpected argument more: usage: spate-agent --model PATH [options]"),
    ("spate-agent", ["--model", "/nonexistent"],
     "--model /nonexistent: give a Hugging Face folder or a .gguf file: No such file or directory"),
    ("spate-agent", ["--model", MODEL, "--slots", "0"], "--slots 0: must be from 1 to 1024"),
    ("spate-agent", ["--model", MODEL, "--slots", "many"], "--slots many: expected a whole number"),
    ("spate-agent", ["--model", MODEL, "--isa", "sse"], "--isa sse: expected one of auto, scalar, avx2"),
    ("spate-agent", ["--model", MODEL, "--listen", "here"], f"--listen here: {ADDRESS}"),
    ("spate-agent", ["--model", MODEL, "--listen", "127.0.0.1:65536"], f"--listen 127.0.0.1:65536: {ADDRESS}"),
    ("spate-agent", ["--model", MODEL, "--prefix-reuse=maybe"],
     "--prefix-reuse maybe: expected no value, true or false"),
    ("spate-agent", ["--model", MODEL, "--token-public-key", "key"],
     "--token-public-key needs --data: usage must be kept durably"),
    ("spate-agent", ["--model", MODEL, "--log-level", "loud"],
     "--log-level loud: expected one of debug, info, warn, error"),

    ("spate-gateway", [], "--state is required: see spate-gateway --help"),
    ("spate-gateway", ["--state", "state", *URLS], "--credential-file is required: see spate-gateway --help"),
    ("spate-gateway", ["--state"], "--state: a value is missing: write --state FOLDER"),
    ("spate-gateway", [*GATEWAY, "--leger", "x"], "unknown option --leger: did you mean --ledger?"),
    ("spate-gateway", [*GATEWAY, "word"],
     "unexpected argument word: usage: spate-gateway --state FOLDER --operator URL --credential-file FILE "
     "--ledger URL [options]"),
    ("spate-gateway", [*GATEWAY, "--name", "Bad_Name"],
     "--name Bad_Name: expected a DNS label: a-z, 0-9 and '-'"),
    ("spate-gateway", [*GATEWAY, "--drain", "10"], f"--drain 10: {TIME}"),
    ("spate-gateway", [*GATEWAY, "--drain", "2d"], "--drain 2d: must be from 0 to 3600000 ms"),
    ("spate-gateway", [*GATEWAY, "--collect-after", "-1s"], f"--collect-after -1s: {TIME}"),
    ("spate-gateway", [*GATEWAY, "--usage-log-bytes", "1"], "--usage-log-bytes 1: must be at least 32768 bytes"),
    ("spate-gateway", [*GATEWAY, "--usage-log-bytes", "big"],
     "--usage-log-bytes big: expected a size such as 4096, 64Ki, 32Mi or 1Gi"),
    ("spate-gateway", [*GATEWAY, "--listen", "8080"], f"--listen 8080: {ADDRESS}"),
    ("spate-gateway", [*GATEWAY, "--operator", "ftp://x"], f"--operator ftp://x: {URL}"),
    ("spate-gateway", [*GATEWAY, "--ledger", "127.0.0.1:1"], f"--ledger 127.0.0.1:1: {URL}"),
    ("spate-gateway", [*GATEWAY, "--log-format", "xml"], "--log-format xml: expected one of text, json"),

    ("spate-operator", [], "--state is required: see spate-operator --help"),
    ("spate-operator", ["--state", "state"], "--agent-binary is required: see spate-operator --help"),
    ("spate-operator", ["--stat", "state"], "unknown option --stat: did you mean --state?"),
    ("spate-operator", ["-s", "state"], "unknown option -s: see spate-operator --help"),
    ("spate-operator", [*OPERATOR, "now"], "unexpected argument now: usage: spate-operator [options]"),
    ("spate-operator", ["--state", "state", "--agent-binary", "/nonexistent"],
     "--agent-binary /nonexistent: no such program: give the path of spate-agent", 1),
    ("spate-operator", ["--state", "state", "--agent-binary", MODEL + "/config.json"],
     f"--agent-binary {MODEL}/config.json: no such program: give the path of spate-agent", 1),
    ("spate-operator", [*OPERATOR, "--platform", "mars"], "--platform mars: expected one of local, kube"),
    ("spate-operator", [*OPERATOR, "--agent-image", "agent:1"],
     "--agent-image is of platform kube: leave it out, or set --platform kube"),
    ("spate-operator", [*OPERATOR, "--release", "mine"],
     "--release is of platform kube: leave it out, or set --platform kube"),
    ("spate-operator", ["--platform", "kube"], "--agent-image is required: see spate-operator --help"),
    ("spate-operator", ["--platform", "kube", "--agent-image", "agent:1", "--listen", "0.0.0.0:7001"],
     "--listen 0.0.0.0:7001: other operators can't reach that: set --advertise too"),
    ("spate-operator", ["--platform", "kube", "--agent-image", "agent:1", "--agent-pull-secret", "registry"],
     "--agent-pull-secret registry: its name must begin with spate-"),
    ("spate-operator", ["--platform", "kube", "--agent-image", "agent:1", "--agent-pull-secret", "spate-Registry"],
     "--agent-pull-secret spate-Registry: its name must begin with spate-"),
    ("spate-operator", [*OPERATOR, "--listen", "x:y"], f"--listen x:y: {ADDRESS}"),
    ("spate-operator", [*OPERATOR, "--ledger", "nonsense"], f"--ledger nonsense: {URL}"),
    ("spate-operator", [*OPERATOR, "--ledger-address-file"],
     "--ledger-address-file: a value is missing: write --ledger-address-file FILE"),
    ("spate-operator", [*OPERATOR, "--log-level="], "--log-level : expected one of debug, info, warn, error"),

    ("spate-ledger", [], "--db is required: see spate-ledger --help"),
    ("spate-ledger", ["--db"], "--db: a value is missing: write --db PATH"),
    ("spate-ledger", ["--db", "ledger.db"],
     "--token-public-key is missing; give the operator's public key file", 1),
    ("spate-ledger", ["--db", "/nonexistent/x.db", "--verify"],
     "--db /nonexistent/x.db: its folder must be there and writable: No such file or directory", 1),
    ("spate-ledger", ["--db", "/", "--verify"], "--db /: it is no file: name the ledger's file", 1),
    ("spate-ledger", [*LEDGER, "--settle-time", "0s"], "--settle-time 0s: must be from 1 to 604800000 ms"),
    ("spate-ledger", [*LEDGER, "--settle-time", "soon"], f"--settle-time soon: {TIME}"),
    ("spate-ledger", [*LEDGER, "--verify=maybe"], "--verify maybe: expected no value, true or false"),
    ("spate-ledger", [*LEDGER, "--verfy"], "unknown option --verfy: did you mean --verify?"),
    ("spate-ledger", [*LEDGER, "-v"], "unknown option -v: see spate-ledger --help"),
    ("spate-ledger", [*LEDGER, "other.db"],
     "unexpected argument other.db: usage: spate-ledger --db PATH --token-public-key FILE [options]"),
    ("spate-ledger", [*LEDGER, "--listen", "127.0.0.1"], f"--listen 127.0.0.1: {ADDRESS}"),
    ("spate-ledger", [*LEDGER, "--log-format", "yaml"], "--log-format yaml: expected one of text, json"),

    ("spate", ["aply"], 'unknown command "aply"; did you mean apply?'),
    ("spate", ["frobnicate"], 'unknown command "frobnicate"; `spate help` lists them'),
    ("spate get", [], "an argument is missing: usage: spate get [options] KIND [NAME...]"),
    ("spate get", ["md", "-o", "xml"], "--output xml: expected one of table, wide, json, yaml, name"),
    ("spate get", ["md", "-o"], "--output: a value is missing: write --output FORMAT"),
    ("spate get", ["md", "--wach"], "unknown option --wach: did you mean --watch?"),
    ("spate run", [], "an argument is missing: usage: spate run [options] MODEL [PROMPT]"),
    ("spate run", ["brook", "--max-tokens", "many"], "--max-tokens many: expected a whole number"),
    ("spate run", ["brook", "--temperature", "hot"], "--temperature hot: expected a number"),
    ("spate run", ["brook", "--gateway", "127.0.0.1:8080"], f"--gateway 127.0.0.1:8080: {URL}"),
    ("spate run", ["brook", "hi", "there"],
     "unexpected argument there: usage: spate run [options] MODEL [PROMPT]"),
    ("spate apply", ["file.yaml"], "unexpected argument file.yaml: usage: spate apply -f FILE [options]"),
    ("spate report", ["-o", "pdf"], "--output pdf: expected one of table, csv, json"),
    ("spate tenant create", ["a", "--priority", "9999"], "--priority 9999: must be from -1000 to 1000"),
    ("spate up", ["--gateway-listen", "somewhere"], f"--gateway-listen somewhere: {ADDRESS}"),
    ("spate logs", ["pod", "--tail", "-3"], "--tail -3: must be from 0 to 1000000"),
    ("spate doctor", ["--jsn"], "unknown option --jsn: did you mean --json?"),
]


class Flags(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="spate-flags-"))
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        self.environment = {**os.environ, "SPATE_STATE": str(self.folder / "none")}

    def run_program(self, words):
        return subprocess.run([str(rigs.BIN / words[0]), *words[1:]], cwd=self.folder, env=self.environment,
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=20)

    def test_each_mistake_has_its_line(self):
        for name, arguments, line, *status in CASES:
            with self.subTest(program=name, arguments=arguments):
                done = self.run_program([*name.split(), *arguments])
                self.assertEqual(done.stderr, f"{name}: {line}\n")
                self.assertEqual(done.stdout, "")
                self.assertEqual(done.returncode, *(status or [2]))
        self.assertEqual(list(self.folder.iterdir()), [], "nothing was made")

    def test_every_program_has_at_least_ten(self):
        programs = [name.split()[0] for name, *_ in CASES]
        for program in ("spate", "spate-agent", "spate-gateway", "spate-operator", "spate-ledger"):
            self.assertGreaterEqual(programs.count(program), 10, program)

    def test_a_signal_ends_an_operator_that_still_waits(self):
        """For an API server that does not answer."""
        config = self.folder / "kubeconfig"
        config.write_text(json.dumps({
            "apiVersion": "v1", "kind": "Config", "current-context": "c",
            "clusters": [{"name": "c", "cluster": {"server": "https://127.0.0.1:1"}}],
            "users": [{"name": "u", "user": {"token": "secret"}}],
            "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u", "namespace": "n"}}]}))
        operator = subprocess.Popen(
            [str(rigs.BIN / "spate-operator"), "--platform", "kube", "--agent-image", "agent:1", "--kubeconfig",
             str(config)], cwd=self.folder, stderr=subprocess.PIPE, text=True)
        self.addCleanup(operator.kill)
        time.sleep(1)
        self.assertIsNone(operator.poll(), "it waits")
        operator.terminate()
        self.assertEqual(operator.wait(10), 0)
        operator.stderr.close()

    def test_what_only_starting_can_tell(self):
        """Faults that a program finds when it starts are one line of its log."""
        for words, line in [
            (["spate-agent", "--model", MODEL, "--listen", "0.0.0.0:0"],
             'cannot start error="refusing to listen on 0.0.0.0:0 without keys: give --token-public-key, or listen on '
             '127.0.0.1"'),
            (["spate-agent", "--model", MODEL, "--listen", "127.0.0.1:0", "--address-file", "/nonexistent/a"],
             'cannot start error="--address-file /nonexistent/a: cannot create /nonexistent/a.PID.tmp: No such file or '
             'directory"'),
            (["spate-gateway", "--state", "/proc/none", "--credential-file", "secret", *URLS],
             'cannot start error="cannot make folder /proc/none: No such file or directory"'),
        ]:
            with self.subTest(words=words):
                done = self.run_program(words)
                said = re.sub(r"\.\d+\.tmp", ".PID.tmp", done.stderr)
                self.assertEqual(said.partition(": ")[2], line + "\n")
                self.assertEqual(done.returncode, 1)


if __name__ == "__main__":
    unittest.main()
