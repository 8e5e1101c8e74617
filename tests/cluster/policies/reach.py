# SPDX-License-Identifier: Apache-2.0
"""Which of the addresses of a JSON list on standard input can be reached: prints a list of true and false. Run inside a pod's network."""
import concurrent.futures
import json
import socket
import struct
import sys

# A packet that is dropped is sent again after one second, and after three.
PATIENCE_S = 2.5
DNS_PORT = 53
QUESTION = struct.pack(">6H", 1, 0x100, 1, 0, 0, 0) + b"\x0akubernetes\x07default\x03svc\x07cluster\x05local\0" + struct.pack(">2H", 1, 1)


def tcp(host, port):
    with socket.create_connection((host, port), PATIENCE_S):
        return True


def udp(host, port):
    """Only a name server is asked so, and it answers."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asked:
        asked.settimeout(PATIENCE_S)
        asked.connect((host, port))
        asked.send(QUESTION)
        return bool(asked.recv(512))


def is_reached(target):
    protocol, host, port = target
    try:
        return {"tcp": tcp, "udp": udp}[protocol](host, port)
    except OSError:
        return False


if __name__ == "__main__":
    targets = json.load(sys.stdin)
    with concurrent.futures.ThreadPoolExecutor(len(targets)) as pool:
        json.dump(list(pool.map(is_reached, targets)), sys.stdout)
