# SPDX-License-Identifier: Apache-2.0
"""A gateway whose disk is full: what it says, who serves meanwhile, that nothing is lost or charged twice, and that it goes on by itself
when there is room again. Kills on full disks, and the pods of models, are in tests/local/test_outages.py."""
import json
import os
import pathlib
import unittest

from foreign import declared_port
from shared import MODEL, product, rig, system

GATEWAY = "spate-gateway-1"
CLAIM = "state-spate-gateway-1"
ROOM_MIB = 24  # for two segments of the usage log
KEY = "sk-test-disks"
WAIT_S = 60


class Disks(unittest.TestCase):
    def pod(self):
        return system.release.kube.get("pod", GATEWAY)

    def small_disk(self):
        """A little file system over the claim's disk on the gateway's node, for the next pod. Its folder as this host sees it."""
        claim = system.release.kube.get("pvc", CLAIM)
        volume = json.loads(system.release.kubectl("get", "pv", claim["spec"]["volumeName"], "-o", "json"))
        folder = volume["spec"]["hostPath"]["path"]
        node = system.release.cluster.machine(self.pod()["spec"]["nodeName"])
        node.inside(["mount", "-t", "tmpfs", "-o", f"mode=0777,size={ROOM_MIB}m", "spate-small", folder])
        self.addCleanup(self.restart)
        self.addCleanup(node.inside, ["umount", "--lazy", folder])
        return pathlib.Path(f"/proc/{node.pid}/root{folder}")

    def restart(self):
        before = self.pod()["metadata"]["uid"]
        system.release.kube.run("delete", "pod", GATEWAY, "--wait=false")
        rig.wait_for(lambda: GATEWAY in system.release.pods("gateway") and self.pod()["metadata"]["uid"] != before and
                     self.pod()["status"].get("podIP") and self.pod()["status"]["phase"] == "Running", WAIT_S, "another pod")

    def ask(self, address):
        """Status, and what was told: an error's code, or the tokens."""
        try:
            status, answer = product.ask(address, MODEL, key=KEY)
        except OSError:
            return 0, "no connection"
        if status != 200:
            return status, answer["error"]["code"]
        self.tokens += answer["usage"]["total_tokens"]
        return status, ""

    def charged(self):
        said = system.release.kube.run("exec", "deployment/spate-operator", "--", "spate", "report", "--by", "tenant", "--json")
        row = next((row for row in json.loads(said)["rows"] if row["tenant"] == "disks"), {})
        return sum(row.get(part, 0) for part in ("input", "cached", "visible", "reasoning"))

    def said(self, text):
        log = system.release.kube.run("logs", GATEWAY, check=False)
        return next((json.loads(line) for line in log.splitlines() if text in line), None)

    def test_a_gateway_without_room(self):
        self.tokens = self.charged()
        system.release.apply(product.tenant("disks", MODEL.partition("/")[0], key=KEY))
        self.addCleanup(system.release.kubectl, "delete", "tenant", "disks")
        rig.wait_for(lambda: self.ask(system.release.gateway)[0] == 200, WAIT_S, "an answer for that tenant")
        disk = self.small_disk()
        with open(disk / "filler", "wb") as filler:
            os.posix_fallocate(filler.fileno(), 0, ROOM_MIB << 20)
        self.restart()
        address = f"{self.pod()['status']['podIP']}:{declared_port(self.pod(), 'http')}"
        rig.wait_for(lambda: self.ask(address) == (503, "usage_log_full"), WAIT_S, "its refusal")
        words = self.said("the usage log can't be written")
        print(words)
        self.assertEqual((words["user"], words["free_bytes"] < words["needed_bytes"]), (65532, True), words)
        self.assertTrue(words["folder"].endswith("/usage"), words)
        self.assertFalse(rig.is_ready(self.pod()))
        for _ in range(4):  # by the other one, as this one is not ready
            self.assertEqual(self.ask(system.release.gateway), (200, ""))
        (disk / "filler").unlink()
        rig.wait_for(lambda: self.ask(address)[0] == 200, WAIT_S, "its going on by itself")
        self.assertIsNotNone(self.said("the usage log can be written again"))
        rig.wait_for(lambda: self.charged() == self.tokens, WAIT_S, f"the books to say {self.tokens} tokens, each once")
