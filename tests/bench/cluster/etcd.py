# SPDX-License-Identifier: Apache-2.0
"""Objects by the hundred thousand, written where the API server keeps them: two hundred thousand requests to it would take
longer than all that is measured. Each is a copy of one that it has made itself, so it is what it would have written.

As a program it runs in the machine "cp", where etcd listens: each line of its input is a transaction."""
import base64
import http.client
import json
import subprocess
import sys

ADDRESS = "127.0.0.1:2379"
PUTS = 100  # in a transaction, of which etcd takes 128 and 1.5 MiB
TIMEOUT_S = 60


def text_of(text):
    return base64.b64encode(text.encode()).decode()


class Store:
    def __init__(self, cluster):
        command = cluster.machine("cp").entering([sys.executable, __file__])
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, text=True)
        self.puts = []

    def __enter__(self):
        return self

    def put(self, key, text):
        self.puts.append({"requestPut": {"key": text_of(f"/registry/{key}"), "value": text_of(text)}})
        if len(self.puts) == PUTS:
            self.flush()

    def flush(self):
        self.process.stdin.write(json.dumps({"success": self.puts}) + "\n")
        self.puts = []

    def __exit__(self, kind, *_):
        if kind is None and self.puts:
            self.flush()
        self.process.stdin.close()
        if self.process.wait() != 0 and kind is None:
            raise RuntimeError("etcd did not take all of it")


def main():
    connection = http.client.HTTPConnection(ADDRESS, timeout=TIMEOUT_S)
    for line in sys.stdin:
        connection.request("POST", "/v3/kv/txn", line)
        answer = connection.getresponse()
        text = answer.read()
        if answer.status != 200:
            sys.exit(f"etcd: {answer.status} {text[:300].decode()}")


if __name__ == "__main__":
    main()
