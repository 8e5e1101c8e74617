# SPDX-License-Identifier: Apache-2.0
"""What the tests of the conformance list share: a client as a process, and a scripted API server."""
import time
import unittest

from api_server import ApiServer
from kube_tool import Tool, temporary_folder, write_kubeconfig

# Times are injected, so that eleven minutes of silence are one second.
QUICK = {"backoff_first_ms": 50, "backoff_max_ms": 400, "healthy_ms": 500}


class Case(unittest.TestCase):
    def setUp(self):
        self.server = ApiServer()
        self.addCleanup(self.server.close)
        self.folder = temporary_folder(self)

    def tool(self, **opening):
        config = write_kubeconfig(self.folder, self.server.port)
        tool = Tool(**({"kubeconfig": config} | opening))
        self.addCleanup(tool.end)
        return tool

    def fill(self, count=3):
        for number in range(count):
            self.server.put_map(f"m{number}", "x")

    def watching(self, count=3, **options):
        """A tool that watches ConfigMaps, of which there are a few."""
        self.fill(count)
        tool = self.tool()
        tool.watch(**({"times": QUICK, "no_streaming": True} | options))
        tool.wait_store(self.server.versions)
        self.wait_watched()
        return tool

    def wait_for(self, condition, what, seconds=15):
        deadline = time.monotonic() + seconds
        while not condition():
            self.assertLess(time.monotonic(), deadline, f"never: {what}")
            time.sleep(0.01)

    def wait_watched(self, count=1):
        self.wait_for(lambda: len(self.server.live_watchers()) >= count, "a watch")

    def follows(self, tool, **members):
        """The store equals the server's now, and follows the next change."""
        tool.wait_store(self.server.versions)
        self.server.put_map("later", "y")
        found = tool.wait_store(self.server.versions)
        for name, value in members.items():
            self.assertEqual(found[name], value, found)
        return found

    def asked(self, matches):
        return [r for r in self.server.requests if matches(r)]
