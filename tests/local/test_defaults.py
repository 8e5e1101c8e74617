# SPDX-License-Identifier: Apache-2.0
"""Sampling that nobody asked for: the values of generation_config.json hold for what a request leaves out, all of
them; then what the command line would rather have than the API's temperature of 1."""
import http.server
import json
import subprocess
import threading
import unittest

import rig as rigs

QUESTION = "What is 345 + 678?"
SEEDS = range(6)


class AgentDefaults(unittest.TestCase):
    def agent(self, **defaults):
        return rigs.agent_of_altered_model(self, {"generation_config.json": json.dumps(defaults)})

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

    def test_the_default_temperature_gives_way_to_a_recommended_one(self):
        agent = self.agent(top_k=0)
        self.assertEqual(self.answers(agent, default_temperature=0), self.answers(agent, temperature=0))
        self.assertEqual(self.answers(agent, default_temperature=0, temperature=2), self.answers(agent, temperature=2))
        agent.stop()
        agent = self.agent(temperature=2)
        self.assertEqual(self.answers(agent, default_temperature=0), self.answers(agent, temperature=2))


class Gateway(http.server.BaseHTTPRequestHandler):
    """Answers a chat with one word, and keeps what was asked."""
    bodies = []

    def log_message(self, *arguments):
        pass

    def do_POST(self):
        self.bodies.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.end_headers()
        self.wfile.write(b'data: {"choices":[{"index":0,"delta":{"content":"word"}}]}\n\ndata: [DONE]\n\n')


class CliDefaults(unittest.TestCase):
    def asked(self, *arguments):
        """The body that `spate run` sends."""
        server = http.server.HTTPServer(("127.0.0.1", 0), Gateway)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            done = subprocess.run([str(rigs.BIN / "spate"), "run", "--key", "k", "--gateway",
                                   f"http://127.0.0.1:{server.server_address[1]}", *arguments, "hi"],
                                  capture_output=True, text=True, timeout=60)
        finally:
            server.shutdown()
            server.server_close()
        self.assertEqual((done.returncode, done.stdout), (0, "word\n"), done.stderr)
        return Gateway.bodies.pop()

    def test_run_asks_for_a_temperature_only_if_the_user_does(self):
        for arguments, temperature, default in [
            (["brook"], None, 0.6),
            (["smollm2"], None, 0.2),
            (["--temperature", "0", "smollm2"], 0, None),
            (["--temperature", "1.5", "brook"], 1.5, None),
        ]:
            with self.subTest(arguments=arguments):
                body = self.asked(*arguments)
                self.assertEqual(body.get("temperature"), temperature)
                self.assertEqual(body.get("default_temperature"), default)


if __name__ == "__main__":
    unittest.main()
