# SPDX-License-Identifier: Apache-2.0
"""docs/kubernetes/tutorial.md from its first command to its last: it makes its own cluster, and takes it down."""
import os
import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import pages  # noqa: E402
import product  # noqa: E402
import rig  # noqa: E402


class Tutorial(unittest.TestCase):
    def test_every_command_does_what_the_page_shows(self):
        cluster = rig.Cluster(f"guides-{os.getpid()}")
        self.addCleanup(cluster.down)
        shell = pages.Shell(cluster.plan.name, cluster.plan.programs)
        self.addCleanup(shell.close)
        pages.follow("tutorial.md", shell, {"8080": str(pages.free_port()), "build/dev/bin": str(product.BIN)})
        self.assertFalse(cluster.plan.folder.exists(), "the cluster is down")


class Shown(unittest.TestCase):
    """What compares pages with what comes."""

    def test_what_is_shown_must_come_in_its_order(self):
        came = "NAME   AGE\nbrook  17s\ntotal  3\n"
        for shown, missing in (("NAME AGE\nbrook ...", None), ("brook ...\ntotal 3", None), ("total 3\nbrook ...", "brook ..."),
                               ("brook 18s", "brook 18s"), ("brook", "brook"), ("...ook...s", None)):
            with self.subTest(shown=shown):
                self.assertEqual(pages.missing_line(shown, came), missing)

    def test_the_page_shows_something_of_every_step(self):
        found = pages.blocks("tutorial.md")
        self.assertGreater(sum(block.language == "sh" for block in found), 12)
        self.assertGreater(sum(block.language == "text" for block in found), 7)


if __name__ == "__main__":
    unittest.main()
