# SPDX-License-Identifier: Apache-2.0
"""A pod leaves the routes while it answers, and gets SIGTERM: its model was deleted, or it was deleted by hand.
What it computed until the end reaches the ledger all the same, and the agent does not leave before it does."""
import concurrent.futures
import unittest

import rig as rigs
import violence

TYPES = ("input_computed", "input_cached", "output", "recomputed")


class Deleted(unittest.TestCase):
    def check_last_run(self, rig, agent):
        self.assertEqual(agent.process.wait(30), 0)
        self.assertNotIn("no gateway has acknowledged", agent.log_path.read_text())
        run, counted = next(iter(agent.counters().items()))
        self.assertGreater(counted["output"], 0)
        final = rigs.wait_for(lambda: [r for r in rig.plane.records if r["run_id"] == run and r["counts_final"]],
                              what="the final counts")
        for kind in TYPES:
            self.assertEqual(max(record[kind] for record in final), counted[kind], kind)

    def leave(self, rig, stream, rest):
        """At the 50th token the pod that answers leaves; returns its agent."""
        gone = None
        for _ in stream:
            if gone is None and len(stream.ids) >= 50:
                gone = next(name for name, agent in rig.agents.items()
                            if agent.status(rig.tokens["agent"])["running"] > 0)
                left = [rig.pod(name) for name in rig.agents if name != gone]
                rig.plane.publish_and_wait({"default/brook": left} if rest else {})
                rig.agents[gone].process.terminate()
        return rig.agents[gone]

    def test_a_deleted_model(self):
        with rigs.Rig() as rig:
            rig.agent("pod-a")
            rig.route("pod-a")
            stream = rig.chat(max_tokens=32000, ignore_eos=True)
            agent = self.leave(rig, stream, rest=False)
            self.assertEqual(stream.error["code"], "model_unavailable")
            self.check_last_run(rig, agent)

    def test_a_deleted_model_that_is_waited_for(self):
        """As those who come afterwards, they are told that there is no such model."""
        with rigs.Rig() as rig, concurrent.futures.ThreadPoolExecutor() as pool:
            rig.plane.publish_and_wait({"default/brook": []})
            waiting = pool.submit(rig.chat)
            rigs.wait_for(lambda: any(model["queued"] for load in rig.plane.loads for model in load["models"]), what="the request in a queue")
            rig.plane.publish_and_wait({})
            for stream in (waiting.result(), rig.chat()):
                self.assertEqual((stream.response.status, stream.error["code"]), (404, "model_not_found"), stream.error)

    def test_a_deleted_pod_whose_answer_goes_on_elsewhere(self):
        with rigs.Rig() as rig:
            rig.agent("pod-a")
            rig.agent("pod-b")
            rig.route("pod-a", "pod-b")
            stream = rig.chat(max_tokens=14000, ignore_eos=True)
            agent = self.leave(rig, stream, rest=True)
            self.assertTrue(stream.done)
            self.assertEqual(len(stream.ids), 14000)
            self.check_last_run(rig, agent)

    def test_an_agent_that_leaves_too_early_says_so(self):
        """No gateway is there to take its records: status 3. Then one that only reports goes on with them; it needs
        no model, and ends with 0 when all was taken."""
        with rigs.Rig() as rig:
            agent = rig.agent("pod-a")
            rig.route("pod-a")
            stream = rig.chat(max_tokens=32000, ignore_eos=True)
            for _ in stream:
                if len(stream.ids) >= 50:
                    break
            rig.gateway.kill()
            agent.process.terminate()
            self.assertEqual(agent.process.wait(30), 3)
            self.assertIn("no gateway has acknowledged", agent.log_path.read_text())
            run, counted = next(iter(agent.counters().items()))
            agent.arguments[agent.arguments.index("--model") + 1] = "/nowhere"
            agent.arguments.append("--report-only")
            rigs.Process.start(agent)
            self.check_early_end(agent)
            rigs.Process.start(agent)
            self.assertEqual(rigs.request_json(agent.address, "GET", "/health")[1]["state"], "draining")
            rig.plane.leavers = [{"name": "pod-a", "uid": "pod-a-uid", "address": agent.address}]
            rig.plane.publish({})
            rig.gateway.start()
            self.assertEqual(agent.process.wait(30), 0)
            final = rigs.wait_for(lambda: [r for r in rig.plane.records if r["run_id"] == run and r["counts_final"]],
                                  what="the final counts")
            for kind in TYPES:
                self.assertEqual(max(record[kind] for record in final), counted[kind], kind)
            violence.spawn(agent)
            self.assertEqual(agent.process.wait(30), 0, "nothing is left to report")

    def check_early_end(self, agent):
        agent.process.terminate()
        self.assertEqual(agent.process.wait(10), 3)

    def test_a_data_folder_is_made(self):
        with rigs.Rig() as rig:
            data = rig.folder / "not" / "there" / "yet"
            agent = rigs.Process(rig.folder / "alone", "agent", [
                "spate-agent", "--model", str(rigs.ROOT / "models/brook"), "--listen", "127.0.0.1:0", "--threads", "1",
                "--data", str(data)])
            agent.start()
            rigs.wait_for(lambda: rigs.request_json(agent.address, "GET", "/health")[0] == 200, what="ready")
            self.assertEqual(data.stat().st_mode & 0o777, 0o700)
            agent.stop()


if __name__ == "__main__":
    unittest.main()
