# SPDX-License-Identifier: Apache-2.0
"""The cluster is a real one: nodes, pods, names, services, volumes, GPUs that are counted, and the loss of a node."""
import functools
import os
import signal
import socket
import unittest
import urllib.request

import rig
from rig import plan as plans

SERVE = "mkdir -p /tmp/web && hostname >/tmp/web/name && exec httpd -f -p 8080 -h /tmp/web"
SLEEP = "exec sleep 1000000"
# Kubernetes' own view lags; the times here are limits, and not the point.
NOT_READY_S = 90
KUBELET_PORT = 10250


class Nodes(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.cluster = rig.Cluster(f"test-{os.getpid()}")
        cls.addClassCleanup(cls.cluster.down)
        cls.cluster.up()

    def kube(self, namespace):
        return rig.Kube(self.cluster, namespace).make_namespace()

    def nodes(self):
        return {node["metadata"]["name"]: node for node in rig.api.get(self.cluster.plan, "nodes")["items"]}

    def start_web(self, kube):
        """One web server on each node, and its service."""
        kube.apply(rig.workload("DaemonSet", "web", rig.pod("web", SERVE, port=8080)), rig.service("web", 8080))
        kube.wait_ready("web", len(plans.NODES))

    def names_behind(self, kube, pod, address, tries=20):
        command = f"for i in $(seq {tries}); do timeout 2 wget -qO- http://{address}/name; done"
        return set(kube.shell(pod, command).split())

    def test_nodes_are_ready_and_labelled(self):
        status = self.cluster.status()
        self.assertTrue(all(status["components"].values()), status)
        for planned in plans.NODES:
            node = self.nodes()[planned.name]
            self.assertEqual(status["nodes"][planned.name]["ready"], "True")
            self.assertEqual(node["status"]["nodeInfo"]["kubeletVersion"], "v1.36.3")
            self.assertEqual(node["metadata"]["labels"]["topology.kubernetes.io/zone"], planned.zone)
            self.assertEqual(node["metadata"]["labels"]["karpenter.sh/capacity-type"], planned.capacity)
            self.assertEqual(node["status"]["allocatable"]["nvidia.com/gpu"], "8")

    def test_pods_on_each_node_behind_a_service(self):
        kube = self.kube("services")
        self.start_web(kube)
        names = {pod["metadata"]["name"] for pod in kube.pods("web")}
        for planned in plans.NODES:
            pod = kube.pod_on("web", planned.name)
            # By the service's name, from each node, pods on each node are reached, its own among them: as soon as the node
            # has heard of all of them.
            rig.wait_for(lambda: self.names_behind(kube, pod, "web.services.svc.cluster.local") == names, 30,
                         f"{planned.name} reaching {names}")
        for found in kube.pods("web"):
            with urllib.request.urlopen(f"http://{found['status']['podIP']}:8080/name", timeout=5) as answer:
                self.assertEqual(answer.read().decode().strip(), found["metadata"]["name"])
        # This host reaches them too, by the service's address.
        address = kube.get("service", "web")["spec"]["clusterIP"]
        seen = set()
        for _ in range(20):
            with urllib.request.urlopen(f"http://{address}/name", timeout=5) as answer:
                seen.add(answer.read().decode().strip())
        self.assertEqual(seen, names)
        self.assertIn("NXDOMAIN", kube.shell(pod, "nslookup none.services.svc.cluster.local || true"))

    def test_restricted_is_enforced(self):
        kube = self.kube("strict")
        template = rig.pod("loose", SLEEP)
        del template["spec"]["securityContext"]
        loose = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "loose"}, "spec": template["spec"]}
        with self.assertRaisesRegex(plans.ClusterError, "violates PodSecurity"):
            kube.apply(loose)

    def test_logs_and_user(self):
        kube = self.kube("logs")
        kube.apply(rig.workload("Deployment", "talker", rig.pod("talker", f"echo hello; id -u; {SLEEP}")))
        kube.wait_ready("talker", 1)
        self.assertEqual(kube.run("logs", "deployment/talker").split(), ["hello", "65534"])

    def test_gpus_are_counted(self):
        kube = self.kube("gpus")
        kube.apply(rig.workload("Deployment", "greedy", rig.pod("greedy", SLEEP, gpus=8), replicas=4))
        kube.wait_ready("greedy", 3)

        def why_pending():
            return [c["message"] for pod in kube.pods("greedy") for c in pod["status"].get("conditions", ())
                    if c["type"] == "PodScheduled" and c["status"] == "False"]
        self.assertIn("Insufficient nvidia.com/gpu", rig.wait_for(why_pending, 30, "a pod without a place")[0])
        self.assertEqual(len({pod["spec"].get("nodeName") for pod in kube.pods("greedy")}), 4)
        kube.run("delete", "deployment", "greedy")

    def test_image_as_a_volume(self):
        kube = self.kube("volumes")
        archive = rig.images.write(self.cluster.plan.folder / "model.tar", "spate.invalid/model:1",
                                   {"model/weights": rig.images.contents.file(b"0123456789")})
        self.cluster.load(archive)
        kube.apply(rig.workload("Deployment", "reader", rig.pod(
            "reader", SLEEP, volumes=[{"name": "model", "image": {"reference": "spate.invalid/model:1"}}],
            mounts=[{"name": "model", "mountPath": "/model", "readOnly": True}])))
        kube.wait_ready("reader", 1)
        pod = kube.pods("reader")[0]["metadata"]["name"]
        self.assertEqual(kube.shell(pod, "cat /model/model/weights"), "0123456789")
        with self.assertRaisesRegex(plans.ClusterError, "Read-only file system"):
            kube.shell(pod, "touch /model/new")

    def test_claim_outlives_its_pod_and_node(self):
        kube = self.kube("claims")
        kube.apply({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "kept"}, "spec": {
            "accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}})

        def use(app, node, command):
            template = rig.pod(app, command, volumes=[{"name": "kept", "persistentVolumeClaim": {"claimName": "kept"}}],
                               mounts=[{"name": "kept", "mountPath": "/kept"}])
            template["spec"]["nodeSelector"] = {"kubernetes.io/hostname": node}
            kube.apply(rig.workload("Deployment", app, template))
            kube.wait_ready(app, 1)
        use("writer", "n1", f"echo text >/kept/file; {SLEEP}")
        kube.run("delete", "deployment", "writer")
        use("reader", "n2", f"cat /kept/file; {SLEEP}")
        self.assertEqual(kube.run("logs", "deployment/reader").strip(), "text")

    def test_node_dies_and_comes_back(self):
        kube = self.kube("losses")
        self.start_web(kube)
        names = {node.name: kube.pod_on("web", node.name) for node in plans.NODES}
        kubelet = (self.cluster.plan.node_address(plans.NODES[0]), KUBELET_PORT)
        socket.create_connection(kubelet, timeout=5).close()
        self.cluster.kill_node(1)
        with self.assertRaises(OSError):
            socket.create_connection(kubelet, timeout=2)
        # Nobody told the API server: for a while it takes the node and its pod for alive.
        seen = self.cluster.status()["nodes"]["n1"]
        self.assertEqual((seen["on"], seen["ready"], any(seen["daemons"].values())), (False, "True", False))
        rig.wait_for(lambda: rig.api.node_conditions(self.cluster.plan)["n1"] == "Unknown", NOT_READY_S, "n1 being NotReady")
        self.assertEqual(kube.get("pod", names["n1"])["status"]["phase"], "Running")
        self.assertEqual(self.names_behind(kube, names["n3"], "web"), {names["n2"], names["n3"]})
        self.cluster.start_node(1)
        self.assertEqual(rig.api.node_conditions(self.cluster.plan)["n1"], "True")
        kube.wait_ready("web", len(plans.NODES))
        rig.wait_for(lambda: self.names_behind(kube, names["n3"], "web") == set(names.values()), 30, "all behind the service")
        restarts = kube.get("pod", names["n1"])["status"]["containerStatuses"][0]["restartCount"]
        self.assertGreater(restarts, 0)

    def test_node_is_reclaimed_and_replaced(self):
        """As a cloud does it: a taint, then the machine and its Node are gone; a new one comes by the same name."""
        kube = self.kube("reclaims")
        self.start_web(kube)
        kubectl = functools.partial(rig.api.kubectl, self.cluster.plan)
        kubectl("taint", "node", "n2", "spate.invalid/reclaimed=:NoSchedule")
        self.cluster.kill_node(2)
        kubectl("delete", "node", "n2")
        rig.wait_for(lambda: len(kube.pods("web")) == 2, NOT_READY_S, "the end of the pod on n2")
        self.cluster.start_node(2)
        self.assertNotIn("taints", self.nodes()["n2"]["spec"])
        self.assertEqual(self.nodes()["n2"]["metadata"]["labels"]["karpenter.sh/capacity-type"], "spot")
        kube.wait_ready("web", len(plans.NODES))

    def test_a_process_of_a_pod_is_found_on_this_host(self):
        kube = self.kube("pids")
        kube.apply(rig.workload("Deployment", "mortal", rig.pod("mortal", SLEEP)))
        kube.wait_ready("mortal", 1)
        pod = kube.pods("mortal")[0]
        sleepers = [pid for pid in rig.processes_of(pod) if rig.machine.program_name(pid) == "sleep"]
        self.assertEqual(len(sleepers), 1)
        os.kill(sleepers[0], signal.SIGKILL)

        def restarts():
            return kube.get("pod", pod["metadata"]["name"])["status"]["containerStatuses"][0]["restartCount"]
        rig.wait_for(lambda: restarts() == 1, 30, "the container's restart")

    def test_commands_on_dead_and_missing_nodes(self):
        for call, number, text in ((self.cluster.kill_node, 4, "no node '4'; there are 1, 2, 3"),
                                   (self.cluster.start_node, 2, "node n2 is on")):
            with self.assertRaisesRegex(plans.ClusterError, text):
                call(number)


if __name__ == "__main__":
    unittest.main()
