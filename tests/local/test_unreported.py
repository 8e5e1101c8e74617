# SPDX-License-Identifier: Apache-2.0
"""Usage that no gateway has taken outlives everything: the deletion of its model while the gateway is down, the end
of its agent by SIGTERM, the end of all programs. What the engines counted is what the ledger charges and wastes."""
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
import time
import unittest

import charging
import rig as rigs
import system as systems
import test_system
import violence

LINGER_S = 25  # longer than an agent drains, and longer than a gateway remembers agents by itself


def wait_for(condition, seconds, what):
    return rigs.wait_for(condition, seconds, what)


class Unreported(unittest.TestCase):
    def setUp(self):
        self.system = systems.System().__enter__()
        self.failed = True
        self.addCleanup(self.close)
        self.system.apply(test_system.manifest(["brook"], idle=3600, most=2))
        self.system.make_keys("acme")

    def close(self):
        self.system.__exit__(AssertionError if self.failed else None)

    def answers(self, count):
        """So many answers under way that do not end by themselves."""
        streams = [rigs.Stream(self.system.gateway_address(), f"What is 345 + {n}?", violence.KEYS["acme"],
                               {"max_tokens": 15000, "ignore_eos": True}) for n in range(count)]
        for stream in streams:
            for _ in stream:
                if len(stream.ids) >= 30:
                    break
            self.assertIsNone(stream.error)
        return streams

    def folders(self):
        return list((self.system.state / "pods").iterdir())

    def check_exact(self):
        """The ledger knows all that the engines counted, and no pod is left that could tell more."""
        self.wait_for_ledger()
        counters, runs = self.system.counters.totals(), self.system.runs()
        self.assertGreater(sum(total["output"] for total in counters.values()), 0)
        for run, total in counters.items():
            told = systems.told_by_type(runs[run]) if run in runs else dict.fromkeys(charging.TYPES, 0)
            self.assertEqual(told, systems.counted(total), f"run {run}: charged + waste against the counter")
        wait_for(lambda: not self.folders(), 30, "the end of all pods")
        self.assertFalse((self.system.state / "unreported").exists())

    def wait_for_ledger(self):
        end = time.monotonic() + violence.QUIET_S + 3 * systems.SETTLE_S
        while time.monotonic() < end:
            counters, runs = self.system.counters.totals(), self.system.runs()
            if all(run in runs and systems.told_by_type(runs[run]) == systems.counted(total)
                   for run, total in counters.items() if any(systems.counted(total).values())):
                return
            time.sleep(0.5)

    def test_a_model_is_deleted_while_its_gateway_is_down(self):
        system = self.system
        streams = self.answers(3)
        system.programs["gateway"].kill()
        system.spate("delete", "md", "brook")
        time.sleep(LINGER_S)
        self.assertTrue(self.folders(), "the pods stay until all is reported")
        system.programs["gateway"].start()
        self.check_exact()
        del streams
        self.failed = False

    def test_a_deleted_model_comes_back_while_its_pods_report(self):
        """The new pods have the names that the old ones have; neither disturbs the other."""
        system = self.system
        streams = self.answers(3)
        system.programs["gateway"].kill()
        system.spate("delete", "md", "brook")
        system.apply(test_system.manifest(["brook"], idle=3600, most=2).replace("minReplicas: 0", "minReplicas: 2"))
        wait_for(lambda: '"readyReplicas": 2' in system.spate("get", "md", "brook", "-o", "json"), 30, "two new pods")
        self.assertGreater(len(self.folders()), 2)
        system.programs["gateway"].start()
        again = rigs.Stream(system.gateway_address(), "What is 1 + 2?", violence.KEYS["acme"])
        for _ in again:
            pass
        self.assertTrue(again.done)
        wait_for(lambda: len(self.folders()) == 2, 60, "the end of the old pods")
        system.spate("delete", "md", "brook")
        self.check_exact()
        del streams
        self.failed = False

    def test_a_model_is_deleted_while_it_answers(self):
        """The clients are told that it failed; what they got until then is charged, the rest is waste."""
        streams = self.answers(3)
        self.system.spate("delete", "md", "brook")
        for stream in streams:
            for _ in stream:
                pass
            self.assertEqual(stream.error["code"], "model_unavailable")
        self.check_exact()
        charged = {}
        for request, intervals in self.system.charges().items():
            charged[request] = sorted(p for start, end, _ in intervals for p in range(start, end))
        for stream in streams:
            self.assertEqual(charged[stream.id.split("-", 1)[1]], list(range(len(stream.ids))))
        self.failed = False

    def test_everything_ends_and_comes_back(self):
        """As Ctrl-C ends `spate up`, but no gateway is there any more to take what the agents hold."""
        system = self.system
        streams = self.answers(3)
        system.programs["gateway"].kill()
        self.shut_down()
        wait_for(lambda: not system.agents(), 20, "the end of all agents")
        self.assertTrue(self.folders(), "the folders stay until all is reported")
        for name in ("operator", "ledger", "gateway"):
            system.programs[name].start()
        system.spate("delete", "md", "brook")
        self.check_exact()
        del streams
        self.failed = False

    def shut_down(self):
        """In the order of `spate up`, which waits for so long that the pods end."""
        token = (self.system.state / "admin-token").read_text().strip()
        try:
            rigs.request_json(self.system.programs["operator"].address, "POST", "/internal/v1/shutdown", {}, token, 30)
        except OSError:
            pass
        self.system.programs["operator"].stop()
        self.system.programs["ledger"].stop()

    def test_operator_and_agents_die_while_a_deleted_model_reports(self):
        """Whatever is killed on the way, the next one goes on with it."""
        system = self.system
        streams = self.answers(3)
        system.programs["gateway"].kill()
        system.spate("delete", "md", "brook")
        for _ in range(6):
            time.sleep(1)
            for pid in system.agents().values():
                os.kill(pid, signal.SIGKILL)
            system.programs["operator"].kill()
            system.programs["operator"].start()
        self.assertTrue(self.folders())
        system.programs["gateway"].start()
        self.check_exact()
        del streams
        self.failed = False


class Up(unittest.TestCase):
    """`spate up` itself, ended by Ctrl-C while its gateway is frozen, and started again."""

    def setUp(self):
        self.state = pathlib.Path(tempfile.mkdtemp(prefix="spate-up-"))
        self.addCleanup(shutil.rmtree, self.state, ignore_errors=True)
        self.counters = systems.CounterFiles(self.state)
        self.addCleanup(self.counters.close)
        self.start()

    def start(self):
        for path in (self.state / "run").glob("*.address"):
            path.unlink()
        self.up = subprocess.Popen([str(rigs.BIN / "spate"), "up", "--quiet", "--state", str(self.state),
                                    "--gateway-listen", "127.0.0.1:0"], stdout=subprocess.PIPE,
                                   stderr=subprocess.STDOUT, text=True)
        self.addCleanup(self.end, self.up)
        wait_for(lambda: all((self.state / "run" / f"{name}.address").exists()
                             for name in ("operator", "ledger", "gateway")), 60, "all programs")
        self.gateway = (self.state / "run" / "gateway.address").read_text().strip()

    def end(self, up):
        if up.poll() is None:
            up.send_signal(signal.SIGINT)
            up.wait(90)
        up.stdout.close()

    def spate(self, *arguments):
        done = subprocess.run([str(rigs.BIN / "spate"), *arguments, "--state", str(self.state)], capture_output=True,
                              text=True, timeout=60)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout.strip()

    def agents(self):
        return systems.System.agents(self)

    def told(self):
        """What the ledger says of each run; what is not settled yet (15 minutes) counts as told."""
        token = subprocess.run([str(rigs.BIN / "spate-token-tool"), "sign", str(self.state), "ledger", "operator/test"],
                               capture_output=True, text=True, check=True).stdout.strip()
        address = (self.state / "run" / "ledger.address").read_text().strip()
        runs = rigs.request_json(address, "GET", "/internal/v1/runs", token=token)[1]["runs"]
        for run in runs:
            run["waste"] = {kind: count + run["pending"][kind] for kind, count in run["waste"].items()}
        return {run["run_id"]: systems.told_by_type(run) for run in runs}

    def is_told(self):
        told = self.told()
        return all(told.get(run) == systems.counted(total) for run, total in self.counters.totals().items()
                   if any(systems.counted(total).values()))

    def test_ended_and_started_again(self):
        (self.state / "m.yaml").write_text(test_system.manifest(["brook"], idle=3600, most=1))
        self.spate("apply", "-f", str(self.state / "m.yaml"))
        key = self.spate("tenant", "key", "create", "acme").splitlines()[-1]
        wait_for(lambda: rigs.request_json(self.gateway, "GET", "/v1/models", token=key)[0] == 200, 10, "the new key")
        stream = rigs.Stream(self.gateway, "What is 1 + 2?", key, {"max_tokens": 15000, "ignore_eos": True})
        for _ in stream:
            if len(stream.ids) >= 30:
                break
        os.kill(int((self.state / "run" / "gateway.pid").read_text().split()[0]), signal.SIGSTOP)
        self.end(self.up)
        self.assertEqual(self.up.returncode, 0)
        wait_for(lambda: not self.agents(), 20, "the end of all agents")
        self.assertTrue(list((self.state / "pods").iterdir()), "the folder stays until all is reported")
        self.start()
        wait_for(self.is_told, 30, "the ledger's knowledge of all that was counted")
        self.assertGreater(sum(total["output"] for total in self.counters.totals().values()), 0)


if __name__ == "__main__":
    unittest.main()
