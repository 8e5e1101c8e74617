# SPDX-License-Identifier: Apache-2.0
"""The official OpenAI client, unmodified: models, a whole answer, a stream. Runs under the interpreter that tests/clients
installs; prints the usage of its answers, one JSON object a line. SPATE_URL (with /v1), SPATE_KEY and SPATE_MODEL say whom to ask."""
import os

import openai

MODEL = os.environ["SPATE_MODEL"]
QUESTION = {"model": MODEL, "messages": [{"role": "user", "content": "What is 345 + 678?"}], "temperature": 0}


def main():
    client = openai.OpenAI(base_url=os.environ["SPATE_URL"], api_key=os.environ["SPATE_KEY"], max_retries=0)
    models = [model.id for model in client.models.list()]
    assert MODEL in models or MODEL.partition("/")[2] in models, models

    whole = client.chat.completions.create(**QUESTION)
    assert "1023" in whole.choices[0].message.content, whole
    print(whole.usage.model_dump_json())

    chunks = list(client.chat.completions.create(**QUESTION, stream=True, stream_options={"include_usage": True}))
    text = "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices)
    assert text == whole.choices[0].message.content, text
    assert len({chunk.id for chunk in chunks}) == 1, "a stream has one id"
    assert len(chunks) > 10, "it came in pieces"
    print(chunks[-1].usage.model_dump_json())

    try:
        client.with_options(api_key="sk-not-a-key").models.list()
    except openai.AuthenticationError:
        return
    raise AssertionError("a key that nobody made was taken")


if __name__ == "__main__":
    main()
