# SPDX-License-Identifier: Apache-2.0
"""What no client library sends: paths and headers that look like others, and the exact form of the
answers, byte by byte where it matters. The table of smuggled requests is in tests/unit/base.
"""
import json
import os
import socket
import sys
import traceback

GATEWAY = os.environ["SPATE_URL"].removeprefix("http://").removesuffix("/v1")
AGENT = os.environ["SPATE_AGENTS"].split()[0]
KEY = os.environ["SPATE_KEY"]
TESTS = []
CHAT = {"model": "brook", "temperature": 0, "messages": [{"role": "user", "content": "What is 345 + 678?"}]}


def test(function):
    TESTS.append(function)
    return function


def send(address, data):
    """Sends bytes on a connection of their own; returns status, headers and body."""
    host, port = address.rsplit(":", 1)
    with socket.create_connection((host, int(port)), timeout=30) as connection:
        connection.sendall(data)
        answer = b""
        while piece := connection.recv(65536):
            answer += piece
    head, _, body = answer.partition(b"\r\n\r\n")
    lines = head.decode("latin-1").split("\r\n")
    headers = [(name.lower(), value) for name, _, value in (line.partition(": ") for line in lines[1:])]
    if ("transfer-encoding", "chunked") in headers:
        body = unchunk(body)
    return int(lines[0].split()[1]), headers, body


def unchunk(data):
    body = b""
    while data:
        size, _, data = data.partition(b"\r\n")
        body += data[: int(size, 16)]
        data = data[int(size, 16) + 2:]
    return body


def request(address, method, target, headers=(), body=b"", host="x"):
    lines = [f"{method} {target} HTTP/1.1", f"Host: {host}", "Connection: close", *headers]
    if body:
        lines.append(f"Content-Length: {len(body)}")
    return send(address, "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body)


def post(body, key=KEY, target="/v1/chat/completions"):
    return request(GATEWAY, "POST", target, [f"Authorization: Bearer {key}", "Content-Type: application/json"],
                   json.dumps(body).encode())


def code_of(body):
    return json.loads(body)["error"]["code"]


@test
def no_spelling_of_a_path_passes_without_a_key():
    """Each names the models in some manner: without a key none gives them away."""
    for target in ("/v1/models", "/models", "/beta/models", "/beta/v1/models", "/v1/models/brook", "//v1/models",
                   "/v1//models", "/v1/models/", "/V1/models", "/v1/Models", "/v1/%6dodels", "/v1%2fmodels",
                   "/v1%2Fmodels", "/v1%252fmodels", "/v1/./models", "/v1/../v1/models", "/health/../v1/models",
                   "/health%2f..%2fv1%2fmodels", "/%2e%2e/v1/models", "/v1/models?/health", "/v1/models;/health",
                   "/health;/../v1/models", "/v1\\models", "/v1/models%00", "/v1/models%0d%0ax: y",
                   f"http://{GATEWAY}/v1/models", "http://evil/v1/models", "http://evil/health/../v1/models",
                   "https://x@y/v1/models", "http:///v1/models", "*", "v1/models", "/v1/models#/health"):
        for address in (GATEWAY, AGENT):
            status, _, body = request(address, "GET", target)
            assert status in (400, 401, 404), f"{target}: {status}"
            assert b"brook" not in body, f"{target}: {body}"


@test
def one_route_decides_about_key_and_call():
    """With a key the same spellings are either the route itself or nothing."""
    key = [f"Authorization: Bearer {KEY}"]
    for target, expected in (("/v1/models", 200), ("/models", 200), ("/beta/models", 200), ("/v1/%6dodels", 200),
                             (f"http://{GATEWAY}/v1/models", 200), ("/v1/models/default/brook", 200),
                             ("/v1/models/default%2Fbrook", 200), ("/v1/models/default%2fbrook", 200),
                             ("/v1/models/default%252Fbrook", 400), ("/v1/models/..%2fbrook", 404),
                             ("//v1/models", 404), ("/v1//models", 404), ("/V1/models", 404), ("/v1%2Fmodels", 404),
                             ("/v1/models/", 404), ("/v1/v1/models", 404), ("/v1/../v1/models", 400)):
        status, _, _ = request(GATEWAY, "GET", target, key)
        assert status == expected, f"{target}: {status}, expected {expected}"


@test
def the_host_header_changes_nothing():
    for host in ("evil/health", "evil?x=/health", "x/../health", "a@b", "[::1]", "x:99999", "/", "?"):
        status, _, body = request(GATEWAY, "GET", "/v1/models", host=host)
        assert status in (400, 401) and b"brook" not in body, f"{host}: {status}"


@test
def only_a_bearer_key_in_one_header_counts():
    for headers in (["Authorization: Basic c2s6"], ["Authorization: Bearer"], ["Authorization: Bearer "],
                    ["Authorization: bearer"], [f"Authorization: {KEY}"], [f"Authorization: Bearer {KEY} x"],
                    [f"Authorization: Bearer  {KEY}x"], [f"X-Api-Key: {KEY}"], [f"Cookie: key={KEY}"],
                    ["Authorization: Bearer x", f"Authorization: Bearer {KEY}"], [f"Authorization: Bearer {KEY.upper()}"]):
        status, _, body = request(GATEWAY, "GET", "/v1/models", headers)
        assert status in (400, 401), f"{headers}: {status}"
        assert KEY.encode() not in body, "a key is never repeated"


@test
def tenant_headers_of_clients_do_not_count():
    extra = [f"Authorization: Bearer {KEY}", "x-spate-tenant: admin", "x-request-id: a b"]
    status, headers, _ = request(GATEWAY, "GET", "/v1/models", extra)
    assert status == 200 and ("x-request-id", "a b") in headers


@test
def nothing_is_injected_into_headers():
    for value in ("x" * 129, "", "\t"):
        status, headers, _ = request(GATEWAY, "GET", "/live", [f"x-request-id: {value}"])
        ids = [given for name, given in headers if name == "x-request-id"]
        assert status == 200 and len(ids) == 1 and len(ids[0]) == 26, f"{value!r}: {ids}"
    for value in ("a\rset-cookie: x", "a\nset-cookie: x", "a\0b"):
        status, headers, _ = request(GATEWAY, "GET", "/live", [f"x-request-id: {value}"])
        assert status == 400 and "set-cookie" not in dict(headers), f"{value!r}"
    status, headers, body = post({**CHAT, "model": "x\r\nset-cookie: y"})
    assert status == 404 and "set-cookie" not in dict(headers) and json.loads(body)


@test
def wrong_methods_are_named():
    for method, target in (("GET", "/v1/chat/completions"), ("PUT", "/v1/models"), ("DELETE", "/v1/models/brook"),
                           ("POST", "/v1/models"), ("POST", "/health")):
        status, headers, body = request(GATEWAY, method, target, [f"Authorization: Bearer {KEY}"])
        assert status == 405 and code_of(body) == "method_not_allowed", f"{method} {target}: {status}"
        assert dict(headers)["allow"] in ("GET", "POST")


@test
def an_agent_serves_gateways_only():
    """Every internal path, and the client's own, without a token, with a client's key, and a token of ours."""
    paths = (("POST", "/v1/chat/completions"), ("POST", "/v1/completions"), ("GET", "/v1/models"),
             ("POST", "/internal/v1/cancel"), ("POST", "/internal/v1/abandon"), ("GET", "/internal/v1/usage"), ("POST", "/internal/v1/usage/ack"),
             ("POST", "/internal/v1/drain"), ("GET", "/internal/v1/status"))
    for method, path in paths:
        for headers in ([], [f"Authorization: Bearer {KEY}"], ["Authorization: Bearer eyJhbGciOiJub25lIn0.e30."]):
            status, _, body = request(AGENT, method, path, headers, b"{}" if method == "POST" else b"")
            assert status == 401, f"{method} {path} {headers}: {status} {body}"
    token = [f"Authorization: Bearer {os.environ['SPATE_TOKEN']}"]
    status, _, body = request(AGENT, "POST", "/v1/chat/completions", token, json.dumps(CHAT).encode())
    assert status == 400 and b"gateway" in body, "a plain request would be billed to nobody"
    assert request(AGENT, "GET", "/internal/v1/status", token)[0] == 200


@test
def internal_paths_of_the_agent_are_not_at_the_gateway():
    for path in ("/internal/v1/drain", "/internal/v1/usage", "/v1/internal/v1/status", "/internal/v1/routes"):
        status, _, _ = request(GATEWAY, "POST", path, [f"Authorization: Bearer {KEY}"], b"{}")
        assert status == 404, f"{path}: {status}"


@test
def broken_bodies_are_one_line():
    key = [f"Authorization: Bearer {KEY}"]
    for body in (b"{", b"[]", b"null", b'{"model": "brook"', b'{"model": 1}', b'{"model": "brook", "model": "brook"}',
                 b'{"model": "\xff"}', b'{"a":' * 100 + b"1" + b"}" * 100, b"\0", b'{"model": "brook", "seed": 1e400}',
                 b'{"model": "brook", "stream": "yes"}', b"{}"):
        status, _, answer = request(GATEWAY, "POST", "/v1/chat/completions", key, body)
        error = json.loads(answer)["error"]
        assert status == 400 and set(error) == {"message", "type", "param", "code"}, f"{body[:40]}: {status} {answer}"
        assert error["type"] == "invalid_request_error" and error["message"] and "\n" not in error["message"]


@test
def the_form_of_a_whole_answer():
    status, headers, body = post(CHAT)
    answer = json.loads(body)
    assert status == 200 and dict(headers)["content-type"] == "application/json"
    assert set(answer) == {"id", "object", "created", "model", "choices", "usage"}, set(answer)
    choice = answer["choices"][0]
    assert set(choice) == {"index", "message", "logprobs", "finish_reason"} and choice["logprobs"] is None
    assert set(choice["message"]) == {"role", "content", "reasoning_content", "refusal"}
    assert choice["message"]["refusal"] is None and type(answer["created"]) is int
    usage = answer["usage"]
    assert usage["prompt_cache_hit_tokens"] + usage["prompt_cache_miss_tokens"] == usage["prompt_tokens"]
    assert usage["prompt_tokens_details"]["cached_tokens"] == usage["prompt_cache_hit_tokens"]


def events_of(body):
    """The data of each event; nothing but data lines, comments and empty lines may be there."""
    events = []
    for line in body.decode().split("\n"):
        if line.startswith("data: "):
            events.append(line[6:])
        else:
            assert line == "" or line.startswith(":"), f"a line that is no data: {line!r}"
    assert events[-1] == "[DONE]" and "[DONE]" not in events[:-1]
    return [json.loads(event) for event in events[:-1]]


@test
def the_form_of_a_stream():
    status, headers, body = post({**CHAT, "stream": True, "stream_options": {"include_usage": True}})
    chunks = events_of(body)
    assert status == 200 and dict(headers)["content-type"] == "text/event-stream"
    for chunk in chunks:
        assert set(chunk) == {"id", "object", "created", "model", "choices", "usage"}, set(chunk)
    assert len({(chunk["id"], chunk["created"], chunk["model"], chunk["object"]) for chunk in chunks}) == 1
    for chunk in chunks[:-1]:
        assert chunk["usage"] is None and len(chunk["choices"]) == 1
        assert set(chunk["choices"][0]) == {"index", "delta", "logprobs", "finish_reason"}
        assert chunk["choices"][0]["index"] == 0
    assert chunks[-1]["choices"] == [] and chunks[-1]["usage"]["total_tokens"] > 0
    assert chunks[-2]["choices"][0]["finish_reason"] == "stop"


@test
def the_form_of_a_stream_of_completions():
    body = {"model": "brook", "prompt": "2 + 2", "max_tokens": 5, "stream": True, "temperature": 0}
    _, _, answer = post(body, target="/v1/completions")
    chunks = events_of(answer)
    for chunk in chunks:
        assert set(chunk) == {"id", "object", "created", "model", "choices"} and chunk["object"] == "text_completion"
        assert set(chunk["choices"][0]) == {"index", "text", "logprobs", "finish_reason"}
    assert chunks[-1]["choices"][0]["finish_reason"] in ("stop", "length")


@test
def ids_of_the_stream_are_those_of_the_whole():
    _, _, whole = post({**CHAT, "return_token_ids": True})
    _, _, stream = post({**CHAT, "return_token_ids": True, "stream": True})
    chunks = events_of(stream)
    ids = [id for chunk in chunks for choice in chunk["choices"] for id in choice.get("token_ids", [])]
    whole = json.loads(whole)
    assert ids == whole["choices"][0]["token_ids"] and len(ids) == whole["usage"]["completion_tokens"]
    assert [chunk["prompt_token_ids"] for chunk in chunks if "prompt_token_ids" in chunk] == [whole["prompt_token_ids"]]


@test
def odd_parameters_end_only_their_own_request():
    """Pairs that killed other servers; each is refused by name or answered."""
    for extra in ({"logit_bias": {"99999999": 5}}, {"logit_bias": {"-1": 5}}, {"logit_bias": {}}, {"stop": []},
                  {"stop": ""}, {"stop": ["a"] * 17}, {"stop_token_ids": [2 ** 31]}, {"stop_token_ids": [99999999]},
                  {"temperature": -1}, {"temperature": 1e-300}, {"top_p": 0}, {"top_p": 1e-300}, {"top_k": -2},
                  {"min_p": 1}, {"repetition_penalty": 0}, {"presence_penalty": 2, "frequency_penalty": -2,
                                                            "logprobs": True, "top_logprobs": 20},
                  {"max_tokens": -1}, {"max_tokens": 0}, {"max_tokens": 2 ** 31}, {"min_tokens": 5, "max_tokens": 4},
                  {"seed": -(2 ** 63)}, {"seed": 2 ** 63 - 1}, {"top_logprobs": 5}, {"logprobs": True, "top_logprobs": 21},
                  {"chat_template_kwargs": {"x": [[[]]]}}, {"messages": [{"role": "user", "content": "\u0007\U0010ffff"}]},
                  {"messages": [{"role": "user", "content": [{"type": "text", "text": "1+1"}]}]},
                  {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "file:///"}}]}]},
                  {"messages": [{"role": "assistant", "content": None}]}, {"user": "x" * 100000}):
        status, _, body = post({**CHAT, "max_tokens": 3, **extra})
        assert status in (200, 400), f"{extra}: {status} {body}"
        if status == 400:
            error = json.loads(body)["error"]
            assert error["param"] and error["param"].split("[")[0] in extra, f"{extra}: {error}"
            assert error["code"] in ("invalid_request", "unsupported_parameter", "context_length_exceeded")
    assert post(CHAT)[0] == 200


def main():
    failures = 0
    for function in TESTS:
        try:
            function()
            print(f"ok {function.__name__}", flush=True)
        except Exception as error:  # every kind of failure is one line of the report
            where = traceback.extract_tb(error.__traceback__)
            line = [frame.lineno for frame in where if frame.filename == __file__][-1]
            print(f"FAILED {function.__name__}: line {line}: {type(error).__name__}: {error}", flush=True)
            failures += 1
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
