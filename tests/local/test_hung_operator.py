# SPDX-License-Identifier: Apache-2.0
"""An operator that takes a gateway's question and never answers, as one does that is stopped, or whose machine is gone without a
word. The gateway asks anew, and has what is new long before a revoked key could still be used over a takeover (15 s)."""
import threading
import unittest

import rig as rigs

LIMIT_S = 15


class HungOperator(unittest.TestCase):
    def test_the_gateway_asks_anew(self):
        hung, let_go = threading.Event(), threading.Event()
        answer = rigs.Handler.do_GET

        def do_get(handler):
            if "have=testplane" in handler.path and not hung.is_set():
                hung.set()
                let_go.wait()
                handler.close_connection = True
                return
            answer(handler)

        with rigs.Rig() as rig:
            rig.plane.publish_and_wait({})
            rigs.Handler.do_GET = do_get
            self.addCleanup(setattr, rigs.Handler, "do_GET", answer)
            self.addCleanup(let_go.set)
            self.assertTrue(hung.wait(30))
            version = rig.plane.publish({})
            rigs.wait_for(lambda: rig.plane.acknowledged == version, LIMIT_S, "the snapshot that came meanwhile")


if __name__ == "__main__":
    unittest.main()
