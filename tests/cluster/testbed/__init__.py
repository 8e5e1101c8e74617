# SPDX-License-Identifier: Apache-2.0
"""A real Kubernetes cluster on one machine, of real programs, for tests: docs/internals/cluster.md is its picture.

    plan           names, folders and addresses of one cluster
    binaries       etcd, Kubernetes, containerd, CoreDNS, Helm: found on the PATH, in the cache, or built
    certificates   one authority, and a certificate and kubeconfig for each who speaks to the API server
    machine        a "machine": namespaces of its own whose first process is init.py; killing that ends all of it
    network        the links between the machines and to the host
    control_plane  etcd, API server, controller manager, scheduler, CoreDNS: command lines and files
    node           containerd, kubelet, kube-proxy of one node
    policies       what enforces NetworkPolicies, in a cluster that wants it; link_name.py names the links of pods for it
    storage        disks for claims
    images         the pause image, and container images without a Docker engine
    registry       a private registry of images, for the tests that want one
    api            questions to the API server, by kubectl or without it
    direct         the API server without kubectl, which is slow to start
    cluster        up, down, status, kill-node, start-node
"""
