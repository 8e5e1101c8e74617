# SPDX-License-Identifier: Apache-2.0
"""Money under violence: gateway and agents are killed at random times during requests of two tenants, many of whom
leave; then every token that an engine counted is charged or waste, and nobody pays for what he did not get."""
import random
import time
import unittest

import violence


class Money(unittest.TestCase):
    def test_kills(self):
        rng = random.Random(violence.SEED)
        kills = violence.sized(10, 200)
        requests = violence.sized(300, 6000)
        with violence.MoneyRig() as rig:
            for name in ("pod-a", "pod-b", "pod-c"):
                rig.agent(name)
            rig.publish(wait=True)
            with violence.Traffic(rig.gateway_address, requests) as traffic:
                self.kill_at_random(rig, rng, kills)
            attempts, charges = rig.settle()
            violence.check_money(self, rig.counters, charges)
            seen = violence.check_answers(self, traffic.answers, charges)
            print(dict(rig.kills), f"{len(rig.counters)} runs, {len(attempts)} attempts,", dict(seen),
                  f"{rig.plane.records.lost} answers of the ledger lost")
            self.assertGreater(seen["finished"], requests // 10)
            self.assertGreater(rig.plane.records.lost, 0)

    def kill_at_random(self, rig, rng, kills):
        while min(rig.kills["agent"], rig.kills["gateway"]) < kills:
            time.sleep(rng.random() ** 2 * 0.6)
            if rng.random() < 0.5:
                rig.kill_agent(rng.choice(sorted(rig.agents)), rng)
            else:
                rig.kill_gateway(rng)


if __name__ == "__main__":
    unittest.main()
