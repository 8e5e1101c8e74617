# SPDX-License-Identifier: Apache-2.0
"""docs/kubernetes/troubleshooting.md has an entry for everything that the operator can say of a model, and for nothing else. What
it can say is read from its source."""
import pathlib
import re
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "kubernetes" / "troubleshooting.md").read_text()
RECONCILE = {path.name: path.read_text() for path in (ROOT / "operator" / "reconcile").glob("*.c")}
KUBE = {path.name: path.read_text() for path in (ROOT / "operator" / "kube").glob("*.c")}
WORD = re.compile(r'"([A-Z][A-Za-z]+)"')


def calls(source, function):
    """The arguments of each call in a C file, not those of the function's own definition."""
    found = re.findall(rf"(?<![a-z_] \*)(?<!void )\b{function}\(((?:[^()]|\([^()]*(?:\([^()]*\)[^()]*)*\))*)\);", source)
    assert len(found) == len(re.findall(rf"^ +{function}\(", source, re.MULTILINE)), f"a call of {function} was not understood"
    return found


def conditions():
    """(type, reason) of each condition that the source sets."""
    found = set()
    for source in RECONCILE.values():
        for function in ("pass_condition", "set_condition"):
            for arguments in calls(source, function):
                kind, *reasons = WORD.findall(arguments)
                if "found.reason" in arguments:
                    reasons += re.findall(r'found->reason = "(\w+)"', source)
                assert reasons, f"no reason in {function}({arguments})"
                found |= {(kind, reason) for reason in reasons}
        for arguments in calls(source, "ready_say"):
            found.add(("Ready", WORD.search(arguments)[1]))
    return found


def decisions():
    policy = (ROOT / "autoscale" / "policy.h").read_text()
    found = set(re.findall(r'X\(AUTOSCALE_\w+, "(\w+)"', policy))
    for source in RECONCILE.values():
        for arguments in calls(source, "pass_decision"):
            found |= set(WORD.findall(arguments))
    return found


def events():
    of_the_platform = {word for source in KUBE.values() for word in re.findall(r'^#define EVENT_\w+ +"(\w+)"', source, re.MULTILINE)}
    return of_the_platform | {word for source in RECONCILE.values() for arguments in calls(source, "pass_event")
                              for word in WORD.findall(arguments)}


def messages_of_pods():
    """What is said of a pod that does not run, without the details and the cures."""
    words, pods = KUBE["kube_words.c"], KUBE["kube_pods.c"]
    cures = words[words.index("} scheduler_rows[] = {"):words.index("static struct str essence")]
    source = re.sub(r'"\s*"', "", words.replace(cures, "") + KUBE["kube_pod.c"])
    rows = re.findall(r'\{"[A-Z]\w+",\s*"([^"]+)"', source)
    added = re.findall(r'kube_words_add\(words,\s*"([a-z][^"]+)"', source)
    ended = re.findall(r'"(its agent ended[^"]+)"', source)
    told = re.findall(r'return STR\("([^"]+)"\)', pods[pods.index("message_of("):])
    return {re.split("[;:%]", text)[0].strip() for text in (*rows, *added, *ended, *told)}


def section(title):
    """The text under a heading, up to the next one."""
    return re.split(r"^#+ ", PAGE.split(f"# {title}\n", 1)[1], maxsplit=1, flags=re.MULTILINE)[0]


def entries(title):
    """What stands in the first column of its table, in backquotes."""
    rows = [line.split("|")[1] for line in section(title).splitlines() if line.startswith("| `")]
    return {word for row in rows for word in re.findall(r"`([^`]+)`", row)}


class Troubleshooting(unittest.TestCase):
    def test_every_condition_has_its_entry(self):
        said = conditions()
        types = {kind for kind, _ in said}
        written = {(kind, reason) for kind in types if f"\n## {kind}\n" in PAGE for reason in entries(kind)}
        self.assertGreater(len(said), 15)
        self.assertEqual(written, said)

    def test_no_section_is_of_a_condition_that_is_not_set(self):
        headings = set(re.findall(r"^## ([A-Z][a-z]+[A-Z]\w+|Ready|Stalled|Reconciling)$", PAGE, re.MULTILINE))
        self.assertEqual(headings, {kind for kind, _ in conditions()})

    def test_decisions_events_and_pods(self):
        self.assertEqual(entries("Why the size is what it is"), decisions())
        self.assertEqual(entries("Other events"), events())
        said = messages_of_pods()
        self.assertGreater(len(said), 12)
        self.assertEqual(entries("What a pod waits for"), said)


if __name__ == "__main__":
    unittest.main()
