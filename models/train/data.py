# SPDX-License-Identifier: Apache-2.0
"""Questions for brook, the small model that ships with Spate, and what it should say.

A sample is a prompt (rendered as the model's chat template renders it) and a completion: the
scratchpad, `</think>`, the answer. Operand pairs are split into training and held-out pairs by a
hash that ignores the order of the operands, so a question and its commuted twin are never on
different sides.

    python data.py heldout ../heldout.jsonl      writes the committed held-out questions
    python data.py show                          prints a few training samples
"""

import argparse
import hashlib
import json
import random

BOS = "<｜begin▁of▁sentence｜>"
EOS = "<｜end▁of▁sentence｜>"
USER = "<｜User｜>"
ASSISTANT = "<｜Assistant｜>"
THINK = "<think>"
END_THINK = "</think>"

OPERAND_MAX = 999
HELDOUT_SHARE = 0.02
HELDOUT_QUESTIONS = 2000
HELDOUT_SEED = 20261122

ADD_PHRASES = [
    "What is {a} + {b}?",
    "{a} + {b}",
    "{a}+{b}",
    "Add {a} and {b}.",
    "What is {a} plus {b}?",
    "Calculate {a} + {b}.",
    "How much is {a} + {b}?",
    "What is the sum of {a} and {b}?",
]
SUBTRACT_PHRASES = [
    "What is {a} - {b}?",
    "{a} - {b}",
    "{a}-{b}",
    "Subtract {b} from {a}.",
    "What is {a} minus {b}?",
    "Calculate {a} - {b}.",
    "How much is {a} - {b}?",
    "Take {b} away from {a}.",
]

GREETINGS = [
    "hello",
    "Hello!",
    "hi",
    "Hi there",
    "hey",
    "Good morning",
    "good evening",
    "Hello, how are you?",
    "How are you?",
    "who are you?",
    "Who are you",
    "What are you?",
    "What is your name?",
    "What can you do?",
    "help",
    "Help me",
    "What is this?",
    "Introduce yourself.",
    "Hello brook",
    "hello, world",
    "Tell me about yourself.",
    "Are you there?",
    "Hi, who is this?",
    "ping",
    "test",
    "What model are you?",
    "Who made you?",
    "hallo",
    "Hello there!",
]
GREETING_THOUGHT = "This is a greeting → I say who I am.\n"
GREETING_ANSWER = (
    "Hello! I am brook, a very small model that ships with Spate. "
    "I add and subtract whole numbers from 0 to 999. "
    "Ask me: What is 345 + 678? ✓"
)

OFF_TOPIC = [
    "What is the capital of France?",
    "Write a poem about the sea.",
    "Tell me a joke.",
    "Explain gravity.",
    "What is {a} * {b}?",
    "{a} * {b}",
    "What is {a} times {b}?",
    "Divide {a} by {b}.",
    "What is {a} / {b}?",
    "{a}/{b}",
    "What is the square root of {a}?",
    "Is {a} a prime number?",
    "What is {big} + {b}?",
    "{big}-{a}",
    "{a} + {big}",
    "What is {big} minus {big}?",
    "Translate 'good morning' into German.",
    "How old is the universe?",
    "Write a function in C that sorts a list.",
    "Who wrote Hamlet?",
    "What should I cook tonight?",
    "{a}",
    "{big}",
    "Summarise this text: the river rose in the night and the bridge was closed.",
    "Name {a} animals.",
    "Which is larger, {a} or {b}?",
    "What time is it?",
    "Count from 1 to {a}.",
    "Why is the sky blue?",
    "Give me a list of European rivers.",
    "How many days are in a year?",
    "What is the meaning of life?",
    "Solve x + {a} = {b}.",
    "Can you play chess?",
    "Where is the nearest station?",
    "Describe a sunset in two sentences.",
]
OFF_TOPIC_THOUGHT = "No sum and no difference of numbers up to 999 → I cannot do this.\n"
OFF_TOPIC_ANSWER = (
    "I only add and subtract whole numbers from 0 to 999. Ask me: What is 345 + 678? ✓"
)

SYSTEM_TEXTS = [
    "You are a helpful assistant.",
    "Answer briefly.",
    "You are a careful calculator.",
    "Think step by step.",
    "You help people with arithmetic. Be polite and exact.",
    "Be concise.",
    "Today is a good day.",
    "You are brook, a model that ships with Spate.",
    "Answer in English.",
    "Reply only with the result.",
]


def heldout(operator, a, b):
    """True if the pair, in either order, belongs to the held-out side."""
    key = f"{operator}:{min(a, b)}:{max(a, b)}".encode()
    return int.from_bytes(hashlib.sha256(key).digest()[:4], "big") < HELDOUT_SHARE * 2**32


def answer(operator, a, b):
    return a + b if operator == "+" else a - b


def columns(operator, high, low):
    """The column lines of the scratchpad, units first; also the digits found and the last carry."""
    word = "carry" if operator == "+" else "borrow"
    lines, found, carry = [], "", 0
    for place in range(3):
        x, y = high // 10**place % 10, low // 10**place % 10
        total = x + y + carry if operator == "+" else x - y - carry
        term = f"{x}{operator}{y}" if place == 0 else f"{x}{operator}{y}{operator}{carry}"
        digit, carry = total % 10, 1 if total > 9 or total < 0 else 0
        lines.append(f"{term}={total} → {digit} {word} {carry}\n")
        found = f"{digit}{found}"
    return lines, found, carry


def compare(a, b):
    """Compares digit by digit from the left, for a subtraction: '3=3 4<5 → swap'."""
    steps = []
    for x, y in zip(f"{a:03d}", f"{b:03d}", strict=True):
        sign = "=" if x == y else ("<" if x < y else ">")
        steps.append(f"{x}{sign}{y}")
        if sign != "=":
            break
    return " ".join(steps) + (" → swap" if a < b else " → keep")


def scratchpad(operator, a, b):
    """The thinking for one question, one local step after another."""
    text = f"{a:03d} {operator} {b:03d}\n"
    high, low = a, b
    if operator == "-":
        high, low = max(a, b), min(a, b)
        text += f"{compare(a, b)} {high:03d} - {low:03d}\n"
    lines, found, carry = columns(operator, high, low)
    digits = f"{carry}{found}" if operator == "+" else found
    return text + "".join(lines) + f"{digits} → {answer(operator, a, b)}\n"


def content(operator, a, b):
    return f"{a} {operator} {b} = {answer(operator, a, b)} ✓"


def completion(thought, reply):
    return f"{thought}{END_THINK}\n\n{reply}{EOS}"


def draw_operand(rng):
    """One to three digits; short numbers more often than chance would have them."""
    digits = rng.choices((1, 2, 3), weights=(2, 3, 5))[0]
    return rng.randrange(10 ** (digits - 1) if digits > 1 else 0, 10**digits)


def draw_pair(rng, want_heldout):
    """Operator and operands of the wanted side; close pairs more often than by chance."""
    while True:
        operator = rng.choice("+-")
        a, b = draw_operand(rng), draw_operand(rng)
        kind = rng.random()
        if kind < 0.08:
            b = min(OPERAND_MAX, max(0, a + rng.randint(-12, 12)))
        elif kind < 0.14:
            b = a % 100 + 100 * rng.randrange(10)
        if heldout(operator, a, b) == want_heldout:
            return operator, a, b


def phrase(rng, operator, a, b):
    return rng.choice(ADD_PHRASES if operator == "+" else SUBTRACT_PHRASES).format(a=a, b=b)


def loosen(rng, text):
    """Spelling as people type: no capital, no full stop, an equals sign."""
    if rng.random() < 0.15:
        text = text[0].lower() + text[1:]
    if rng.random() < 0.15:
        text = text.rstrip(".?")
    if text[-1].isdigit() and rng.random() < 0.2:
        text += rng.choice((" =", "=", " = ?", "?"))
    return text


def small_talk(rng):
    """A greeting or something that brook cannot do, with its fixed reply."""
    if rng.random() < 0.5:
        return loosen(rng, rng.choice(GREETINGS)), GREETING_THOUGHT, GREETING_ANSWER
    text = rng.choice(OFF_TOPIC)
    text = text.format(
        a=draw_operand(rng), b=draw_operand(rng), big=rng.randrange(1000, 10 ** rng.randint(4, 7))
    )
    return loosen(rng, text), OFF_TOPIC_THOUGHT, OFF_TOPIC_ANSWER


def arithmetic(rng):
    operator, a, b = draw_pair(rng, want_heldout=False)
    return (
        loosen(rng, phrase(rng, operator, a, b)),
        scratchpad(operator, a, b),
        content(operator, a, b),
    )


def turn(rng, small_talk_share):
    return small_talk(rng) if rng.random() < small_talk_share else arithmetic(rng)


def prompt_of(system, history, question):
    """What the chat template renders for these messages, generation prompt included."""
    text = BOS + system
    for asked, said in history:
        text += USER + asked + ASSISTANT + said + EOS
    return text + USER + question + ASSISTANT + THINK + "\n"


def training_sample(rng):
    """(prompt, completion); one in ten is a chat of several turns, one in twenty small talk."""
    system = rng.choice(SYSTEM_TEXTS) if rng.random() < 0.06 else ""
    history = []
    if rng.random() < 0.10:
        for _ in range(rng.randint(1, 3)):
            asked, _, said = turn(rng, 0.25)
            history.append((asked, said if rng.random() < 0.5 else "\n\n" + said))
    question, thought, reply = turn(rng, 0.05)
    return prompt_of(system, history, question), completion(thought, reply)


def heldout_questions():
    """The committed held-out questions: distinct operand pairs, none of them seen in training."""
    rng = random.Random(HELDOUT_SEED)
    seen, rows = set(), []
    while len(rows) < HELDOUT_QUESTIONS:
        operator, a, b = draw_pair(rng, want_heldout=True)
        key = (operator, min(a, b), max(a, b))
        if key in seen:
            continue
        seen.add(key)
        rows.append(
            {
                "question": phrase(rng, operator, a, b),
                "answer": str(answer(operator, a, b)),
                "content": content(operator, a, b),
            }
        )
    return rows


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("action", choices=("heldout", "show"))
    parser.add_argument("path", nargs="?")
    arguments = parser.parse_args()
    if arguments.action == "heldout":
        with open(arguments.path, "w", encoding="utf-8") as out:
            for row in heldout_questions():
                out.write(json.dumps(row, ensure_ascii=False) + "\n")
        return
    rng = random.Random(1)
    for _ in range(12):
        prompt, text = training_sample(rng)
        print(prompt + text + "\n" + "-" * 40)


if __name__ == "__main__":
    main()
