# SPDX-License-Identifier: Apache-2.0
"""docs/kubernetes/nodes.md names the labels and the taints of nodes that the operator knows, and no others. They are read from its
source."""
import pathlib
import re
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "kubernetes" / "nodes.md").read_text()
SOURCE = (ROOT / "operator" / "kube" / "kube_node.c").read_text()


def initialiser(name):
    return re.search(rf"\b{name}\[\] = \{{\n(.*?)\n\}};", SOURCE, re.DOTALL)[1]


def first_columns(title):
    """What stands in backquotes there, of each row of the table under that heading."""
    section = PAGE.split(f"\n## {title}\n")[1].split("\n## ")[0]
    rows = [line.split("|")[1:3] for line in section.splitlines() if line.startswith("| `")]
    return [(re.findall(r"`([^`]+)`", first), re.findall(r"`([^`]+)`", second)) for first, second in rows]


class Nodes(unittest.TestCase):
    def test_the_labels_that_mark_spot(self):
        known = re.findall(r'\{"([^"]+)", "([^"]+)"\}', initialiser("kube_spot_labels"))
        self.assertGreater(len(known), 3)
        self.assertEqual([(key, value) for (key,), (value,) in first_columns("Spot nodes")], known)

    def test_the_taints_of_a_reclaim(self):
        known = re.findall(r'"([^"]+)"', initialiser("reclaim_taints"))
        self.assertGreater(len(known), 3)
        written = [taint.removesuffix("...") for taints, _ in first_columns("When a node is reclaimed") for taint in taints]
        self.assertEqual(sorted(written), sorted(known))


if __name__ == "__main__":
    unittest.main()
