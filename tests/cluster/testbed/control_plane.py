# SPDX-License-Identifier: Apache-2.0
"""The machine "cp": etcd, API server, controller manager, and with nodes also scheduler and CoreDNS."""
from . import api
from . import machine as machines
from . import network
from . import plan as plans

# A node that says nothing for this long is NotReady. Kubernetes' own default is 50 s; tests wait for it often.
NODE_GRACE_S = 16

# Each component's port, the path that says whether it is well, and whether it speaks TLS.
PROBES = {
    "etcd": (plans.ETCD_METRICS_PORT, "/health", False),
    "kube-apiserver": (plans.API_PORT, "/readyz", True),
    "kube-controller-manager": (plans.CONTROLLER_MANAGER_PORT, "/healthz", True),
    "kube-scheduler": (plans.SCHEDULER_PORT, "/healthz", True),
    "coredns": (plans.DNS_READY_PORT, "/ready", False),
}

# What service accounts ask for, those of Kubernetes' own controllers left out: a line for each request, without bodies.
AUDIT_POLICY = """\
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- {level: None, userGroups: ["system:serviceaccounts:kube-system"]}
- {level: Metadata, userGroups: ["system:serviceaccounts"]}
- {level: None}
"""

COREDNS = "spate:coredns"
COREFILE = """\
{domain}:53 in-addr.arpa:53 {{
    bind {address}
    ready {address}:{ready_port}
    kubernetes {domain} in-addr.arpa {{
        kubeconfig {kubeconfig}
        pods insecure
        ttl 2
    }}
}}
"""


def prepare(plan, authority):
    """Certificates and files, before anything runs."""
    authority.server("api-server", "CN = kube-apiserver", [
        "DNS:kubernetes", "DNS:kubernetes.default", "DNS:kubernetes.default.svc",
        f"DNS:kubernetes.default.svc.{plans.DOMAIN}", "DNS:localhost", f"IP:{plan.control_plane_address}",
        f"IP:{plan.api_service_address}", "IP:127.0.0.1"])
    authority.client("kubelet-client", "kube-apiserver-kubelet-client", "system:masters")
    authority.client("controller-manager", "system:kube-controller-manager")
    authority.client("scheduler", "system:kube-scheduler")
    authority.client("coredns", COREDNS)
    authority.client("kube-proxy", "system:kube-proxy")
    authority.client("admin", "admin", "system:masters")
    authority.write_kubeconfig("admin", plan.kubeconfig)
    (plan.folder / "audit-policy.yaml").write_text(AUDIT_POLICY)
    (plan.folder / "Corefile").write_text(COREFILE.format(
        domain=plans.DOMAIN, address=plan.control_plane_address, kubeconfig=authority.file("coredns.kubeconfig"),
        ready_port=plans.DNS_READY_PORT))


def power_on(plan, authority, binaries, with_nodes):
    daemons = [etcd(plan, binaries), api_server(plan, authority, binaries),
               controller_manager(plan, authority, binaries)]
    if with_nodes:
        daemons += [scheduler(plan, authority, binaries), coredns(plan, binaries)]
    machine = machines.Machine(plan, plans.CONTROL_PLANE)
    machine.power_on(lambda pid: network.connect_control_plane(plan, pid), daemons)


def audit_log(plan):
    return plan.log_folder(plans.CONTROL_PLANE) / "audit.log"


def api_is_ready(plan):
    """The file that lets the API server's clients start: one that is refused at first tries again only seconds later."""
    return plan.machine_folder(plans.CONTROL_PLANE) / "api-is-ready"


def go_on(plan):
    """Once the API server is ready: what is to be there before its clients start."""
    allow_coredns(plan)
    api_is_ready(plan).touch()


def allow_coredns(plan):
    """The right to see what has a name."""
    rules = [{"apiGroups": [""], "resources": ["services", "pods", "namespaces"], "verbs": ["list", "watch"]},
             {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": ["list", "watch"]}]
    group = "rbac.authorization.k8s.io"
    api.apply(plan, {"apiVersion": f"{group}/v1", "kind": "ClusterRole", "metadata": {"name": COREDNS}, "rules": rules},
              {"apiVersion": f"{group}/v1", "kind": "ClusterRoleBinding", "metadata": {"name": COREDNS},
               "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": COREDNS},
               "subjects": [{"apiGroup": group, "kind": "User", "name": COREDNS}]})


def etcd(plan, binaries):
    return machines.daemon(
        "etcd", binaries.path("etcd"), "--data-dir", plan.machine_folder(plans.CONTROL_PLANE) / "etcd",
        "--listen-client-urls", "http://127.0.0.1:2379", "--advertise-client-urls", "http://127.0.0.1:2379",
        "--listen-peer-urls", "http://127.0.0.1:2380", "--initial-advertise-peer-urls", "http://127.0.0.1:2380",
        "--initial-cluster", "default=http://127.0.0.1:2380", "--listen-metrics-urls",
        f"http://0.0.0.0:{plans.ETCD_METRICS_PORT}", "--log-level", "warn",
        # The cluster ends with its folder; nothing in it must survive a loss of power.
        "--unsafe-no-fsync")


def api_server(plan, authority, binaries):
    return machines.daemon(
        "kube-apiserver", binaries.path("kube-apiserver"), "--etcd-servers", "http://127.0.0.1:2379",
        "--bind-address", "0.0.0.0", "--advertise-address", plan.control_plane_address, "--secure-port", plans.API_PORT,
        "--service-cluster-ip-range", plan.services, "--authorization-mode", "Node,RBAC",
        "--enable-admission-plugins", "NodeRestriction", "--allow-privileged=true",
        "--client-ca-file", authority.certificate,
        "--tls-cert-file", authority.file("api-server.crt"), "--tls-private-key-file", authority.file("api-server.key"),
        "--kubelet-certificate-authority", authority.certificate,
        "--kubelet-client-certificate", authority.file("kubelet-client.crt"),
        "--kubelet-client-key", authority.file("kubelet-client.key"),
        # By address: nodes have names that no DNS knows.
        "--kubelet-preferred-address-types", "InternalIP",
        "--audit-policy-file", plan.folder / "audit-policy.yaml", "--audit-log-path", audit_log(plan),
        "--service-account-issuer", f"https://kubernetes.default.svc.{plans.DOMAIN}",
        "--service-account-key-file", authority.file("accounts.pub"),
        "--service-account-signing-key-file", authority.file("accounts.key"))


def controller_manager(plan, authority, binaries):
    return machines.daemon(
        "kube-controller-manager", binaries.path("kube-controller-manager"),
        "--kubeconfig", authority.file("controller-manager.kubeconfig"), "--leader-elect=false",
        "--secure-port", plans.CONTROLLER_MANAGER_PORT, "--root-ca-file", authority.certificate,
        "--service-account-private-key-file", authority.file("accounts.key"), "--use-service-account-credentials=true",
        "--node-monitor-period", "1s", "--node-monitor-grace-period", f"{NODE_GRACE_S}s",
        "--horizontal-pod-autoscaler-sync-period", "1s",
        "--service-cluster-ip-range", plan.services, wait_for_path=str(api_is_ready(plan)))


def scheduler(plan, authority, binaries):
    return machines.daemon(
        "kube-scheduler", binaries.path("kube-scheduler"), "--kubeconfig", authority.file("scheduler.kubeconfig"),
        "--leader-elect=false", "--secure-port", plans.SCHEDULER_PORT,
        wait_for_path=str(api_is_ready(plan)))


def coredns(plan, binaries):
    return machines.daemon("coredns", binaries.path("coredns"), "-conf", plan.folder / "Corefile",
                           wait_for_path=str(api_is_ready(plan)))
