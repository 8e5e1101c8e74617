# SPDX-License-Identifier: Apache-2.0
"""The cluster is a real one: nodes, pods, names, services, volumes, GPUs that are counted, and the loss of a node."""
import functools
import os
import pathlib
import signal
import socket
import subprocess
import unittest
import urllib.request

import rig
from rig import plan as plans

DEV = pathlib.Path(__file__).resolve().parents[2] / "dev"
SERVE = "mkdir -p /tmp/web && hostname >/tmp/web/name && exec httpd -f -p 8080 -h /tmp/web"
SLEEP = "exec sleep 1000000"
# Kubernetes' own view lags; the times here are limits, and not the point.
NOT_READY_S = 90
DAEMONS = ("containerd", "kubelet", "kube-proxy")
KUBELET_PORT = 10250


class Nodes(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.cluster = rig.Cluster(f"test-{os.getpid()}")
        cls.addClassCleanup(cls.cluster.down)
        cls.cluster.up()

    def kube(self, namespace):
        return rig.Kube(self.cluster, namespace).make_namespace()

    def dev(self, *command, code=0):
        """What ./dev cluster COMMAND prints: results, and what it tells people."""
        result = subprocess.run([DEV, "cluster", *command, "--name", self.cluster.plan.name], capture_output=True, text=True,
                                check=False)
        self.assertEqual(result.returncode, code, result.stderr)
        return result.stdout, result.stderr

    def status_lines(self):
        """Of ./dev cluster status: name to the words beside it."""
        lines = self.dev("status")[0].splitlines()
        return {line.split()[0]: line.split()[1:] for line in lines}

    def of_node(self, node, ready, *more):
        return [ready, node.capacity, node.zone, self.cluster.plan.node_address(node), *more]

    def living(self, node):
        """Pid to name of a node's daemons and of the web server there."""
        return {pid: name for pid, name in self.cluster.machine(node.name).processes().items()
                if name in (*DAEMONS, "httpd")}

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
        lines = self.status_lines()
        self.assertEqual(list(lines), [*status["components"], "n1", "n2", "n3"])
        for name in status["components"]:
            self.assertEqual(lines[name], ["ok"])
        for planned in plans.NODES:
            node = self.nodes()[planned.name]
            self.assertEqual(lines[planned.name], self.of_node(planned, "Ready"))
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
        others = {node: self.living(node) for node in plans.NODES[1:]}
        for found in others.values():
            self.assertEqual(sorted(found.values()), sorted((*DAEMONS, "httpd")))
        self.assertIn("./dev cluster start-node 1 brings it back", self.dev("kill-node", "1")[1])
        # All that ran on this node has ended at once (what has ended has no name), and nothing of the others.
        self.assertEqual([name for name in self.cluster.machine("n1").processes().values() if name], [])
        self.assertEqual({node: self.living(node) for node in others}, others)
        with self.assertRaises(OSError):
            socket.create_connection(kubelet, timeout=2)
        # Nobody told the API server: for a while it takes the node and its pod for alive.
        lines = self.status_lines()
        self.assertEqual(lines["n1"], self.of_node(plans.NODES[0], "Ready", "off"))
        rig.wait_for(lambda: rig.api.node_conditions(self.cluster.plan)["n1"] == "Unknown", NOT_READY_S, "n1 being NotReady")
        self.assertEqual(self.status_lines(), lines | {"n1": self.of_node(plans.NODES[0], "Unknown", "off")})
        for planned in plans.NODES[1:]:
            self.assertEqual(lines[planned.name], self.of_node(planned, "Ready"))
        self.assertEqual(self.dev("kill-node", "1", code=1)[1],
                         f"cluster: node n1 of cluster {self.cluster.plan.name} is off already; ./dev cluster start-node 1 "
                         "brings it back\n")
        self.assertEqual(kube.get("pod", names["n1"])["status"]["phase"], "Running")
        self.assertEqual(self.names_behind(kube, names["n3"], "web"), {names["n2"], names["n3"]})
        self.dev("start-node", "1")
        self.assertEqual(self.status_lines()["n1"], self.of_node(plans.NODES[0], "Ready"))
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
        # That it is ready is seen before its first taint is taken off. The one of before must not come back.
        rig.wait_for(lambda: "taints" not in self.nodes()["n2"]["spec"], NOT_READY_S, "a new n2 without taints")
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

    def test_commands_with_a_wrong_number(self):
        name = self.cluster.plan.name
        before = self.status_lines()
        for command, text in (
                (("kill-node", "4"), f"cluster: cluster {name} has no node '4'; there are 1, 2, 3"),
                (("kill-node", "first"), f"cluster: cluster {name} has no node 'first'; there are 1, 2, 3"),
                (("start-node", "0"), f"cluster: cluster {name} has no node '0'; there are 1, 2, 3"),
                (("start-node", "2"), f"cluster: node n2 of cluster {name} is on; ./dev cluster kill-node 2 turns it off")):
            self.assertEqual(self.dev(*command, code=1), ("", text + "\n"))
        self.assertEqual(self.dev("kill-node", code=2), (
            "", "cluster: kill-node: the following arguments are required: N; ./dev cluster kill-node --help tells more\n"))
        self.assertEqual(self.status_lines(), before)


if __name__ == "__main__":
    unittest.main()
