# SPDX-License-Identifier: Apache-2.0
"""Clients of a release: single answers, a burst, a constant load; and the sum of what their usage objects say."""
import collections
import dataclasses
import http.client
import json
import os
import pathlib
import subprocess
import sys
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT / "tests" / "cluster"))

import product  # noqa: E402

ANSWER_LIMIT_S = 120
QUESTIONS = [f"What is {a} {sign} {b}?" for a, sign, b in ((345, "+", 678), (902, "-", 31), (7, "+", 5), (640, "-", 512))]


@dataclasses.dataclass(frozen=True)
class Answer:
    status: int
    text: str        # thinking and answer; of a refusal the message
    reason: str      # why it ended; of a refusal its code
    usage: str = ""  # as JSON, so that answers can be compared and kept in sets

    @property
    def right(self):
        return self.status == 200 and bool(self.usage) and self.reason in ("stop", "length")


class Clients:
    """Of one tenant. bill: what all their answers add up to, as reports name it."""

    def __init__(self, address, key):
        self.address = address
        self.key = key
        self.bill = collections.Counter()
        self.lock = threading.Lock()

    def charge(self, usage):
        cached = usage["prompt_tokens_details"]["cached_tokens"]
        reasoning = usage["completion_tokens_details"]["reasoning_tokens"]
        with self.lock:
            self.bill.update(requests=1, input=usage["prompt_tokens"] - cached, cached=cached,
                             visible=usage["completion_tokens"] - reasoning, reasoning=reasoning)

    def ask(self, model, text=QUESTIONS[0], stream=False, **more):
        connection = http.client.HTTPConnection(self.address, timeout=ANSWER_LIMIT_S)
        try:
            connection.request("POST", "/v1/chat/completions", body_of(model, text, stream, more), self.headers)
            return self.read(connection, stream)
        except (OSError, http.client.HTTPException) as fault:
            return Answer(0, f"{type(fault).__name__}: {fault}", "broken")
        finally:
            connection.close()

    @property
    def headers(self):
        return {"content-type": "application/json", "authorization": f"Bearer {self.key}"}

    def read(self, connection, stream):
        answer = connection.getresponse()
        told = answer.read().decode()
        made = read_stream(told) if stream and answer.status == 200 else read_whole(answer.status, told)
        if made.usage:
            self.charge(json.loads(made.usage))
        return made

    def models(self):
        """Status and names; asking for them wakes no model."""
        status, listed = product.request_json(self.address, "GET", "/v1/models", token=self.key)
        return status, [row["id"] for row in listed["data"]] if status == 200 else []

    def burst(self, model, count, **more):
        """So many at the same instant: on connections that are open, before any answer is read. Returns when the last was sent, and
        the answers."""
        connections = [http.client.HTTPConnection(self.address, timeout=ANSWER_LIMIT_S) for _ in range(count)]
        bodies = [body_of(model, QUESTIONS[number % len(QUESTIONS)], number % 2 == 0, more) for number in range(count)]
        try:
            for connection in connections:
                connection.connect()
            for connection, body in zip(connections, bodies, strict=True):
                connection.request("POST", "/v1/chat/completions", body, self.headers)
            sent = time.time()
            return sent, [self.read(connection, number % 2 == 0) for number, connection in enumerate(connections)]
        finally:
            for connection in connections:
                connection.close()

    def run_openai(self, python, model):
        """The official client, in an interpreter that has it."""
        program = pathlib.Path(__file__).with_name("openai_client.py")
        own = {"SPATE_URL": f"http://{self.address}/v1", "SPATE_KEY": self.key, "SPATE_MODEL": model}
        said = subprocess.run([python, str(program)], env=os.environ | own, capture_output=True, text=True, check=False,
                              timeout=ANSWER_LIMIT_S)
        if said.returncode != 0:
            raise AssertionError(f"openai_client.py: {said.stdout}{said.stderr}")
        usages = [json.loads(line) for line in said.stdout.splitlines()]
        for usage in usages:
            self.charge(usage)
        return len(usages)


def body_of(model, text, stream, more):
    body = {"model": model, "messages": [{"role": "user", "content": text}], "temperature": 0, "max_tokens": 200, **more}
    return json.dumps(body | ({"stream": True, "stream_options": {"include_usage": True}} if stream else {}))


def read_whole(status, told):
    try:
        tree = json.loads(told)
        if status != 200:
            return Answer(status, tree["error"]["message"], tree["error"]["code"])
        choice = tree["choices"][0]
        text = (choice["message"].get("reasoning_content") or "") + (choice["message"]["content"] or "")
        return Answer(status, text, choice["finish_reason"], json.dumps(tree["usage"]))
    except (ValueError, KeyError, TypeError) as fault:
        return Answer(0, f"{type(fault).__name__} in {told[:300]!r}", "broken")


def read_stream(told):
    """Whole only with its finish reason, its usage and its end."""
    text, reason, usage, end = "", "broken", "", False
    for line in told.splitlines():
        if not line.startswith("data: "):
            continue
        end = line == "data: [DONE]"
        chunk = {} if end else json.loads(line[len("data: "):])
        if "error" in chunk:
            return Answer(0, json.dumps(chunk), "broken")
        for choice in chunk.get("choices", ()):
            text += (choice["delta"].get("reasoning_content") or "") + (choice["delta"].get("content") or "")
            reason = choice["finish_reason"] or reason
        if chunk.get("usage"):
            usage = json.dumps(chunk["usage"])
    return Answer(200, text, reason if end else "broken", usage)


class Load:
    """Four clients that ask a model one question after the other until the block ends: short whole answers, and streams of
    seconds, so that whatever happens to a pod happens in the middle of some."""

    LONG = {"max_tokens": 2000, "ignore_eos": True}

    def __init__(self, clients, model):
        self.answers = []
        self.ended = threading.Event()
        self.threads = [threading.Thread(target=self.run, args=(clients, model, text, long))
                        for text in QUESTIONS[:2] for long in (False, True)]

    @classmethod
    def alone(cls, clients, model):
        """What its questions are answered when nothing else happens."""
        return {(text, long): cls.ask(clients, model, text, long) for text in QUESTIONS[:2] for long in (False, True)}

    @classmethod
    def ask(cls, clients, model, text, long):
        return clients.ask(model, text, stream=long, **(cls.LONG if long else {}))

    def run(self, clients, model, text, long):
        while not self.ended.is_set():
            self.answers.append(((text, long), self.ask(clients, model, text, long)))
            if not self.answers[-1][1].right:
                self.ended.wait(0.05)

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.ended.set()
        for thread in self.threads:
            thread.join()
