# SPDX-License-Identifier: Apache-2.0
"""Disks for claims: folders of this machine, which every node can reach, as with the network disks of a cloud. A disk is
used once; what a claim leaves on it stays until the cluster ends."""
from . import api

CLASS = "disk"
DISKS = 24
SIZE = "10Gi"


def prepare(plan):
    """Makes the disks, and the class that a claim gets which names none."""
    objects = [{
        "apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "provisioner": "kubernetes.io/no-provisioner",
        "metadata": {"name": CLASS, "annotations": {"storageclass.kubernetes.io/is-default-class": "true"}}}]
    for number in range(1, DISKS + 1):
        name = f"disk-{number}"
        folder = plan.folder / "disks" / name
        folder.mkdir(parents=True)
        # Kubernetes changes no owner of such a folder, and pods run as users of their own.
        folder.chmod(0o777)
        objects.append({
            "apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": name},
            "spec": {"storageClassName": CLASS, "capacity": {"storage": SIZE}, "accessModes": ["ReadWriteOnce"],
                     "persistentVolumeReclaimPolicy": "Retain", "hostPath": {"path": str(folder), "type": "Directory"}}})
    api.apply(plan, *objects)
