# SPDX-License-Identifier: Apache-2.0
"""Clients that go on asking while something is done to Spate: each stream is checked, and what it used is added up."""
import http.client
import json
import threading
import time

import product

LONG_TOKENS = 1500
SHORT_TOKENS = 32
SILENCE_S = 60


class Fault(Exception):
    pass


def stream(address, model, key, tokens):
    """Asks for exactly that many tokens and reads them one by one. Returns the usage; a Fault if anything is not as it should be."""
    connection = http.client.HTTPConnection(address, timeout=SILENCE_S)
    connection.request("POST", "/v1/chat/completions", json.dumps({
        "model": model, "messages": [{"role": "user", "content": "What is 345 + 678?"}], "stream": True, "temperature": 0,
        "stream_options": {"include_usage": True}, "ignore_eos": True, "max_tokens": tokens, "return_token_ids": True}),
        {"authorization": f"Bearer {key}", "content-type": "application/json"})
    answer = connection.getresponse()
    if answer.status != 200:
        raise Fault(f"status {answer.status}: {answer.read().decode()}")
    ids, names, usage, ended = 0, set(), None, False
    for line in answer:
        text = line.decode().strip()
        if text == "data: [DONE]":
            ended = True
        elif text.startswith("data: "):
            chunk = json.loads(text.removeprefix("data: "))
            if "error" in chunk:
                raise Fault(f"an error in the stream: {text}")
            names.add(chunk["id"])
            usage = chunk.get("usage") or usage
            ids += sum(len(choice.get("token_ids") or ()) for choice in chunk["choices"])
    connection.close()
    if not ended or len(names) != 1 or usage is None or usage["completion_tokens"] != tokens or ids != tokens:
        raise Fault(f"not a whole stream: {ids} ids of {tokens}, ended: {ended}, ids of the answer: {names}, usage: {usage}")
    return usage


class Traffic:
    """Some clients that ask for long answers, and one for short ones, each as soon as its last answer has ended. A new connection for
    each request, as a Service spreads those."""

    def __init__(self, address, model, key=product.KEY, long=4):
        self.address, self.model, self.key = address, model, key
        self.lock = threading.Lock()
        self.faults = []
        self.prompt_tokens = self.completion_tokens = 0
        self.counts = {LONG_TOKENS: 0, SHORT_TOKENS: 0}
        self.ending = threading.Event()
        self.threads = [threading.Thread(target=self.go_on, args=(LONG_TOKENS, number)) for number in range(long)]
        self.threads.append(threading.Thread(target=self.go_on, args=(SHORT_TOKENS, 0)))
        for thread in self.threads:
            thread.start()

    def go_on(self, tokens, number):
        self.ending.wait(number)  # not all at the same place of their answers
        while not self.ending.is_set():
            began = time.monotonic()
            try:
                usage = stream(self.address, self.model, self.key, tokens)
            except (Fault, OSError, http.client.HTTPException, ValueError) as fault:
                with self.lock:
                    self.faults.append(f"{tokens} tokens, after {time.monotonic() - began:.1f} s: {fault!r}")
                self.ending.wait(0.2)
                continue
            with self.lock:
                self.counts[tokens] += 1
                self.prompt_tokens += usage["prompt_tokens"]
                self.completion_tokens += usage["completion_tokens"]
            if tokens == SHORT_TOKENS:
                self.ending.wait(0.1)

    def end(self):
        """When the answers that run have ended."""
        self.ending.set()
        for thread in self.threads:
            thread.join()
        return self
