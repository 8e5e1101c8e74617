# SPDX-License-Identifier: Apache-2.0
"""Variables of a chat template: chat_template_kwargs reach it, and what nobody sets is undefined, as in transformers."""
import unittest

import rig as rigs

# In the manner of Qwen3's.
TEMPLATE = """{%- for message in messages %}{{ '<|' + message.role + '|>' + message.content }}{%- endfor %}
{%- if add_generation_prompt %}{{ '<|assistant|>' }}
{%- if enable_thinking is not defined %}{{ 'U' }}{%- elif enable_thinking is false %}{{ 'F' }}{%- else %}{{ 'T' }}
{%- endif %}{{ note if note }}{%- endif %}"""


class Template(unittest.TestCase):
    def setUp(self):
        self.agent = rigs.agent_of_altered_model(self, {"chat_template.jinja": TEMPLATE})

    def post(self, path, **body):
        return rigs.request_json(self.agent.address, "POST", path, {"model": "m", "max_tokens": 1, **body}, timeout=60)

    def ids_of_text(self, text):
        status, answer = self.post("/v1/completions", prompt=text, return_token_ids=True)
        self.assertEqual(status, 200, answer)
        return answer["choices"][0].get("prompt_token_ids") or answer["prompt_token_ids"]

    def chat(self, **body):
        return self.post("/v1/chat/completions", messages=[{"role": "user", "content": "hi"}], return_token_ids=True,
                         **body)

    def test_kwargs_are_variables(self):
        for kwargs, tail in [
            (None, "<|assistant|>U"),
            ({}, "<|assistant|>U"),
            ({"enable_thinking": False}, "<|assistant|>F"),
            ({"enable_thinking": True}, "<|assistant|>T"),
            ({"enable_thinking": False, "note": "x", "unused": [1]}, "<|assistant|>Fx"),
            ({"add_generation_prompt": False}, ""),
        ]:
            with self.subTest(kwargs=kwargs):
                status, answer = self.chat(**({} if kwargs is None else {"chat_template_kwargs": kwargs}))
                self.assertEqual(status, 200, answer)
                ids = answer["choices"][0].get("prompt_token_ids") or answer["prompt_token_ids"]
                bos = self.ids_of_text("x")[:1]  # completions begin with it, this template has none
                self.assertEqual(bos + ids, self.ids_of_text("<|user|>hi" + tail))

    def test_what_the_template_cannot_do_is_refused(self):
        for name in ("chat_template", "tokenize", "continue_final_message", "messages"):
            status, answer = self.chat(chat_template_kwargs={name: "x"})
            self.assertEqual((status, answer["error"]["code"], answer["error"]["param"]),
                             (400, "unsupported_parameter", "chat_template_kwargs"), answer)
            self.assertIn(name, answer["error"]["message"])


if __name__ == "__main__":
    unittest.main()
