# SPDX-License-Identifier: Apache-2.0
"""Keys of a tenant over changes of its manifest: applying again must lock nobody out, and revoking must."""
import http.server
import json
import pathlib
import shutil
import socket
import subprocess
import tempfile
import threading
import time
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
        key = self.spate("tenant", "key", "create", "acme")
        self.spate("apply", "-f", QUICKSTART)
        tenant = json.loads(self.spate("get", "tenant", "acme", "-o", "json"))
        self.assertEqual(len(tenant["spec"]["keys"]), 1)
        self.assertTrue(self.accepted(key))
        self.spate("tenant", "key", "revoke", "acme", tenant["spec"]["keys"][0]["id"])
        rigs.wait_for(lambda: not self.accepted(key), 5, "the revoked key to be refused")

    def ready(self, kind, name):
        thing = json.loads(self.spate("get", kind, name, "-o", "json"))
        return [(row["status"], row["reason"]) for row in thing.get("status", {}).get("conditions", []) if row["type"] == "Ready"]

    def test_tenant_and_price_book_say_how_they_are(self):
        """The status is written beside changes of the same tenant, which are not lost for it."""
        book = self.folder / "book.yaml"
        book.write_text("apiVersion: spate.dev/v1alpha1\nkind: PriceBook\nmetadata: {name: late}\n"
                        "spec: {prices: [{model: '*', input: '1', output: '2'}]}\n")
        self.spate("tenant", "create", "acme", "--price-book", "late")
        for _ in range(10):
            self.spate("tenant", "key", "create", "acme")
        rigs.wait_for(lambda: self.ready("tenant", "acme") == [("False", "PriceBookMissing")], 5, "the missing price book to be told")
        self.spate("apply", "-f", str(book))
        rigs.wait_for(lambda: self.ready("pricebook", "late") == [("True", "Ready")], 5, "the prices to be in force")
        rigs.wait_for(lambda: self.ready("tenant", "acme") == [("True", "Ready")], 5, "the tenant to be charged by them")
        header, row = self.spate("get", "tenants").splitlines()
        self.assertEqual(row[header.index("READY"):].split()[0], "True")

    def test_a_new_key_works_at_once(self):
        self.spate("apply", "-f", QUICKSTART)
        for number in range(20):
            key = self.spate("tenant", "key", "create", "acme")
            self.assertTrue(self.accepted(key), f"key {number}")

    def create_beside(self, gateway):
        """Makes a key in an installation of which endpoints.json names that gateway."""
        self.spate("apply", "-f", QUICKSTART)
        other = self.folder / "other"
        other.mkdir()
        shutil.copy(self.folder / "admin-token", other)
        endpoints = json.loads((self.folder / "endpoints.json").read_text())
        if gateway is None:
            del endpoints["gateway"]
        else:
            endpoints["gateway"] = gateway
        (other / "endpoints.json").write_text(json.dumps(endpoints))
        begin = time.monotonic()
        done = subprocess.run([SPATE, "tenant", "key", "create", "acme", "--state", str(other)], capture_output=True,
                              text=True, timeout=60)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertTrue(done.stdout.startswith("sk-spate-"))
        return done.stderr.splitlines()[-1], time.monotonic() - begin

    def test_a_gateway_that_is_away_is_told(self):
        free = socket.create_server(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{free.getsockname()[1]}"
        free.close()
        note, _ = self.create_beside(address)
        self.assertIn(f"the gateway at {address}", note)
        self.assertIn("the key works as soon as it does; `spate doctor` says what is wrong", note)

    def test_no_gateway_is_told(self):
        self.assertIn("no gateway runs yet", self.create_beside(None)[0])

    def test_the_wait_for_a_gateway_is_bounded(self):
        refuses = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Refuses)
        self.addCleanup(refuses.server_close)
        self.addCleanup(refuses.shutdown)
        threading.Thread(target=refuses.serve_forever, daemon=True).start()
        note, seconds = self.create_beside(f"http://127.0.0.1:{refuses.server_address[1]}")
        self.assertIn("does not take the key yet", note)
        self.assertGreater(seconds, 4)


class Refuses(http.server.BaseHTTPRequestHandler):
    """A gateway that knows no key."""

    def log_message(self, *arguments):
        pass

    def do_GET(self):
        self.send_error(401)


if __name__ == "__main__":
    unittest.main()
