# SPDX-License-Identifier: Apache-2.0
"""A cluster leaves nothing behind: not after down, not when everything in it was killed, not beside another one."""
import os
import pathlib
import signal
import subprocess
import sys
import time
import unittest

import footprint
import rig


class Footprint(unittest.TestCase):
    def setUp(self):
        self.cluster = self.make("foot")
        self.before = footprint.take(self.cluster.plan.name)
        self.inhabitants = set()

    def make(self, name):
        cluster = rig.Cluster(f"{name}-{os.getpid()}")
        self.addCleanup(cluster.down)
        return cluster

    def added(self):
        found = footprint.added(self.before, footprint.take(self.cluster.plan.name))
        living = footprint.alive(self.inhabitants)
        return found | ({"inhabitants": living} if living else {})

    def up(self):
        self.cluster.up()
        found = footprint.inhabitants(self.cluster.plan.name)
        # The first process, two or more daemons, on each of four machines.
        self.assertGreater(len(found), 12)
        self.inhabitants |= found

    def assert_nothing_is_left(self):
        """The kernel takes some of it away a moment later."""
        try:
            rig.wait_for(lambda: not self.added(), 20, "nothing left")
        except rig.plan.ClusterError:
            self.assertEqual(self.added(), {})

    def kill_everything(self):
        for name in [rig.plan.CONTROL_PLANE, *(node.name for node in rig.plan.NODES)]:
            for pid in self.cluster.machine(name).processes():
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass  # ended with the first process of its machine

    def test_up_and_down(self):
        self.up()
        added = self.added()
        # It is all there, and seen, but the host's mounts, settings and packet rules are as they were.
        self.assertEqual(set(added), {"processes", "inhabitants", "links", "cgroups", "folders"}, added)
        self.assertEqual(added["links"], [self.cluster.plan.host_link])
        self.assertEqual(added["folders"], [str(self.cluster.plan.folder)])
        self.cluster.down()
        self.assert_nothing_is_left()

    def start_up(self, *options):
        """The command, as a process that can be killed."""
        command = [sys.executable, "-m", "testbed", "up", *options, "--name", self.cluster.plan.name]
        return subprocess.Popen(command, cwd=pathlib.Path(__file__).parent, stderr=subprocess.DEVNULL)

    def runs_containers(self, node):
        return self.cluster.machine(node.name).process("containerd") is not None

    def cut_up_at(self, *nodes):
        """Killed as soon as these nodes run containerd: while it makes the next node, or loads images and waits for Ready."""
        with self.start_up() as process:
            rig.wait_for(lambda: all(map(self.runs_containers, nodes)), 60, f"containerd on {[node.name for node in nodes]}")
            self.assertIsNone(process.poll(), "it was done before it was cut off")
            process.kill()
        self.inhabitants |= footprint.inhabitants(self.cluster.plan.name)

    def assert_whole(self):
        status = self.cluster.status()
        self.assertTrue(all(status["components"].values()), status)
        self.assertEqual([node["ready"] for node in status["nodes"].values()], ["True"] * 3)

    def test_up_after_crashes(self):
        """Of up itself while nodes come up, the second over what the first left; then of everything there is."""
        self.cut_up_at(rig.plan.NODES[0])
        self.cut_up_at(*rig.plan.NODES)
        cut = set(self.inhabitants)
        self.up()
        self.assertEqual(footprint.alive(cut), set())
        self.assert_whole()
        self.kill_everything()
        self.up()
        self.assert_whole()
        self.kill_everything()
        self.cluster.down()
        self.assert_nothing_is_left()

    def test_down_after_up_was_cut_off(self):
        self.cut_up_at(*rig.plan.NODES)
        # As the command may leave one: it waits for a server that goes.
        with subprocess.Popen([self.cluster.plan.programs / "kubectl", "proxy", "--port=0"], stdout=subprocess.DEVNULL) as client:
            self.cluster.down()
            self.assertEqual(client.wait(20), -signal.SIGKILL)
        self.assert_nothing_is_left()

    def test_up_cut_off_anywhere(self):
        """However far it came, up makes it whole, and down takes it all away."""
        for seconds in (0.3, 0.6, 0.9, 1.2, 1.8, 2.5):
            with self.start_up("--control-plane-only") as process:
                time.sleep(seconds)
                process.kill()
            if seconds == 1.2:
                self.cluster.up(control_plane_only=True)
                self.assertTrue(all(self.cluster.status()["components"].values()))
            self.cluster.down()
            self.assert_nothing_is_left()

    def test_a_second_cluster_beside_it(self):
        other = self.make("side")
        self.cluster.up(control_plane_only=True)
        other.up(control_plane_only=True)
        self.assertNotEqual(self.cluster.plan.server, other.plan.server)
        rig.Kube(self.cluster, "only-here").make_namespace()
        self.assertEqual(rig.api.kubectl(other.plan, "get", "namespace", "only-here", "--ignore-not-found"), "")
        other.down()
        self.assertTrue(all(self.cluster.status()["components"].values()))
        self.cluster.down()
        self.assert_nothing_is_left()

    def test_a_host_that_has_no_room_for_it(self):
        """It is said before anything is made."""
        with rig.limits.inotify_instances(1 << 20):
            with self.assertRaisesRegex(rig.plan.ClusterError, "inotify instances 0 are left, and a cluster needs .*: take another"):
                self.cluster.up()
            self.assert_nothing_is_left()

    def test_down_without_up(self):
        self.cluster.down()
        self.assert_nothing_is_left()
        with self.assertRaisesRegex(rig.plan.ClusterError, "is not up; ./dev cluster up makes it"):
            self.cluster.status()

    def test_up_again_without_down(self):
        self.cluster.up(control_plane_only=True)
        rig.Kube(self.cluster, "gone").make_namespace()
        self.cluster.up(control_plane_only=True)
        self.assertEqual(rig.api.kubectl(self.cluster.plan, "get", "namespace", "gone", "--ignore-not-found"), "")
        self.cluster.down()
        self.assert_nothing_is_left()


if __name__ == "__main__":
    unittest.main()
