# SPDX-License-Identifier: Apache-2.0
"""The whole system under violence: operator, ledger, gateway and agents are killed at random times while two tenants
ask; then what the engines counted is what the real ledger charged and wasted, to the token. And requests timed at
the instant of the idle stop: not one fails."""
import random
import threading
import time
import unittest

import charging
import rig as rigs
import system as systems
import violence

MODEL = """
apiVersion: spate.dev/v1alpha1
kind: ModelDeployment
metadata: {{name: {name}, namespace: default}}
spec:
  model: {{uri: "file://{root}/models/brook"}}
  engine: {{slots: 4, threads: 1}}
  scaling: {{minReplicas: 0, maxReplicas: {most}, scaleDownDelaySeconds: 2, idle: {{afterSeconds: {idle}}}}}
---
"""
TENANT = """
apiVersion: spate.dev/v1alpha1
kind: Tenant
metadata: {{name: {name}}}
spec: {{namespaces: [default], priceBook: list}}
---
"""
PRICES = """
apiVersion: spate.dev/v1alpha1
kind: PriceBook
metadata: {name: list}
spec:
  currency: USD
  prices: [{model: default/brook, input: "0.55", cachedInput: "0.14", output: "2.19"}]
---
"""


def manifest(models, idle, most):
    texts = [MODEL.format(name=name, root=rigs.ROOT, idle=idle, most=most) for name in models]
    return PRICES + "".join(TENANT.format(name=name) for name in violence.KEYS) + "".join(texts)


class Whole(unittest.TestCase):
    def setUp(self):
        self.system = systems.System().__enter__()
        self.addCleanup(self.close)
        self.failed = True

    def close(self):
        self.system.__exit__(AssertionError if self.failed else None)

    def test_kills(self):
        system = self.system
        rng = random.Random(violence.SEED)
        kills = violence.sized(6, 200)
        system.apply(manifest(["brook"], idle=6, most=3))
        system.make_keys(*violence.KEYS)
        with violence.Traffic(system.gateway_address, violence.sized(150, 6000), clients=6) as traffic:
            while min(system.kills[name] for name in ("agent", "operator", "ledger", "gateway")) < kills:
                time.sleep(rng.random() ** 2 * 0.8)
                victim = rng.choice(["agent", "agent", "operator", "ledger", "gateway"])
                if victim == "agent":
                    system.kill_agent(rng)
                else:
                    system.kill(victim, rng)
        self.wait_for_ledger()
        self.check_runs()
        seen = self.check_answers(traffic.answers)
        print(dict(system.kills), f"{len(system.counters.held)} runs,", seen)
        self.failed = False

    def wait_for_ledger(self):
        """Until nothing is pending and all that was counted is told; what does not come shows in the checks."""
        end = time.monotonic() + violence.QUIET_S + 3 * systems.SETTLE_S
        while time.monotonic() < end:
            counters = self.system.counters.totals()
            runs = self.system.runs()
            if all(run in runs and systems.told_by_type(runs[run]) == systems.counted(total)
                   for run, total in counters.items() if any(systems.counted(total).values())):
                return
            time.sleep(0.5)

    def check_runs(self):
        counters, runs = self.system.counters.totals(), self.system.runs()
        self.assertGreater(len(counters), 0)
        for run, total in counters.items():
            told = systems.told_by_type(runs[run]) if run in runs else dict.fromkeys(charging.TYPES, 0)
            self.assertEqual(told, systems.counted(total), f"run {run}: charged + waste against the counter")
        for run, told in runs.items():
            self.assertEqual(set(told["pending"].values()), {0}, f"run {run}")
            self.assertTrue(run in counters or set(systems.told_by_type(told).values()) == {0}, f"run {run} has no counters")

    def check_answers(self, answers):
        charges = self.system.charges()
        seen = {"finished": 0, "left": 0, "broken": 0}
        for request, intervals in charges.items():
            positions = [p for start, end, _ in intervals for p in range(start, end)]
            self.assertEqual(len(positions), len(set(positions)), f"request {request}: a position is charged twice")
        for answer in answers:
            seen["finished" if answer.finished else "left" if answer.left else "broken"] += 1
            if answer.finished:
                intervals = charges[answer.request_id]
                positions = sorted(p for start, end, _ in intervals for p in range(start, end))
                self.assertEqual(positions, list(range(len(answer.ids))), f"request {answer.request_id}")
                self.assertEqual({tenant for _, _, tenant in intervals}, {answer.tenant})
        self.assertGreater(seen["finished"], 10)
        return seen

    def test_requests_at_the_instant_of_idle_stop(self):
        """Each model is asked again around the moment at which it is stopped for want of requests."""
        system = self.system
        models = [f"brook-{i}" for i in range(violence.sized(5, 20))]
        rounds = violence.sized(20, 50)
        system.apply(manifest(models, idle=1, most=1))
        system.make_keys("acme")
        answers = []
        threads = [threading.Thread(target=self.ask_at_idle_stop, args=(model, i, rounds, answers))
                   for i, model in enumerate(models)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        failures = [(a.plan["body"]["model"], a.error) for a in answers if not a.finished]
        self.assertEqual(failures, [])
        self.assertEqual(len(answers), len(models) * rounds)
        starts = len(system.counters.held)
        print(f"{len(answers)} requests, 0 failures, {starts} starts of {len(models)} models")
        self.assertGreater(starts, len(models), "models were stopped in between")
        self.failed = False

    def ask_at_idle_stop(self, model, index, rounds, answers):
        rng = random.Random(f"{violence.SEED}/{index}")
        for _ in range(rounds):
            body = {"model": model, "messages": [{"role": "user", "content": "What is 1 + 2?"}], "max_tokens": 12,
                    "stream": rng.random() < 0.5}
            answer = violence.Answer(0, "acme", {"body": body, "leave_ids": None, "leave_s": None})
            answers.append(violence.ask(self.system.gateway_address(), answer))
            time.sleep(0.9 + rng.random() * 0.5)


if __name__ == "__main__":
    unittest.main()
