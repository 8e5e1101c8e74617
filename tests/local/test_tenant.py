# SPDX-License-Identifier: Apache-2.0
"""Keys of a tenant over changes of its manifest: applying again must lock nobody out, and revoking must."""
import json
import pathlib
import shutil
import subprocess
import tempfile
import unittest

import rig as rigs

SPATE = str(rigs.BIN / "spate")
QUICKSTART = str(rigs.ROOT / "docs" / "examples" / "quickstart.yaml")


class Tenant(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="spate-tenant-"))
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        self.up = subprocess.Popen([SPATE, "up", "--quiet", "--state", str(self.folder), "--gateway-listen",
                                    "127.0.0.1:0"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.addCleanup(self.end)
        rigs.wait_for(lambda: (self.folder / "run" / "gateway.address").exists(), 60, "the gateway")
        self.gateway = (self.folder / "run" / "gateway.address").read_text().strip()

    def end(self):
        self.up.terminate()
        self.up.wait(60)

    def spate(self, *arguments):
        done = subprocess.run([SPATE, *arguments, "--state", str(self.folder)], capture_output=True, text=True, timeout=60)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout.strip()

    def accepted(self, key):
        return rigs.request_json(self.gateway, "GET", "/v1/models", token=key)[0] == 200

    def test_keys_stay_until_they_are_revoked(self):
        self.spate("apply", "-f", QUICKSTART)
        key = self.spate("tenant", "key", "create", "acme").splitlines()[-1]
        rigs.wait_for(lambda: self.accepted(key), what="the new key")
        self.spate("apply", "-f", QUICKSTART)
        tenant = json.loads(self.spate("get", "tenant", "acme", "-o", "json"))
        self.assertEqual(len(tenant["spec"]["keys"]), 1)
        self.assertTrue(self.accepted(key))
        self.spate("tenant", "key", "revoke", "acme", tenant["spec"]["keys"][0]["id"])
        rigs.wait_for(lambda: not self.accepted(key), 5, "the revoked key to be refused")


if __name__ == "__main__":
    unittest.main()
