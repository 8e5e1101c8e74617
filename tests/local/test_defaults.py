# SPDX-License-Identifier: Apache-2.0
"""Sampling that nobody asked for: the values of generation_config.json hold for what a request leaves out, all of
them."""
import json
import pathlib
import shutil
import tempfile
import unittest

import rig as rigs

BROOK = rigs.ROOT / "models" / "brook"
QUESTION = "What is 345 + 678?"
SEEDS = range(6)


class AgentDefaults(unittest.TestCase):
    def agent(self, **defaults):
        """An agent over the shipped model with another generation_config.json."""
        folder = pathlib.Path(tempfile.mkdtemp(prefix="spate-defaults-"))
        self.addCleanup(shutil.rmtree, folder, ignore_errors=True)
        shutil.copytree(BROOK, folder / "model")
        (folder / "model" / "generation_config.json").write_text(json.dumps(defaults))
        agent = rigs.Process(folder, "agent", ["spate-agent", "--model", str(folder / "model"), "--served-model", "m",
                                               "--listen", "127.0.0.1:0", "--data", str(folder)])
        agent.start()
        self.addCleanup(agent.stop)
        rigs.wait_for(lambda: rigs.request_json(agent.address, "GET", "/health")[0] == 200, what="the agent")
        return agent

    def answers(self, agent, **options):
        """The ids of one answer for each seed."""
        found = []
        for seed in SEEDS:
            body = {"model": "m", "seed": seed, "max_tokens": 60, "return_token_ids": True,
                    "messages": [{"role": "user", "content": QUESTION}], **options}
            status, answer = rigs.request_json(agent.address, "POST", "/v1/chat/completions", body, timeout=60)
            self.assertEqual(status, 200, answer)
            found.append(answer["choices"][0]["token_ids"])
        return found

    def test_every_recommended_value_holds(self):
        cases = [
            ({"temperature": 0}, {"temperature": 2}),
            ({"temperature": 2, "top_p": 0.01}, {"top_p": 1}),
            ({"temperature": 2, "top_k": 1}, {"top_k": 0}),
            ({"temperature": 2, "min_p": 1}, {"min_p": 0}),
            ({"temperature": 0, "repetition_penalty": 3}, {"repetition_penalty": 1}),
        ]
        for defaults, other in cases:
            with self.subTest(defaults=defaults):
                agent = self.agent(**defaults)
                left_out = self.answers(agent)
                self.assertEqual(left_out, self.answers(agent, **defaults))
                self.assertNotEqual(left_out, self.answers(agent, **other))
                agent.stop()


if __name__ == "__main__":
    unittest.main()
