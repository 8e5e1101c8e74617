# SPDX-License-Identifier: Apache-2.0
"""A gateway that is told to end: a client that reads slowly gets all of its answer, which is charged in full, and
nobody else keeps the gateway."""
import http.client
import json
import signal
import socket
import time
import unittest

import rig as rigs

DRAIN_S = 60
SOON_S = 30  # far less than --drain: the end was not waited for
ANSWER = {"max_tokens": 500, "ignore_eos": True, "logprobs": True, "top_logprobs": 10}


class SlowClient:
    """Asks, then reads only when it is told to. Small segments and a small buffer: so the kernel takes little of an
    answer from the gateway, and most of it waits in the process."""

    def __init__(self, test, **options):
        host, port = test.rig.gateway.address.rsplit(":", 1)
        self.socket = socket.socket()
        test.addCleanup(self.socket.close)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, 536)
        self.socket.settimeout(60)
        self.socket.connect((host, int(port)))
        body = json.dumps({"model": "brook", "temperature": 0, **ANSWER, **options,
                           "messages": [{"role": "user", "content": "What is 345 + 678?"}]})
        self.socket.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nhost: h\r\nauthorization: Bearer %s\r\n"
                            b"content-length: %d\r\n\r\n%s" % (rigs.KEY.encode(), len(body), body.encode()))

    def wait_for_first_byte(self):
        assert self.socket.recv(1, socket.MSG_PEEK)

    def read(self):
        """All of the answer; http.client refuses one that was cut off."""
        response = http.client.HTTPResponse(self.socket, method="POST")
        response.begin()
        assert response.status == 200, response.status
        return response.read()


class Drain(unittest.TestCase):
    def setUp(self):
        self.rig = rigs.Rig(gateway_options=["--drain", f"{DRAIN_S}s"]).__enter__()
        self.addCleanup(self.rig.__exit__, None, None, None)
        self.agent = self.rig.agent("pod-a")
        self.rig.route("pod-a")
        self.gateway = self.rig.gateway.process

    def leave(self):
        self.gateway.send_signal(signal.SIGTERM)

    def check_left(self):
        self.assertEqual(self.gateway.wait(SOON_S), 0)

    def test_a_whole_answer_that_ended_before(self):
        client = SlowClient(self)
        client.wait_for_first_byte()  # all of it is with the gateway
        self.leave()
        time.sleep(1)
        answer = json.loads(client.read())
        self.assertEqual(answer["usage"]["completion_tokens"], ANSWER["max_tokens"])
        self.assertEqual(len(answer["choices"][0]["logprobs"]["content"]), ANSWER["max_tokens"])
        client.socket.close()
        self.check_left()

    def test_a_stream_that_ends_meanwhile(self):
        client = SlowClient(self, stream=True, stream_options={"include_usage": True})
        client.wait_for_first_byte()
        self.leave()
        rigs.wait_for(lambda: self.agent.status(self.rig.tokens["agent"])["running"] == 0, seconds=60,
                      what="the pod's end of it")
        time.sleep(1)
        lines = [line[6:] for line in client.read().split(b"\n") if line.startswith(b"data: ")]
        self.assertEqual(lines[-1], b"[DONE]")
        self.assertEqual(json.loads(lines[-2])["usage"]["completion_tokens"], ANSWER["max_tokens"])
        client.socket.close()
        self.check_left()

    def test_nobody_waits(self):
        """Idle connections, one of which had an answer, do not keep it."""
        idle = [socket.create_connection(self.rig.gateway.address.rsplit(":", 1)) for _ in range(3)]
        kept = http.client.HTTPConnection(self.rig.gateway.address)
        kept.request("GET", "/live")
        self.assertEqual(kept.getresponse().read(), b"ok\n")
        self.leave()
        self.check_left()
        for connection in idle:
            self.assertEqual(connection.recv(1), b"")
            connection.close()
        kept.close()


if __name__ == "__main__":
    unittest.main(verbosity=2)
