# SPDX-License-Identifier: Apache-2.0
"""The shipped model knows its task, answered by our own engine: at least 95 % of 1,000 held-out questions are
right. Right means that the text after the thinking is exactly the expected line."""
import concurrent.futures
import json
import pathlib
import shutil
import tempfile
import unittest

import rig as rigs

QUESTIONS = 1000
WANTED = 0.95


class HeldOut(unittest.TestCase):
    def setUp(self):
        folder = pathlib.Path(tempfile.mkdtemp(prefix="spate-heldout-"))
        self.addCleanup(shutil.rmtree, folder, ignore_errors=True)
        self.agent = rigs.Process(folder, "agent", ["spate-agent", "--model", str(rigs.ROOT / "models" / "brook"),
                                                    "--listen", "127.0.0.1:0", "--data", str(folder)])
        self.agent.start()
        self.addCleanup(self.agent.stop)
        rigs.wait_for(lambda: rigs.request_json(self.agent.address, "GET", "/health")[0] == 200, what="the agent")

    def is_right(self, line):
        body = {"model": "brook", "temperature": 0, "messages": [{"role": "user", "content": line["question"]}]}
        status, answer = rigs.request_json(self.agent.address, "POST", "/v1/chat/completions", body, timeout=120)
        self.assertEqual(status, 200, answer)
        return answer["choices"][0]["message"]["content"].strip() == line["content"].strip()

    def test_most_questions_are_answered_right(self):
        with open(rigs.ROOT / "models" / "heldout.jsonl", encoding="utf-8") as file:
            lines = [json.loads(line) for line in file][:QUESTIONS]
        self.assertEqual(len(lines), QUESTIONS)
        with concurrent.futures.ThreadPoolExecutor(16) as pool:
            right = sum(pool.map(self.is_right, lines))
        print(f"{right} of {len(lines)} held-out questions right")
        self.assertGreaterEqual(right, WANTED * len(lines))


if __name__ == "__main__":
    unittest.main()
