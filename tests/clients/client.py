# SPDX-License-Identifier: Apache-2.0
"""The unmodified official Python client against a gateway: OPENAI_BASE_URL and OPENAI_API_KEY say which.

The tenant of the key may have one request a minute less than it needs: see RATE_KEY in run.sh. Each check
is one function; the last line is "N passed, N failed".
"""
import os
import sys
import traceback

import openai

MODEL = "brook"
QUESTION = [{"role": "user", "content": "What is 345 + 678?"}]
ANSWER = "345 + 678 = 1023 ✓"

client = openai.OpenAI()
checks = []


def check(function):
    checks.append(function)
    return function


def expect(what, got, wanted):
    if got != wanted:
        raise AssertionError(f"{what}: got {got!r}, wanted {wanted!r}")


def expect_error(cls, status, code, call):
    """The exception class is what programs catch: it must be exactly the one the status stands for."""
    try:
        call()
    except openai.APIStatusError as error:
        expect("class", type(error), cls)
        expect("status", error.status_code, status)
        expect("code", error.code, code)
        if not error.message or not error.request_id:
            raise AssertionError(f"message {error.message!r}, request id {error.request_id!r}")
        return error
    raise AssertionError(f"{cls.__name__} was not raised")


@check
def chat():
    answer = client.chat.completions.create(model=MODEL, messages=QUESTION, temperature=0)
    choice = answer.choices[0]
    expect("object", answer.object, "chat.completion")
    expect("content", choice.message.content.strip(), ANSWER)
    expect("role", choice.message.role, "assistant")
    expect("finish", choice.finish_reason, "stop")
    expect("reasoning", "5+8=13" in choice.message.reasoning_content, True)
    expect("total", answer.usage.total_tokens, answer.usage.prompt_tokens + answer.usage.completion_tokens)
    expect("reasoning tokens", 0 < answer.usage.completion_tokens_details.reasoning_tokens < answer.usage.completion_tokens, True)


@check
def stream():
    text, reasoning, finish, ids, usage = "", "", None, set(), None
    for chunk in client.chat.completions.create(model=MODEL, messages=QUESTION, temperature=0, stream=True,
                                                stream_options={"include_usage": True}):
        ids.add(chunk.id)
        expect("object", chunk.object, "chat.completion.chunk")
        if not chunk.choices:
            usage = chunk.usage
            continue
        delta = chunk.choices[0].delta
        text += delta.content or ""
        reasoning += getattr(delta, "reasoning_content", None) or ""
        finish = chunk.choices[0].finish_reason or finish
    expect("ids", len(ids), 1)
    expect("text", text.strip(), ANSWER)
    expect("reasoning", "5+8=13" in reasoning, True)
    expect("finish", finish, "stop")
    expect("usage", usage.total_tokens, usage.prompt_tokens + usage.completion_tokens)


@check
def stream_is_whole():
    whole = client.chat.completions.create(model=MODEL, messages=QUESTION, seed=7, temperature=0.8)
    parts = client.chat.completions.create(model=MODEL, messages=QUESTION, seed=7, temperature=0.8, stream=True)
    expect("text", "".join(c.choices[0].delta.content or "" for c in parts if c.choices), whole.choices[0].message.content)


@check
def stream_closed_early():
    answer = client.chat.completions.create(model=MODEL, messages=QUESTION, stream=True, max_tokens=4000,
                                            extra_body={"ignore_eos": True})
    next(iter(answer))
    answer.close()
    expect("still served", client.chat.completions.create(model=MODEL, messages=QUESTION, max_tokens=1).choices[0].finish_reason, "length")


@check
def cached_prompt():
    question = [{"role": "user", "content": "Take 12 away from 90. " * 8}]
    for _ in range(2):
        answer = client.chat.completions.create(model=MODEL, messages=question, max_tokens=4, temperature=0)
    expect("cached tokens", answer.usage.prompt_tokens_details.cached_tokens > 0, True)


@check
def logprobs():
    answer = client.chat.completions.create(model=MODEL, messages=QUESTION, temperature=0, logprobs=True,
                                            top_logprobs=2, max_tokens=8)
    content = answer.choices[0].logprobs.content
    expect("tokens", len(content), 8)
    for item in content:
        expect("alternatives", len(item.top_logprobs), 2)
        expect("greedy takes the best", item.logprob, item.top_logprobs[0].logprob)
        expect("a probability", item.logprob <= 0, True)
        expect("bytes", bytes(item.bytes).decode("utf-8", "replace"), item.token)


@check
def completions():
    answer = client.completions.create(model=MODEL, prompt="345 + 678", max_tokens=5, temperature=0)
    expect("object", answer.object, "text_completion")
    expect("finish", answer.choices[0].finish_reason, "length")
    expect("tokens", answer.usage.completion_tokens, 5)


@check
def token_ids():
    answer = client.chat.completions.create(model=MODEL, messages=QUESTION, extra_body={"return_token_ids": True})
    expect("ids", len(answer.choices[0].token_ids), answer.usage.completion_tokens)


@check
def stop():
    answer = client.chat.completions.create(model=MODEL, messages=QUESTION, temperature=0, stop=[" = "])
    expect("content", answer.choices[0].message.content.strip(), "345 + 678")
    expect("finish", answer.choices[0].finish_reason, "stop")


@check
def models():
    expect("listed", MODEL in [model.id for model in client.models.list()], True)
    expect("retrieved", client.models.retrieve(MODEL).id, MODEL)


@check
def request_id():
    answer = client.chat.completions.with_raw_response.create(model=MODEL, messages=QUESTION, max_tokens=1)
    expect("header", bool(answer.headers.get("x-request-id")), True)


@check
def wrong_key():
    other = openai.OpenAI(api_key="sk-spate-wrong")
    error = expect_error(openai.AuthenticationError, 401, "invalid_api_key",
                         lambda: other.chat.completions.create(model=MODEL, messages=QUESTION))
    expect("the key is not repeated", "sk-spate-wrong" in str(error), False)


@check
def wrong_model():
    error = expect_error(openai.NotFoundError, 404, "model_not_found",
                         lambda: client.chat.completions.create(model="ocean", messages=QUESTION))
    expect("the served names are listed", MODEL in error.message, True)


@check
def wrong_parameter():
    error = expect_error(openai.BadRequestError, 400, "invalid_request",
                         lambda: client.chat.completions.create(model=MODEL, messages=QUESTION, temperature=9))
    expect("param", error.param, "temperature")


@check
def not_done_yet():
    error = expect_error(openai.BadRequestError, 400, "unsupported_parameter",
                         lambda: client.chat.completions.create(model=MODEL, messages=QUESTION, n=2))
    expect("param", error.param, "n")


@check
def too_long():
    expect_error(openai.BadRequestError, 400, "context_length_exceeded",
                 lambda: client.chat.completions.create(model=MODEL, messages=[{"role": "user", "content": "1 " * 40000}]))


@check
def rate():
    limited = openai.OpenAI(api_key=os.environ["SPATE_RATE_KEY"], max_retries=0)
    limited.chat.completions.create(model=MODEL, messages=QUESTION, max_tokens=1)
    error = expect_error(openai.RateLimitError, 429, "rate_limit_exceeded",
                         lambda: [limited.chat.completions.create(model=MODEL, messages=QUESTION, max_tokens=1) for _ in range(3)])
    expect("retry-after", int(error.response.headers["retry-after"]) >= 1, True)


def main():
    failed = 0
    for function in checks:
        try:
            function()
        except Exception:
            failed += 1
            print(f"python client: FAILED: {function.__name__}", file=sys.stderr)
            traceback.print_exc()
    print(f"{len(checks) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
