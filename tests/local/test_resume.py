# SPDX-License-Identifier: Apache-2.0
"""No client sees that a pod died: the agent is killed after every token position of an answer, and ids, text,
finish reason and usage equal the undisturbed run's. The same with a frozen agent."""
import unittest

import rig as rigs

GIVEN_UP_AFTER = 8  # attempts that gave no token

CASES = {
    "greedy": {},
    "seeded": {"temperature": 1.3, "seed": 11, "max_tokens": 60},
    "stop string": {"stop": ["carry 1\n3"]},
    "stop string in the answer": {"stop": [" = 10"]},
    "length": {"max_tokens": 40, "ignore_eos": True},
    "whole answer": {"stream": False},
}


class Resume(unittest.TestCase):
    def setUp(self):
        self.rig = rigs.Rig().__enter__()
        self.addCleanup(self.rig.__exit__, None, None, None)

    def start(self, *names, trigger=rigs.Trigger):
        """Pods behind cutters; without prefix reuse, so that equal prompts count alike."""
        self.trigger = trigger()
        self.cutters = {name: rigs.Cutter(self.rig.agent(name, extra=["--no-prefix-reuse"]), self.trigger)
                        for name in names}
        for cutter in self.cutters.values():
            self.addCleanup(cutter.close)
        self.rig.plane.publish_and_wait(
            {"default/brook": [self.rig.pod(name, address=c.address) for name, c in self.cutters.items()]})

    def test_killed_after_every_token(self):
        self.start("pod-a", "pod-b")
        for name, options in CASES.items():
            wanted = self.rig.chat(**options).run().result()
            self.assertIsNone(wanted["error"])
            count = len(wanted["ids"])
            self.assertGreater(count, 20)
            for position in range(1, count + 1):
                with self.subTest(case=name, position=position):
                    before = self.trigger.kills
                    self.trigger.arm(position)
                    self.assertEqual(self.rig.chat(**options).run().result(), wanted)
                    self.assertEqual(self.trigger.kills, before + 1, "the agent was killed")

    def test_a_request_that_breaks_every_pod(self):
        """It is given up before it takes all of them along again and again; and the next one is answered."""
        self.start("pod-a", "pod-b", trigger=rigs.Poison)
        self.trigger.on = True
        error = self.rig.chat().run().error
        self.assertEqual(error["code"], "model_unavailable", error)
        self.assertIn("make the prompt shorter", error["message"])
        self.assertEqual(self.trigger.kills, GIVEN_UP_AFTER)
        self.trigger.on = False
        self.assertIsNone(self.rig.chat().run().error)

    def test_frozen_agent_counts_as_gone(self):
        self.start("pod-a", "pod-b")
        options = {"max_tokens": 3000, "ignore_eos": True, "return_token_ids": True}
        wanted = self.rig.chat(**options).run().result()
        stream = self.rig.chat(**options)
        frozen = None
        for _ in stream:
            if frozen is None and len(stream.ids) >= 100:
                frozen = next(a for a in self.rig.agents.values()
                              if a.status(self.rig.tokens["agent"])["running"] > 0)
                frozen.freeze()
        self.assertIsNotNone(frozen)
        self.assertEqual(stream.result(), wanted)


if __name__ == "__main__":
    unittest.main()
