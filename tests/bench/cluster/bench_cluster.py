# SPDX-License-Identifier: Apache-2.0
"""Figures on a real Kubernetes cluster, as root: each part makes a cluster of its own and takes it down.

    bench_cluster.py [--json] [--name NAME] [PART...]     parts: models, pods, first_token, failover
"""
import argparse
import os
import signal
import sys

import failover
import first_token
import scale
from report import Report

MODELS = (1000, 10000)


def models(report, args):
    for count in [args.models] if args.models else MODELS:
        scale.measure_models(report, args.name, count)


def pods(report, args):
    scale.measure_pods(report, args.name, args.models or max(MODELS), args.pods_each)


PARTS = {"models": models, "pods": pods,
         "first_token": lambda report, args: first_token.measure(report, args.name, args.wakes),
         "failover": lambda report, args: failover.measure(report, args.name, args.kills)}


def main():
    parser = argparse.ArgumentParser(prog="./dev bench cluster", description="Measures Spate on a real Kubernetes cluster, as root.")
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"{', '.join(PARTS)} (default: all, in this order)")
    parser.add_argument("--json", action="store_true", help="print one JSON line for each figure")
    parser.add_argument("--name", default="bench", help="what the names of its clusters begin with (default: bench)")
    parser.add_argument("--models", type=int, metavar="N", help="how many models (default: 1000, then 10000)")
    parser.add_argument("--pods-each", type=int, default=10, metavar="N", help="pods of each model, in the part pods (default: 10)")
    parser.add_argument("--wakes", type=int, default=10, metavar="N", help="wakes from zero, in the part first_token (default: 10)")
    parser.add_argument("--kills", type=int, default=50, metavar="N", help="kills of the leader, in the part failover (default: 50)")
    args = parser.parse_args()
    unknown = set(args.parts) - set(PARTS)
    if unknown:
        parser.error(f"no part {unknown.pop()}; there are {', '.join(PARTS)}")
    if os.geteuid() != 0:
        sys.exit("bench cluster: namespaces, links and cgroups need the rights of root: run it by sudo")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("bench cluster: ended by a signal"))  # and its cluster is taken down
    report = Report(args.json)
    for part in args.parts or PARTS:
        PARTS[part](report, args)


main()
