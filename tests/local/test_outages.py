# SPDX-License-Identifier: Apache-2.0
"""What else can happen to the money: clients that leave, a ledger that is away, a full disk, a pod whose folder is
deleted."""
import collections
import os
import pathlib
import random
import shutil
import subprocess
import threading
import time
import unittest

import charging
import rig as rigs
import violence

LONG = {"ignore_eos": True, "max_tokens": 15000, "temperature": 0}
FILLER = "filler"


class Outage(unittest.TestCase):
    def start(self, *names, gateway_options=(), **agent_options):
        self.rig = violence.MoneyRig(gateway_options).__enter__()
        self.addCleanup(self.rig.__exit__, None, None, None)
        for name in names:
            self.rig.agent(name, **agent_options)
        self.rig.publish(wait=True)

    def check(self, answers=(), unreported=()):
        attempts, charges = self.rig.settle(unreported)
        violence.check_money(self, self.rig.counters, charges, unreported)
        seen = violence.check_answers(self, answers, charges)
        return attempts, charges, seen

    def output_of(self, agent):
        """What this pod's engine has generated until now."""
        self.rig.note_counters(agent)
        return sum(total["output"] for total in self.rig.counters.values())


class Leaving(Outage):
    def test_generation_stops_within_100_ms(self):
        """A stream is left in mid-answer; 100 ms later the engine's counter stands still. The machine may be busy with
        other things, so one good time of a few proves it: a stop that needs a time-out of ours is never that quick."""
        self.start("pod-a")
        agent = self.rig.agents["pod-a"]
        generated = []
        for _ in range(8):
            stream = self.rig.chat(**LONG)
            for _ in stream:
                if len(stream.ids) >= 50:
                    break
            stream.close()
            time.sleep(0.1)
            before = self.output_of(agent)
            time.sleep(0.4)
            generated.append(self.output_of(agent) - before)
            if generated[-1] == 0:
                break
        self.assertEqual(generated[-1], 0, "tokens generated in the 400 ms that followed")
        self.check()

    def test_leaving_at_any_moment(self):
        """Clients leave before the answer begins: in the gateway's hands, on the way to the agent, in its pool. Nothing
        goes on for longer than it takes to notice (a lost cancellation would go on for seconds)."""
        self.start("pod-a")
        agent = self.rig.agents["pod-a"]
        rng = random.Random(violence.SEED)
        for _ in range(violence.sized(60, 600)):
            body = {"model": "brook", "stream": rng.random() < 0.5, "messages": [{"role": "user", "content": "1 + 1"}], **LONG}
            answer = violence.Answer(0, "acme", {"body": body, "leave_ids": 0, "leave_s": rng.random() ** 2 * 0.02})
            violence.ask(self.rig.gateway_address(), answer)
            self.assertTrue(answer.left, answer.error)
            idle = time.monotonic() + 2.5
            while agent.status(self.rig.tokens["agent"])["running"]:
                self.assertLess(time.monotonic(), idle, "the request still runs 2.5 s after its client left")
                time.sleep(0.005)
        self.check()


class LedgerAway(Outage):
    def test_ledger_stopped(self):
        """Serving goes on, nothing is lost, and all of it arrives once the ledger is back."""
        self.start("pod-a", "pod-b")
        rng = random.Random(violence.SEED)
        self.rig.plane.ledger_down = True
        until = time.monotonic() + violence.sized(5, 60)
        with violence.Traffic(self.rig.gateway_address, violence.sized(60, 600), clients=4) as traffic:
            while time.monotonic() < until:
                time.sleep(1)
                self.rig.kill_gateway(rng)
            self.assertEqual(len(self.rig.plane.records), 0)
        self.rig.plane.ledger_down = False
        _, _, seen = self.check(traffic.answers)
        self.assertGreater(seen["finished"], 10)


class SmallDisk:
    """A file system of 48 MiB for one process, in a mount namespace that a sleeping process keeps; needs no root."""

    MIB = 48

    def __init__(self, folder):
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        script = f'mount -t tmpfs -o size={self.MIB}m spate-test "$0" && echo ready && exec sleep 600'
        self.keeper = subprocess.Popen(["unshare", "--map-root-user", "--mount", "sh", "-c", script, str(folder)],
                                       stdout=subprocess.PIPE, text=True)
        if self.keeper.stdout.readline() != "ready\n":
            raise RuntimeError("a small file system can't be mounted: this test needs user namespaces, or root")
        self.inside = pathlib.Path(f"/proc/{self.keeper.pid}/root{folder}")

    def move(self, process):
        """Lets a program run with the small disk at the folder, from its next start on."""
        process.arguments = [shutil.which("nsenter"), "--target", str(self.keeper.pid), "--user", "--mount",
                             "--preserve-credentials", str(rigs.BIN / process.arguments[0]), *process.arguments[1:]]

    def fill(self):
        """Also takes the log's spare segment, as if it had been used up."""
        (self.inside / "usage" / "reserve").unlink()
        with open(self.inside / FILLER, "wb", buffering=0) as file:
            for size in (1 << 16, 1 << 12, 1 << 12, 1):
                try:
                    while file.write(bytes(size)):
                        pass
                except OSError:
                    pass

    def free(self):
        (self.inside / FILLER).unlink()

    def close(self):
        self.keeper.kill()
        self.keeper.wait()
        self.keeper.stdout.close()


class FullDisk(Outage):
    def small_disk(self, process, folder):
        process.stop()
        shutil.rmtree(folder, ignore_errors=True)
        disk = SmallDisk(folder)
        self.addCleanup(disk.close)
        disk.move(process)
        process.start()
        return disk

    def refusal(self):
        """Why the gateway refuses a request; None if it does not."""
        error = self.rig.chat(max_tokens=1).run().error
        return error and error["code"]

    def test_gateway(self):
        """Killed during requests, and back on a full disk: it admits nothing, takes in what the agents kept
        for it, and serves again by itself when there is room."""
        self.start("pod-a", "pod-b")
        gateway = self.rig.gateway
        disk = self.small_disk(gateway, gateway.folder / "state")
        rigs.wait_for(lambda: self.refusal() is None, what="admission")
        with violence.Traffic(self.rig.gateway_address, 40) as traffic:
            time.sleep(1)
            traffic.stop()
            gateway.kill()
        disk.fill()
        gateway.start()
        self.rig.publish(wait=True)
        self.assertEqual(self.refusal(), "usage_log_full")
        rigs.wait_for(self.rig.is_quiet, what="the agents' records to be taken in")
        self.assertEqual(self.refusal(), "usage_log_full")
        disk.free()
        rigs.wait_for(lambda: self.refusal() is None, what="admission")
        _, _, seen = self.check(traffic.answers)
        self.assertGreater(seen["broken"], 0)

    def test_pod(self):
        """A pod that comes back on a full disk says so and takes no work; another does it, and no client sees it.
        With room again, its next start reports what the last run computed."""
        self.start("pod-a", "pod-b")
        agent = self.rig.agents["pod-a"]
        disk = self.small_disk(agent, agent.folder / "data")
        agent.data = disk.inside
        self.rig.publish(wait=True)
        with violence.Traffic(self.rig.gateway_address, 60) as traffic:
            time.sleep(0.5)
            agent.kill()
            disk.fill()
            violence.spawn(agent, with_address=True)
            health = rigs.wait_for(lambda: failed_health(agent), what="the pod's word that it failed")
            self.assertIn("space" if health["state"] == "failed" else "cannot start", health["detail"])
        self.assertEqual([a.error for a in traffic.answers if a.error], [])
        self.rig.note_counters(agent)
        agent.kill()
        disk.free()
        agent.start()
        self.rig.publish()
        self.check(traffic.answers)


def failed_health(agent):
    """What the pod says: by its health, or by its last words if it could not report what its last run left."""
    if agent.process.poll() is not None:
        return {"state": "ended", "detail": agent.log_path.read_text()[-2000:]}
    status, health = rigs.request_json(agent.address, "GET", "/health") if agent.address_file.exists() else (0, {})
    return health if health.get("state") == "failed" else None


def remove_tree(folder):
    """Also while a program puts new files into it."""
    rigs.wait_for(lambda: shutil.rmtree(folder, ignore_errors=True) or not folder.exists(), what="the folder's removal")


class FolderDeleted(Outage):
    def test_pod_folder_deleted(self):
        """The pod's disk is lost with the pod. What its engine counted after the gateway's last snapshot is
        unreported: at most one second's worth. The test holds the counter file open."""
        self.start("pod-a", "pod-b")
        self.lost_runs = set()
        for with_gateway in (False, True):
            with self.subTest(gateway_killed_too=with_gateway):
                self.lose_a_pod(with_gateway)

    def lose_a_pod(self, with_gateway):
        agent = self.rig.agents["pod-a"]
        run = agent.status(self.rig.tokens["agent"])["run_id"]
        with open(agent.folder / "data" / "runs" / f"{run}.counters", "rb") as held, \
                violence.Traffic(self.rig.gateway_address, 40, clients=8) as traffic:
            path = f"/proc/{os.getpid()}/fd/{held.fileno()}"
            time.sleep(2)
            remove_tree(agent.folder / "data")
            second = Sampler(path, run)
            time.sleep(2)
            second.killed = time.monotonic()
            agent.kill()
            if with_gateway:
                self.rig.gateway.kill()
                self.rig.gateway.start()
            second.stop()
            self.rig.counters[run] = violence.read_counters([path])[run]
            agent.start()
            self.rig.publish()
        self.lost_runs.add(run)
        attempts, charges, _ = self.check(traffic.answers, self.lost_runs)
        told = charging.totals_by_run(charges)[run]
        for t in charging.TYPES:
            unreported = self.rig.counters[run][t] - told[t]
            print(f"{t}: {self.rig.counters[run][t]} counted, {unreported} unreported, "
                  f"{second.last_second(t)} in the last second")
            self.assertGreaterEqual(unreported, 0, t)
            self.assertLessEqual(unreported, second.last_second(t), t)


class Sampler:
    """Reads a run's totals again and again, to know what it counted in its last second."""

    SWEEP_S = 0.6  # between the gateway's looks at what is due, and some delay

    def __init__(self, path, run):
        self.path, self.run = path, run
        self.samples = []
        self.killed = None
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self.sample, daemon=True)
        self.thread.start()

    def sample(self):
        while not self.ended.wait(0.03):
            self.samples.append((time.monotonic(), violence.read_counters([self.path])[self.run]))

    def stop(self):
        self.ended.set()
        self.thread.join()

    def last_second(self, name):
        """Counted in the second before the kill."""
        before = [total[name] for when, total in self.samples if when < self.killed - 1 - self.SWEEP_S]
        return self.samples[-1][1][name] - before[-1]


if __name__ == "__main__":
    unittest.main()
