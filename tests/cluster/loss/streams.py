# SPDX-License-Identifier: Apache-2.0
"""Many clients at once, each with one long answer that it compares, when it is whole, with what it got before."""
import contextlib
import http.client
import json
import threading
import time

import product

BROKEN = (OSError, http.client.HTTPException)
RETRY_S = 0.2
READ_BYTES = 1 << 16


def body_of(model, number, max_tokens):
    """Half of them greedy, half sampled with a seed. Short enough for none of it to be found in a cache, so that what an
    answer costs does not depend on what was asked before."""
    sampling = {"temperature": 0} if number % 2 else {"temperature": 1.0, "seed": number}
    return {"model": model, "messages": [{"role": "user", "content": f"{number} + 7"}], "max_tokens": max_tokens,
            "ignore_eos": True, "return_token_ids": True, "stream": True, "stream_options": {"include_usage": True}, **sampling}


class Stream:
    """One client at one gateway. It is read at once and understood at the end: so a hundred of them cost little."""

    def __init__(self, gateway, body):
        self.gateway = gateway
        self.body = body
        self.chunks = []      # as they came
        self.began = self.ended = None
        self.whole = False    # got the last byte
        self.breaks = 0       # how often it began anew, because the connection to its gateway broke
        self.left = False
        self.error = None     # the gateway's own words
        self.thread = threading.Thread(target=self.run, daemon=True)

    def run(self):
        while not self.whole and self.error is None and not self.left:
            try:
                self.ask()
                broken = not self.whole and self.error is None and not self.left
            except BROKEN:
                broken = True
            if broken and not self.left:
                self.breaks += 1
                time.sleep(RETRY_S)
        self.ended = time.monotonic()

    def ask(self):
        self.chunks = []
        self.began = time.monotonic()
        with contextlib.closing(http.client.HTTPConnection(self.gateway, timeout=60)) as connection:
            connection.request("POST", "/v1/chat/completions", json.dumps(self.body),
                               {"authorization": f"Bearer {product.KEY}"})
            response = connection.getresponse()
            if response.status != 200:
                self.error = f"{response.status} {response.read()[:300]}"
                return
            while not self.left and (chunk := response.read1(READ_BYTES)):
                self.chunks.append(chunk)
            self.whole = self.chunks[-1].endswith(b"data: [DONE]\n\n") if self.chunks else False

    @property
    def seconds(self):
        return self.ended - self.began

    def is_under_way(self):
        return self.thread.is_alive() and bool(self.chunks) and not self.whole

    def count(self):
        """About as many tokens as it has by now."""
        return sum(chunk.count(b'"token_ids"') for chunk in list(self.chunks))

    def answer(self):
        """What a client would say that it got. Comparable."""
        ids, text, reasoning, finish, usage, request_ids = [], [], [], [], None, set()
        for line in b"".join(self.chunks).split(b"\n"):
            if not line.startswith(b"data: {"):
                continue
            chunk = json.loads(line[6:])
            if "error" in chunk:
                raise AssertionError(f"{self.body['messages']}: {chunk['error']}")
            request_ids.add(chunk["id"])
            usage = chunk.get("usage") or usage
            for choice in chunk["choices"]:
                ids += choice.get("token_ids") or []
                text.append(choice["delta"].get("content") or "")
                reasoning.append(choice["delta"].get("reasoning_content") or "")
                finish += [choice["finish_reason"]] if choice["finish_reason"] else []
        assert len(request_ids) == 1, f"one stream has the ids {request_ids}"
        return {"ids": ids, "text": "".join(text), "reasoning": "".join(reasoning), "finish": finish, "usage": usage}


class Wave:
    """As many streams as asked for, shared out among the gateways in turn."""

    def __init__(self, gateways, model, count, max_tokens):
        self.streams = [Stream(gateways[n % len(gateways)], body_of(model, n, max_tokens)) for n in range(count)]
        for stream in self.streams:
            stream.thread.start()

    def wait_under_way(self, seconds=60, tokens=50):
        """Until each is in mid-answer."""
        end = time.monotonic() + seconds
        while not all(stream.count() >= tokens for stream in self.streams):
            errors = [stream.error for stream in self.streams if stream.error]
            if errors or time.monotonic() > end:
                raise AssertionError(f"some answers do not begin: {sorted(s.count() for s in self.streams)[:5]} {errors[:1]}")
            time.sleep(0.2)
        return self

    def all_under_way(self):
        return all(stream.is_under_way() for stream in self.streams)

    def is_over(self):
        return not any(stream.thread.is_alive() for stream in self.streams)

    def leave(self):
        for stream in self.streams:
            stream.left = True
        self.join()

    def join(self, seconds=900):
        end = time.monotonic() + seconds
        for stream in self.streams:
            stream.thread.join(max(0.1, end - time.monotonic()))
        slow = sum(stream.thread.is_alive() for stream in self.streams)
        if slow:
            raise AssertionError(f"{slow} answers did not end in {seconds} s")
        return self

    def answers(self):
        return [stream.answer() for stream in self.streams]
