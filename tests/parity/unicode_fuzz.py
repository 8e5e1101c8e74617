# SPDX-License-Identifier: Apache-2.0
"""Texts that are hard on a tokenizer: fixed cases and seeded random ones.

Random characters are taken from those assigned in the Unicode version of Python's own tables (14.0
in Python 3.11), so that no case depends on how new the tables of either side are.
"""

import sys
import unicodedata

FIXED_CASES = [
    "",
    " ",
    "  ",
    "   ",
    "\t",
    "\n",
    "\n\n",
    "\n\n\n",
    "\r\n",
    "\r\n\r\n",
    " \n",
    "\n ",
    " \n \n ",
    "\t\n",
    "a\n",
    "a \n b",
    "Hello world",
    " Hello world",
    "Hello  world",
    "Hello   world ",
    "hello\tworld",
    "What is 345 + 678?",
    "345+678",
    "1",
    "12",
    "123",
    "1234",
    "12345",
    "1 2 3",
    " 7",
    "3.14",
    "1,000,000",
    "a1b2c3",
    "٣٤٥",
    "५६७",
    "Ⅷ ½ ²",
    "it's",
    "It'S",
    "we'Re",
    "they'LL",
    "I'd've",
    "'sad",
    "''s",
    "o'\u017f",
    "'\u017f",
    "don't 't",
    "\u2019s",
    "x'Mx",
    "naïve café",
    "cafe\u0301",
    "Å \u212b A\u030a",
    "\u1100\u1161\u11a8",
    "각",
    "q\u0323\u0307",
    "ﬁ ﬀ",
    "你好，世界",
    "こんにちは 世界",
    "안녕하세요 세계",
    "Привет, мир!",
    "שלום עולם",
    "مرحبا بالعالم",
    "नमस्ते दुनिया",
    "ไทยภาษา",
    "🙂",
    "👩‍👩‍👧‍👦 family",
    "🏳️‍🌈",
    "🇩🇪🇫🇷",
    "a🙂b",
    "→ ✓",
    " →",
    "→→→",
    "∑∫√",
    "\u00a0",
    "a\u00a0b",
    "\u3000全角\u3000",
    "\u2028\u2029",
    "\u200b",
    "\ufeffx",
    "\u0000",
    "a\u0000b",
    "\u0085",
    "\u000b\u000c",
    "\u001c\u001d",
    "\U0010ffff",
    "\ufffd",
    "\ue000",
    "!!!",
    "...",
    " ...",
    "...\n",
    "...\r\n\n",
    "!?\n\n x",
    "--\n",
    " (a) [b] {c}",
    "a_b",
    "__init__",
    "#include <stdio.h>",
    "for (int i = 0; i < n; i++) {\n    sum += a[i];\n}\n",
    "    indented\n\tmore\n",
    "x\n  y\n    z",
    "trailing   ",
    "\n   \n   x",
    "https://spate.invalid/a?b=c&d=%20#e",
    "user@spate.invalid",
    "C:\\temp\\x",
    "$1 + $2 = €3",
    "50% off",
    "<b>bold</b>",
    "<think>",
    "</think>",
    "<think>\n12 + 3\n</think>\n\n15",
    "a<think>b",
    "<think><think>",
    "<thin",
    "< think>",
    "</think",
    "<｜begin▁of▁sentence｜>",
    "<｜User｜>hi<｜Assistant｜>",
    "<｜end▁of▁sentence｜><｜end▁of▁sentence｜>",
    "<|User|>",
    "<｜User ｜>",
    "｜",
    "▁",
    "<|im_start|>user\nhi<|im_end|>\n",
    "<|endoftext|>",
    "<|begin_of_text|>",
    "<|eot_id|>x",
    " <|im_end|> ",
]

SPACES = [
    " ",
    " ",
    " ",
    "  ",
    "   ",
    "\n",
    "\n\n",
    "\t",
    "\r\n",
    " \n",
    "\u00a0",
    "\u2003",
    "\u3000",
    "\u0085",
    "\r",
]
SUFFIXES = [
    "'s",
    "'t",
    "'re",
    "'ve",
    "'m",
    "'ll",
    "'d",
    "'S",
    "'RE",
    "'Ll",
    "\u2019s",
    "'\u017f",
    "'x",
]
MARKS = '!"#$%&()*+,-./:;<=>?@[\\]^_`{|}~→✓«»…—'
WORDS = (
    "the of and to water river model token charge price hello world "
    "integer return void static include spate brook "
    "Straße niño façade Žluťoučký ąęśćż İstanbul Ελλάδα Москва 東京 上海 서울 "
    "हिन्दी العربية עברית ไทย"
).split()
RANGES = [
    (0x20, 0x7E),
    (0xA0, 0x17F),
    (0x300, 0x36F),
    (0x370, 0x52F),
    (0x590, 0x6FF),
    (0x900, 0x97F),
    (0xE00, 0xE7F),
    (0x1100, 0x11FF),
    (0x1E00, 0x1FFF),
    (0x2000, 0x2BFF),
    (0x3000, 0x30FF),
    (0x4E00, 0x9FFF),
    (0xAC00, 0xD7A3),
    (0xF900, 0xFAFF),
    (0xFF00, 0xFFEF),
    (0x1D400, 0x1D7FF),
    (0x1F300, 0x1FAFF),
    (0x20000, 0x2A6DF),
    (0, 0x10FFFF),
]


def assigned(code):
    return unicodedata.category(chr(code)) not in ("Cn", "Cs")


def random_character(rng, low, high):
    while True:
        code = rng.randint(low, min(high, sys.maxunicode))
        if assigned(code):
            return chr(code)


def random_run(rng):
    low, high = rng.choice(RANGES)
    return "".join(random_character(rng, low, high) for _ in range(rng.randint(1, 8)))


def random_piece(rng, specials):
    """One piece of a text, of a kind drawn at random."""
    kind = rng.random()
    if kind < 0.30:
        return rng.choice(WORDS)
    if kind < 0.50:
        return rng.choice(SPACES)
    if kind < 0.60:
        return str(rng.randrange(10 ** rng.randint(1, 7)))
    if kind < 0.70:
        return "".join(rng.choice(MARKS) for _ in range(rng.randint(1, 4)))
    if kind < 0.76:
        return rng.choice(SUFFIXES)
    if kind < 0.79 and specials:
        special = rng.choice(specials)
        return special if rng.random() < 0.7 else special[:-1]
    return random_run(rng)


def random_text(rng, specials):
    return "".join(random_piece(rng, specials) for _ in range(rng.randint(1, 40)))
