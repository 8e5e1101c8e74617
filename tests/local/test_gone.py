# SPDX-License-Identifier: Apache-2.0
"""Agents that hang without dying: one whose engine thread alone is stuck (its heartbeats go on, its steps do not),
one that is frozen whole. Both count as gone, the client sees one undisturbed answer, and when they come to
again, what they still compute is waste, not anybody's bill."""
import ctypes
import os
import pathlib
import threading
import unittest

import rig as rigs
import violence

PTRACE_SEIZE, PTRACE_INTERRUPT, PTRACE_DETACH = 0x4206, 0x4207, 17
WALL = 0x40000000
libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
libc.ptrace.restype = ctypes.c_long


def engine_thread(pid):
    """The thread that the agent named so (agent/runner.c)."""
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        if (task / "comm").read_text().strip() == "engine":
            return int(task.name)
    raise LookupError(f"process {pid} has no thread named engine")


class StoppedThread:
    """Holds one thread of a child process; all others run on. ptrace belongs to the thread that calls it, so
    stopping and letting go must be called by the same one."""

    def __init__(self, pid):
        self.tid = engine_thread(pid)
        self.call(PTRACE_SEIZE)
        self.call(PTRACE_INTERRUPT)
        os.waitpid(self.tid, WALL)

    def call(self, request):
        if libc.ptrace(request, self.tid, None, None) < 0:
            raise OSError(ctypes.get_errno(), f"ptrace request {request} of thread {self.tid}")

    def go_on(self):
        self.call(PTRACE_DETACH)


class Gone(unittest.TestCase):
    def setUp(self):
        self.rig = violence.MoneyRig().__enter__()
        self.addCleanup(self.rig.__exit__, None, None, None)
        for name in ("pod-a", "pod-b"):
            self.rig.agent(name, extra=["--no-prefix-reuse"])
        self.rig.publish(wait=True)

    def run_until(self, options, count):
        """Starts an answer; returns it and the agent that gives it, when so many ids have come."""
        stream = self.rig.chat(**options)
        chunks = iter(stream)
        for _ in chunks:
            if len(stream.ids) >= count:
                break
        self.assertIsNone(stream.finish, "the answer is still running")
        agent = next(a for a in self.rig.agents.values() if a.status(self.rig.tokens["agent"])["running"])
        return stream, chunks, agent

    def check_unnoticed(self, stop, go_on):
        options = {"max_tokens": 4000, "ignore_eos": True, "temperature": 0.8, "seed": 3}
        wanted = self.rig.chat(**options).run().result()
        stream, chunks, agent = self.run_until(options, 50)
        stopped = stop(agent)
        for _ in chunks:
            pass
        self.assertEqual(stream.result(), wanted)
        go_on(agent, stopped)
        _, charges = self.rig.settle()
        violence.check_money(self, self.rig.counters, charges)
        request = stream.id.split("-", 1)[1]
        tries = sorted((c for c in charges.values() if c.attempt["request_id"] == request and c.positions),
                       key=lambda c: min(c.positions))
        self.assertGreaterEqual(len(tries), 2, "on a machine that starves its pods it may be more")
        self.assertEqual([p for c in tries for p in sorted(c.positions)], list(range(len(stream.ids))))

    def test_stuck_engine(self):
        self.check_unnoticed(lambda agent: StoppedThread(agent.process.pid), lambda agent, stopped: stopped.go_on())

    def test_frozen(self):
        self.check_unnoticed(lambda agent: agent.freeze(), lambda agent, stopped: agent.process.send_signal(18))

    def test_stuck_engine_and_whole_answers(self):
        """The same for a client that does not stream, while another pod is busy with other requests."""
        options = {"max_tokens": 3000, "ignore_eos": True, "temperature": 0, "stream": False}
        wanted = self.rig.chat(**options).result()
        answers = []
        threads = [threading.Thread(target=lambda: answers.append(self.rig.chat(**options).result())) for _ in range(3)]
        for t in threads:
            t.start()
        agent = rigs.wait_for(lambda: next((a for a in self.rig.agents.values()
                                            if a.status(self.rig.tokens["agent"])["running"]), None))
        stopped = StoppedThread(agent.process.pid)
        for t in threads:
            t.join()
        self.assertEqual(answers, [wanted] * 3)
        stopped.go_on()
        _, charges = self.rig.settle()
        violence.check_money(self, self.rig.counters, charges)


if __name__ == "__main__":
    unittest.main()
