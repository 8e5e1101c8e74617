# SPDX-License-Identifier: Apache-2.0
"""The checks of the other tests here can fail. The records and answers of real runs under violence are taken, then what
keeps the money right is switched off one by one in what the checks are given, and each time they must turn red:

    no de-duplication    repeated snapshots are added up instead of being one
    no merge             the first snapshot of an attempt stands, later ones are dropped
    no fsync             what was written last before a kill of the gateway is gone
    no cursor            each attempt is charged by itself: input twice, positions twice
    no recovery          what counter files of crashed runs said is not reported
    lost answer          a client's last id never came

The programs' own switches are tested where they live: tests/unit/billing has the power losses."""
import collections
import copy
import random
import time
import unittest

import charging
import rig as rigs
import violence


class Red(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        rng = random.Random(violence.SEED)
        with violence.MoneyRig() as rig:
            for name in ("pod-a", "pod-b"):
                rig.agent(name)
            rig.publish(wait=True)
            with violence.Traffic(rig.gateway_address, 80) as traffic:
                for _ in range(4):
                    time.sleep(0.3)
                    rig.kill_agent(rng.choice(sorted(rig.agents)), rng)
                time.sleep(0.3)
                cls.before_kill = len(rig.plane.records)
                rig.kill_gateway(rng)
            _, charges = rig.settle()
            cls.counters, cls.answers = rig.counters, traffic.answers
            cls.records = list(rig.plane.records)
        cls.check(cls, charges)

    def check(self, charges, answers=None):
        violence.check_money(unittest.TestCase(), self.counters, charges)
        violence.check_answers(unittest.TestCase(), answers or self.answers, charges)

    def assert_red(self, make_charges, answers=None):
        try:
            charges = make_charges()
            self.check(charges, answers)
        except (AssertionError, charging.Contradiction) as e:
            print(f"{self.id().split('.')[-1]}: red, {str(e).splitlines()[0][:150]}")
            return
        self.fail("the checks did not notice")

    def test_green_with_everything_on(self):
        shuffled = list(self.records) * 2
        random.Random(violence.SEED).shuffle(shuffled)
        self.check(charging.charge(charging.merge(shuffled)))

    def test_no_deduplication(self):
        def added_up():
            attempts = charging.merge(self.records)
            copies = collections.Counter((r["request_id"], r["attempt"]) for r in self.records)
            for key, attempt in attempts.items():
                for name in charging.COUNTS:
                    attempt[name] *= copies[key]
            return charging.charge(attempts)
        self.assert_red(added_up)

    def test_no_merge(self):
        first = {}
        for record in self.records:
            first.setdefault((record["request_id"], record["attempt"]), record)
        self.assert_red(lambda: charging.charge(charging.merge(first.values())))

    def test_no_fsync(self):
        """The records that had not been shipped when the gateway was killed; the agents think they are kept."""
        lost = self.records[:self.before_kill]
        self.assert_red(lambda: charging.charge(charging.merge(lost)))

    def test_lost_batch(self):
        """The least loss there is: the final records of one attempt that computed more than its snapshots said."""
        attempts = charging.merge(self.records)
        snapshots = charging.merge(r for r in self.records if not r["counts_final"])
        key = next(k for k, a in attempts.items() if a["counts_final"]
                   and a["output"] > (snapshots[k]["output"] if k in snapshots else 0))
        kept = [r for r in self.records if (r["request_id"], r["attempt"]) != key or not r["counts_final"]]
        self.assert_red(lambda: charging.charge(charging.merge(kept)))

    def test_no_cursor(self):
        """Attempts charged one by one, as if each were a request of its own: a prompt is paid for twice."""
        attempts = charging.merge(self.records)
        charged = collections.Counter(c.attempt["request_id"] for c in charging.charge(attempts).values() if c.positions)
        self.assertGreater(max(charged.values()), 1, "a request went on on another pod")

        def one_by_one():
            charges = {}
            for key, attempt in attempts.items():
                charges |= charging.charge({key: attempt})
            return charges
        self.assert_red(one_by_one)

    def test_no_recovery(self):
        reported = [r for r in self.records if not r["recovered"]]
        self.assertLess(len(reported), len(self.records), "runs crashed with attempts in them")
        self.assert_red(lambda: charging.charge(charging.merge(reported)))

    def test_a_clients_id_is_missing(self):
        answers = copy.deepcopy(self.answers)
        next(a for a in answers if a.finished).ids.pop()
        self.assert_red(lambda: charging.charge(charging.merge(self.records)), answers)


if __name__ == "__main__":
    unittest.main()
