# SPDX-License-Identifier: Apache-2.0
"""One authority for a cluster, a certificate for each server, and for each client a kubeconfig that holds its certificate.
All are made by openssl anew for each cluster, and end with its folder."""
import base64
import subprocess

from . import plan as plans

DAYS = "365"
KUBECONFIG = """\
apiVersion: v1
kind: Config
clusters:
- name: {cluster}
  cluster:
    server: {server}
    certificate-authority-data: {authority}
users:
- name: {user}
  user:
    client-certificate-data: {certificate}
    client-key-data: {key}
contexts:
- name: {cluster}
  context:
    cluster: {cluster}
    user: {user}
current-context: {cluster}
"""
SETTINGS = """\
[req]
distinguished_name = subject
prompt = no
[subject]
{subject}
[authority]
basicConstraints = critical, CA:TRUE
keyUsage = critical, digitalSignature, keyCertSign
subjectKeyIdentifier = hash
[server]
keyUsage = critical, digitalSignature
extendedKeyUsage = serverAuth, clientAuth
subjectAltName = {names}
[client]
keyUsage = critical, digitalSignature
extendedKeyUsage = clientAuth
"""


def openssl(*arguments):
    result = subprocess.run(["openssl", *map(str, arguments)], capture_output=True, text=True, check=False)
    if result.returncode != 0:
        raise plans.ClusterError(f"openssl {arguments[0]}: {result.stderr.strip().splitlines()[-1]}")


class Authority:
    def __init__(self, plan):
        self.plan = plan
        self.folder = plan.folder / "pki"

    def file(self, name):
        return self.folder / name

    @property
    def certificate(self):
        return self.file("ca.crt")

    def make(self):
        self.folder.mkdir(mode=0o700, exist_ok=True)
        self.request("ca", "authority", f"CN = spate-cluster-{self.plan.name}")
        # Signs service account tokens.
        openssl("genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out", self.file("accounts.key"))
        openssl("pkey", "-in", self.file("accounts.key"), "-pubout", "-out", self.file("accounts.pub"))

    def request(self, name, kind, subject, names="DNS:unused", signed_by=()):
        settings = self.file(f"{name}.settings")
        settings.write_text(SETTINGS.format(subject=subject, names=names))
        openssl("req", "-x509", *signed_by, "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                "-days", DAYS, "-config", settings, "-extensions", kind, "-keyout", self.file(f"{name}.key"),
                "-out", self.file(f"{name}.crt"))

    def signed_by_us(self):
        return "-CA", self.certificate, "-CAkey", self.file("ca.key")

    def server(self, name, subject, names):
        """A server's certificate, good for a client's too; names as openssl writes them: DNS:a, IP:10.0.0.1"""
        self.request(name, "server", subject, ", ".join(names), self.signed_by_us())

    def client(self, name, user, group=None):
        """A client's certificate, and its kubeconfig in the same folder."""
        subject = f"CN = {user}" + (f"\nO = {group}" if group else "")
        self.request(name, "client", subject, signed_by=self.signed_by_us())
        return self.write_kubeconfig(name, self.file(f"{name}.kubeconfig"))

    def write_kubeconfig(self, name, path):
        encoded = {part: base64.b64encode(self.file(file).read_bytes()).decode() for part, file in
                   (("authority", "ca.crt"), ("certificate", f"{name}.crt"), ("key", f"{name}.key"))}
        path.touch(mode=0o600)
        path.write_text(KUBECONFIG.format(cluster=f"spate-{self.plan.name}", user=name, server=self.plan.server, **encoded))
        return path
