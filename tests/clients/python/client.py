# SPDX-License-Identifier: Apache-2.0
"""The official Python client, unmodified, against the gateway. Runs under every pinned version of it."""
import os
import sys
import threading
import time
import traceback
import urllib.request

import openai

URL = os.environ["SPATE_URL"]
QUESTION = [{"role": "user", "content": "What is 345 + 678?"}]
TESTS = []


def test(function):
    TESTS.append(function)
    return function


def client(key="SPATE_KEY", **options):
    return openai.OpenAI(base_url=URL, api_key=os.environ[key], **{"max_retries": 0, **options})


def chat(**options):
    return client().chat.completions.create(**{"model": "brook", "messages": QUESTION, "temperature": 0, **options})


def complete(**options):
    return client().completions.create(**{"model": "brook", "prompt": "What is 2 + 3?", "temperature": 0, "max_tokens": 16,
                                          **options})


def raises(error_class, call, **expected):
    """The call fails with exactly that class, and the error has these attributes. Returns the error."""
    try:
        call()
    except openai.APIStatusError as error:
        assert type(error) is error_class, f"{type(error).__name__}: {error}"
        for name, value in expected.items():
            assert getattr(error, name) == value, f"{name} is {getattr(error, name)!r}: {error}"
        return error
    raise AssertionError(f"nothing was raised instead of {error_class.__name__}")


def wait_until(condition, seconds, what):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"{what} within {seconds} s"
        time.sleep(0.01)


def agents_running():
    """Sequences that the engines of both pods work on."""
    total = 0
    for address in os.environ["SPATE_AGENTS"].split():
        text = urllib.request.urlopen(f"http://{address}/metrics").read().decode()
        total += sum(float(line.rsplit(" ", 1)[1]) for line in text.splitlines()
                     if line.startswith("vllm:num_requests_running"))
    return total


@test
def chat_answers():
    answer = chat()
    choice = answer.choices[0]
    assert answer.object == "chat.completion" and answer.id.startswith("chatcmpl-") and answer.model == "brook"
    assert abs(answer.created - time.time()) < 60
    assert choice.index == 0 and choice.finish_reason == "stop" and choice.message.role == "assistant"
    assert "1023" in choice.message.content
    assert choice.message.reasoning_content, "the thinking is in reasoning_content"
    assert "<think>" not in choice.message.content
    usage = answer.usage
    assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens
    assert 0 < usage.completion_tokens_details.reasoning_tokens < usage.completion_tokens
    assert usage.prompt_tokens_details.cached_tokens <= usage.prompt_tokens


@test
def a_repeated_prompt_is_cached():
    # Least-outstanding routing may take the other pod, so both are warmed up: a few times is enough.
    prompt = [{"role": "user", "content": "What is 12 + 34? " * 40}]
    cached = [chat(messages=prompt, max_tokens=4).usage.prompt_tokens_details.cached_tokens for _ in range(6)]
    assert cached[-1] > 0, cached


@test
def a_stream_has_one_id_and_ends_with_usage():
    whole = chat()
    chunks = list(chat(stream=True, stream_options={"include_usage": True}))
    assert len({chunk.id for chunk in chunks}) == 1 and len({chunk.created for chunk in chunks}) == 1
    assert all(chunk.object == "chat.completion.chunk" and chunk.model == "brook" for chunk in chunks)
    assert chunks[-1].choices == [] and chunks[-1].usage.completion_tokens == whole.usage.completion_tokens
    assert all(chunk.usage is None for chunk in chunks[:-1])
    deltas = [chunk.choices[0].delta for chunk in chunks[:-1]]
    assert deltas[0].role == "assistant" and all(delta.role is None for delta in deltas[1:])
    assert "".join(delta.content or "" for delta in deltas) == whole.choices[0].message.content
    thinking = "".join(getattr(delta, "reasoning_content", None) or "" for delta in deltas)
    assert thinking == whole.choices[0].message.reasoning_content
    reasons = [chunk.choices[0].finish_reason for chunk in chunks[:-1]]
    assert reasons[-1] == "stop" and set(reasons[:-1]) <= {None}


@test
def a_stream_without_the_option_has_no_usage():
    chunks = list(chat(stream=True, max_tokens=5))
    assert all(chunk.usage is None and chunk.choices for chunk in chunks)
    assert chunks[-1].choices[0].finish_reason == "length"


@test
def both_spellings_of_the_limit():
    for name in ("max_tokens", "max_completion_tokens"):
        answer = chat(**{name: 7})
        assert answer.usage.completion_tokens == 7 and answer.choices[0].finish_reason == "length"


@test
def completions_by_text_and_by_ids():
    by_text = complete(extra_body={"return_token_ids": True})
    assert by_text.object == "text_completion" and by_text.id.startswith("cmpl-")
    by_ids = complete(prompt=by_text.prompt_token_ids)
    assert by_ids.choices[0].text == by_text.choices[0].text != ""
    assert by_ids.usage.prompt_tokens == by_text.usage.prompt_tokens == len(by_text.prompt_token_ids)
    assert len(by_text.choices[0].token_ids) == by_text.usage.completion_tokens
    streamed = list(complete(stream=True))
    assert "".join(chunk.choices[0].text for chunk in streamed) == by_text.choices[0].text


@test
def chat_logprobs():
    answer = chat(logprobs=True, top_logprobs=3)
    tokens = answer.choices[0].logprobs.content
    assert len(tokens) == answer.usage.completion_tokens
    for token in tokens:
        assert token.logprob <= 0 and len(token.top_logprobs) == 3
        ordered = [top.logprob for top in token.top_logprobs]
        assert ordered == sorted(ordered, reverse=True)
        assert token.top_logprobs[0].token == token.token and token.top_logprobs[0].logprob == token.logprob
        assert bytes(token.bytes).decode("utf-8", "replace") == token.token
    streamed = [token for chunk in chat(logprobs=True, top_logprobs=3, stream=True) if chunk.choices[0].logprobs
                for token in chunk.choices[0].logprobs.content]
    assert [token.logprob for token in streamed] == [token.logprob for token in tokens]
    assert chat(logprobs=True).choices[0].logprobs.content[0].top_logprobs == []
    assert chat().choices[0].logprobs is None


@test
def completion_logprobs():
    # A high temperature and many alternatives: tokens that are no text of their own are among them.
    answer = complete(logprobs=20, temperature=2, seed=5, max_tokens=64, extra_body={"ignore_eos": True})
    logprobs = answer.choices[0].logprobs
    count = answer.usage.completion_tokens
    assert count == 64
    assert len(logprobs.tokens) == len(logprobs.token_logprobs) == len(logprobs.text_offset) == count
    assert len(logprobs.top_logprobs) == count and all(0 < len(top) <= 20 for top in logprobs.top_logprobs)
    # Offsets count characters, and the text holds some of more than one byte.
    text = answer.choices[0].text
    assert len(text.encode()) > len(text)
    for token, offset in zip(logprobs.tokens, logprobs.text_offset):
        assert "\ufffd" in token or text.startswith(token, offset), (token, offset)
    assert offset > 30


@test
def a_seed_reproduces():
    texts = [complete(prompt="zebra", temperature=2, seed=seed, max_tokens=24).choices[0].text for seed in (7, 7, 8, 9, 10)]
    assert texts[0] == texts[1]
    assert len(set(texts)) > 1, "other seeds give other answers"


@test
def stop_strings_end_the_answer():
    content = chat().choices[0].message.content
    stop = content[len(content) // 2]
    answer = chat(stop=[stop, "never in it"]).choices[0]
    thinking = answer.message.reasoning_content or ""
    assert answer.finish_reason == "stop" and stop not in answer.message.content + thinking
    assert chat(stop=stop).choices[0].message.content == answer.message.content


@test
def models_are_listed_and_retrieved():
    names = {model.id: model for model in client().models.list()}
    assert set(names) == {"brook", "asleep"} and names["brook"].object == "model"
    for name in ("brook", "default/brook"):
        assert client().models.retrieve(name).id == name
    error = raises(openai.NotFoundError, lambda: client().models.retrieve("nothing"), code="model_not_found")
    assert "nothing" in error.message


@test
def the_long_name_serves_too():
    assert chat(model="default/brook", max_tokens=2).model == "default/brook"


@test
def headers_are_there():
    raw = client().chat.completions.with_raw_response.create(model="brook", messages=QUESTION, max_tokens=2,
                                                             extra_headers={"x-request-id": "mine-17"})
    assert raw.headers["x-request-id"] == "mine-17" and raw.parse()._request_id == "mine-17"
    assert chat(max_tokens=2)._request_id
    with client().chat.completions.with_streaming_response.create(model="brook", messages=QUESTION, max_tokens=2,
                                                                  stream=True) as stream:
        assert stream.headers["content-type"] == "text/event-stream"
        assert stream.headers["cache-control"] == "no-cache" and stream.headers["x-accel-buffering"] == "no"


@test
def bad_requests_are_named():
    long_prompt = [{"role": "user", "content": "1 + 1 " * 20000}]
    raises(openai.BadRequestError, lambda: chat(messages=long_prompt), code="context_length_exceeded",
           type="invalid_request_error")
    raises(openai.BadRequestError, lambda: chat(max_tokens=10 ** 6), code="context_length_exceeded")
    tool = {"type": "function", "function": {"name": "f", "parameters": {}}}
    for name, value in (("tools", [tool]), ("n", 2), ("response_format", {"type": "json_object"})):
        error = raises(openai.BadRequestError, lambda: chat(**{name: value}), code="unsupported_parameter", param=name)
        assert f"'{name}'" in error.message
    raises(openai.BadRequestError, lambda: chat(temperature=3), param="temperature", code="invalid_request")
    raises(openai.BadRequestError, lambda: chat(messages=[]), param="messages")
    assert chat(max_tokens=2, extra_body={"no_such_parameter": {"a": 1}}).choices


@test
def keys_are_checked():
    stranger = openai.OpenAI(base_url=URL, api_key="sk-wrong", max_retries=0)
    error = raises(openai.AuthenticationError, lambda: stranger.models.list(), code="invalid_api_key")
    assert "sk-wrong" not in str(error)


@test
def unknown_models_list_the_known_ones():
    error = raises(openai.NotFoundError, lambda: chat(model="gpt-4"), code="model_not_found", param="model")
    assert "brook" in error.message and "asleep" in error.message


@test
def a_model_without_pods_is_an_internal_server_error():
    error = raises(openai.InternalServerError, lambda: chat(model="asleep"), code="model_unavailable", status_code=503)
    assert float(error.response.headers["retry-after"]) <= 60


@test
def the_rate_is_limited():
    limited = client("SPATE_KEY_RATE")
    for _ in range(2):
        limited.completions.create(model="brook", prompt="1", max_tokens=1)
    error = raises(openai.RateLimitError, lambda: limited.completions.create(model="brook", prompt="1", max_tokens=1),
                   code="rate_limit_exceeded", type="rate_limit_error")
    headers = error.response.headers
    assert 0 < float(headers["retry-after"]) <= 30 and 0 < int(headers["retry-after-ms"]) <= 30000


def endless(key):
    return client(key).chat.completions.create(model="brook", messages=QUESTION, stream=True, max_tokens=15000,
                                               extra_body={"ignore_eos": True})


@test
def a_full_tenant_is_retried_after_the_time_asked_for():
    stream = endless("SPATE_KEY_ONE")
    next(iter(stream))
    raises(openai.RateLimitError, lambda: client("SPATE_KEY_ONE").completions.create(model="brook", prompt="1"),
           code="concurrency_limit_exceeded")
    threading.Timer(0.3, stream.close).start()
    before = time.monotonic()
    answer = client("SPATE_KEY_ONE", max_retries=2).completions.create(model="brook", prompt="1", max_tokens=1)
    assert answer.choices and time.monotonic() - before >= 0.99, "retry-after says one second"


@test
def leaving_in_mid_stream_frees_the_slot():
    wait_until(lambda: agents_running() == 0, 5, "the engines are idle")
    stream = endless("SPATE_KEY_ONE")
    for _, _chunk in zip(range(5), stream):
        pass
    assert agents_running() == 1
    stream.close()
    wait_until(lambda: agents_running() == 0, 1, "the engine's slot is free")
    wait_until(lambda: accepted("SPATE_KEY_ONE"), 2, "the tenant's place is free")


def accepted(key):
    try:
        return client(key).completions.create(model="brook", prompt="1", max_tokens=1).choices
    except openai.RateLimitError:
        return False


@test
def many_at_once():
    """More than the slots of both pods: all are answered, and alike."""
    answers = [None] * 24

    def ask(index):
        answers[index] = chat().choices[0].message.content

    threads = [threading.Thread(target=ask, args=(index,)) for index in range(len(answers))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(answers)) == 1 and answers[0]


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
