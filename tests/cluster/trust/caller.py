# SPDX-License-Identifier: Apache-2.0
"""Sends the requests of a JSON list on standard input, one connection each, and prints the answers. Run inside a pod's network."""
import http.client
import json
import socket
import sys

TIMEOUT_S = 10
ANSWER_MAX = 1 << 20


def send(request):
    """{"address", "raw"}: bytes as they are. Else {"address", "method", "path", "headers", "body"}."""
    host, port = request["address"].rsplit(":", 1)
    if "raw" in request:
        with socket.create_connection((host, int(port)), TIMEOUT_S) as connection:
            connection.sendall(request["raw"].encode("latin-1"))
            answer = http.client.HTTPResponse(connection)
            answer.begin()
            return [answer.status, answer.read(ANSWER_MAX).decode("utf-8", "replace")]
    connection = http.client.HTTPConnection(host, int(port), timeout=TIMEOUT_S)
    body = request.get("body")
    connection.request(request["method"], request["path"], body.encode() if body is not None else None, request.get("headers", {}))
    answer = connection.getresponse()
    text = answer.read(ANSWER_MAX).decode("utf-8", "replace")
    connection.close()
    return [answer.status, text]


def try_to_send(request):
    try:
        return send(request)
    except (OSError, http.client.HTTPException) as error:
        return [0, repr(error)]


if __name__ == "__main__":
    json.dump([try_to_send(request) for request in json.load(sys.stdin)], sys.stdout)
