# SPDX-License-Identifier: Apache-2.0
"""An agent that is stuck for a few seconds: what was sent to it meanwhile goes elsewhere, and nobody can know whether it began there.
That is found out when it moves again, or has been started anew: the requests' bills do not wait for the ledger's settling time."""
import concurrent.futures
import contextlib
import http.client
import json
import os
import signal
import unittest

import rig as rigs
import system as systems
import test_system
import violence

ANSWERS = 8
SETTLE_S = 900  # as it is outside of tests
BILLED_S = 30
ENVELOPE = {"tenant": "acme", "key_id": "k1", "model": "default/brook", "public_model": "brook", "completion_id": "chatcmpl-x", "created": 1,
            "seed": "7", "price_version": 1, "admitted_ms": 1, "cache_salt": 1, "priority": 0, "digest": "", "cached_tokens": -1, "output": []}


class StuckAgent(unittest.TestCase):
    def setUp(self):
        self.system = systems.System(SETTLE_S).__enter__()
        self.failed = True
        self.addCleanup(self.close)
        self.system.apply(test_system.manifest(["brook"], idle=3600, most=2).replace("minReplicas: 0", "minReplicas: 2"))
        self.system.make_keys("acme")
        rigs.wait_for(lambda: '"readyReplicas": 2' in self.system.spate("get", "md", "brook", "-o", "json"), 30, "both pods")
        self.ask(0)

    def close(self):
        self.system.__exit__(AssertionError if self.failed else None)

    def ask(self, number):
        stream = rigs.Stream(self.system.gateway_address(), f"What is {number} + 7?", violence.KEYS["acme"])
        for _ in stream:
            pass
        return stream

    def ask_all(self):
        """Each is answered, though some are sent to the stuck one first."""
        with concurrent.futures.ThreadPoolExecutor(ANSWERS) as pool:
            answers = list(pool.map(self.ask, range(1, ANSWERS + 1)))
        self.assertTrue(all(answer.done for answer in answers), [answer.error for answer in answers])
        self.assertIn("reason=silent", self.system.programs["gateway"].log_path.read_text(), "some were sent to the stuck one")

    def stop_one(self):
        pid = sorted(self.system.agents().values())[0]
        os.kill(pid, signal.SIGSTOP)
        return pid

    def send_signal(self, pid, number):
        """The operator may have been faster: it starts an agent anew that is stuck for some seconds."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)

    def all_billed(self):
        rows = json.loads(self.system.spate("report", "--json"))["rows"]
        return sum(row["requests"] for row in rows) == ANSWERS + 1 and not any(any(row["pending"].values()) for row in rows)

    def test_it_goes_on(self):
        pid = self.stop_one()
        try:
            self.ask_all()
        finally:
            self.send_signal(pid, signal.SIGCONT)
        rigs.wait_for(self.all_billed, BILLED_S, "the bills of all")
        self.failed = False

    def test_it_is_started_anew(self):
        pid = self.stop_one()
        self.ask_all()
        self.send_signal(pid, signal.SIGKILL)
        rigs.wait_for(self.all_billed, BILLED_S, "the bills of all")
        self.failed = False


class Abandoned(unittest.TestCase):
    """What an agent says of an attempt that its gateway gave up."""

    def setUp(self):
        self.rig = rigs.Rig().__enter__()
        self.addCleanup(self.rig.__exit__, None, None, None)
        self.agent = self.rig.agent("pod-a")
        self.addCleanup(self.agent.kill)  # it would wait for somebody who takes its records

    def call(self, path, body):
        return rigs.request_json(self.agent.address, "POST", f"/internal/v1/{path}", body, self.rig.tokens["agent"])

    def send(self, name, max_tokens):
        """An attempt as a gateway sends it: its connection."""
        connection = http.client.HTTPConnection(*self.agent.address.split(":"), timeout=20)
        self.addCleanup(connection.close)
        body = {"spate": ENVELOPE | name, "request": {"model": "default/brook", "max_tokens": max_tokens, "ignore_eos": True,
                                                      "messages": [{"role": "user", "content": "What is 1 + 2?"}]}}
        connection.request("POST", "/v1/chat/completions", json.dumps(body),
                           {"authorization": f"Bearer {self.rig.tokens['agent']}", "content-type": "application/vnd.spate.attempt+json"})
        return connection

    def test_one_that_comes_afterwards_never_begins(self):
        name = {"request_id": "01arz3ndektsv4rrffq69g5fa1", "attempt": 1}
        self.assertEqual(self.call("abandon", name), (200, {}))
        with self.assertRaises(ConnectionError):
            self.send(name, 8).getresponse()
        self.assertEqual(self.call("abandon", name), (200, {}), "asked again")
        other = self.send(name | {"attempt": 2}, 8).getresponse()
        self.assertIn(b"[DONE]", other.read())

    def test_one_that_runs_is_stopped(self):
        name = {"request_id": "01arz3ndektsv4rrffq69g5fa2", "attempt": 1}
        answer = self.send(name, 15000).getresponse()
        answer.readline()
        status, record = self.call("abandon", name)
        self.assertEqual((status, record["attempt"], record["counts_final"], record["ended_by"]), (200, 1, True, "ours"))
        self.assertLess(record["output"], 15000)
        answer.read()
        self.assertEqual(self.call("abandon", name), (200, record), "its record, until that is acknowledged")
        self.assertEqual(self.call("usage/ack", {"attempts": [name]}), (200, {}))
        self.assertEqual(self.call("abandon", name)[0], 404)


if __name__ == "__main__":
    unittest.main()
