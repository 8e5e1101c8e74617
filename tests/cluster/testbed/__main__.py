# SPDX-License-Identifier: Apache-2.0
"""./dev cluster COMMAND. Results on standard output, progress on standard error, one line for what went wrong."""
import argparse
import json
import os
import sys
import time

from .binaries import ALL
from .cluster import Cluster
from .plan import ClusterError


def say(text):
    print(f"cluster: {text}", file=sys.stderr, flush=True)


def build(cluster, _options):
    cluster.binaries.get(ALL)


def up(cluster, options):
    started = time.monotonic()
    cluster.up(options.control_plane_only, options.policies)
    say(f"{cluster.plan.name} is up after {time.monotonic() - started:.1f} s; "
        f"eval \"$(./dev cluster env --name {cluster.plan.name})\" sets KUBECONFIG and PATH")


def down(cluster, _options):
    cluster.down()
    say(f"{cluster.plan.name} is down")


def env(cluster, _options):
    cluster.plan.slot  # says so when the cluster is not up
    for name, value in cluster.environment().items():
        print(f'export {name}="{value}"')


def status(cluster, options):
    found = cluster.status()
    if options.json:
        print(json.dumps(found, indent=2))
        return
    for name, well in found["components"].items():
        print(f"{name:24} {'ok' if well else 'DOWN'}")
    for name, node in found["nodes"].items():
        state = {"True": "Ready", "False": "NotReady"}.get(node["ready"], "Unknown")
        print(f"{name:24} {state:9} {node['capacity']:10} {node['zone']} {node['address']}{what_ended(node)}")


def what_ended(node):
    """Kubernetes takes a node for Ready for a while after it went off."""
    if not node["on"]:
        return "  off"
    ended = [name for name, runs in node["daemons"].items() if not runs]
    return "  not running: " + " ".join(ended) if ended else ""


def kill_node(cluster, options):
    cluster.kill_node(options.node)
    say(f"node {options.node} is dead; ./dev cluster start-node {options.node} brings it back")


def start_node(cluster, options):
    cluster.start_node(options.node)
    say(f"node {options.node} is Ready")


def load(cluster, options):
    cluster.load(options.archive)


def enter(cluster, options):
    command = options.rest or [os.environ.get("SHELL", "/bin/sh")]
    sys.exit(cluster.machine(options.machine).inside(command, check=False).returncode)


class Parser(argparse.ArgumentParser):
    """One line for what is wrong, without the usage before it."""

    def error(self, message):
        command = self.prog.removeprefix("./dev cluster").strip()
        say((f"{command}: " if command else "") + f"{message}; {self.prog} --help tells more")
        sys.exit(2)


def parse(arguments):
    parser = Parser(prog="./dev cluster", description="A real Kubernetes cluster on this machine, for tests.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def add(function, name, text):
        command = commands.add_parser(name, help=text, description=text)
        command.add_argument("--name", default=os.environ.get("SPATE_CLUSTER", "default"),
                             help="which cluster (default: SPATE_CLUSTER, or 'default')")
        command.set_defaults(function=function)
        return command

    add(build, "build", "build all programs that clusters run, once; up builds those that it lacks")
    command = add(up, "up", "make it, anew if there is one")
    command.add_argument("--control-plane-only", action="store_true", help="an API server without nodes")
    command.add_argument("--policies", action="store_true", help="have the nodes enforce NetworkPolicies")
    add(down, "down", "take it down, and all it left")
    add(status, "status", "is each part well?").add_argument("--json", action="store_true")
    add(env, "env", "print the lines that set KUBECONFIG and PATH for kubectl, helm3, helm4 and ctr")
    add(kill_node, "kill-node", "kill a node without notice").add_argument("node", metavar="N")
    add(start_node, "start-node", "bring a killed node back").add_argument("node", metavar="N")
    add(load, "load", "put the images of a docker archive on every node").add_argument("archive", metavar="FILE")
    command = add(enter, "enter", "run a command, or a shell, inside cp, n1, n2 or n3")
    command.add_argument("machine", metavar="MACHINE")
    command.add_argument("rest", metavar="COMMAND", nargs=argparse.REMAINDER)
    return parser.parse_args(arguments)


def main():
    options = parse(sys.argv[1:])
    if os.geteuid() != 0:
        say("namespaces, links and cgroups need the rights of root: run it by sudo")
        return 1
    try:
        options.function(Cluster(options.name), options)
    except ClusterError as e:
        say(e)
        return 1
    return 0


sys.exit(main())
