# SPDX-License-Identifier: Apache-2.0
"""A watched namespace that is gone for a while. By itself, as it waits for most of a minute."""
import time
import unittest

import platform_rig


class Namespace(platform_rig.Platform):
    def want(self, namespace, replicas):
        def change(model):
            model["spec"]["scaling"]["minReplicas"] = replicas
            model["metadata"]["generation"] += 1
        self.cluster.edit("modeldeployments", namespace, "brook", change)

    def test_a_namespace_that_may_not_be_read_holds_up_no_other(self):
        """It was deleted, and its Role with it. When it is there again its pods are known before its models: none is lost."""
        for namespace in ("team-a", "team-b"):
            self.cluster.make_model(namespace, 1)
        self.start("--watch-namespaces", "team-a,team-b")
        kept = [self.wait_pods(1, namespace)[0]["metadata"]["uid"] for namespace in ("team-a", "team-b")]
        self.kill()
        self.cluster.refusal = lambda request: 403 if request.namespace == "team-b" else None
        self.start("--watch-namespaces", "team-a,team-b")
        self.want("team-a", 2)
        self.wait_pods(2, "team-a")
        self.cluster.refusal = lambda request: 403 if (request.namespace, request.plural) == (
            "team-b", "modeldeployments") else None
        since = time.monotonic()
        self.wait_for(lambda: any((r.namespace, r.plural) == ("team-b", "pods") and r.time > since
                                  for r in list(self.cluster.requests)), "a list of its pods", 45)
        time.sleep(1)  # in which its pods, known without a model, might be deleted
        self.cluster.refusal = lambda request: None
        self.want("team-b", 2)
        self.wait_for(lambda: len(self.cluster.all_of("pods", "team-b")) == 2, "another pod in team-b", 60)
        self.wait_pods(2, "team-b")
        there = [pod["metadata"]["uid"] for namespace in ("team-a", "team-b") for pod in self.cluster.all_of("pods", namespace)]
        self.assertLessEqual(set(kept), set(there))
        self.assertFalse([r for r in list(self.cluster.requests) if r.method == "DELETE"])


if __name__ == "__main__":
    unittest.main(verbosity=2)
