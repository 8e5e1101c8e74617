# SPDX-License-Identifier: Apache-2.0
"""Starts two agents and a gateway, then lets each client program test them; see run.sh.

A client program prints one line per test, "ok NAME" or "FAILED NAME: why", and gets what it needs by
environment variables: SPATE_URL (with /v1), SPATE_AGENTS, and keys SPATE_KEY (no limits), SPATE_KEY_ONE
(one request at a time), SPATE_KEY_RATE (two requests a minute). Standard library only.
"""
import os
import pathlib
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "local"))
import rig  # noqa: E402

TENANTS = [
    rig.tenant("acme", rig.KEY),
    rig.tenant("single", "sk-test-single", concurrency=1),
    rig.tenant("pair", "sk-test-pair", rpm=2),
]


def asleep():
    """A model that can't serve: no pod, and none may be started."""
    return {**rig.model_route("default/asleep", []), "can_wake": False, "hold_reason": "maxReplicas is 0"}


def start(stage):
    """Two pods of the shipped model, a model without pods, three tenants."""
    for name in ("pod-a", "pod-b"):
        stage.agent(name)
    plain_snapshot = stage.plane.snapshot
    stage.plane.tenants = TENANTS
    stage.plane.snapshot = lambda: {**(plain := plain_snapshot()), "models": [*plain["models"], asleep()]}
    stage.route("pod-a", "pod-b")


def environment(stage):
    return {
        **os.environ,
        "SPATE_URL": f"http://{stage.gateway.address}/v1",
        "SPATE_AGENTS": " ".join(agent.address for agent in stage.agents.values()),
        "SPATE_KEY": rig.KEY,
        "SPATE_KEY_ONE": "sk-test-single",
        "SPATE_KEY_RATE": "sk-test-pair",
        "SPATE_TOKEN": stage.tokens["agent"],
    }


def run(name, command, stage):
    """Runs one client program; returns how many of its tests passed and failed."""
    result = subprocess.run(command, env=environment(stage), capture_output=True, text=True, timeout=300, check=False)
    lines = result.stdout.splitlines()
    passed = sum(line.startswith("ok ") for line in lines)
    failed = sum(line.startswith("FAILED ") for line in lines)
    for line in lines:
        if not line.startswith("ok "):
            print(f"{name}: {line}")
    if result.returncode != 0 and failed == 0:
        print(f"{name}: ended with status {result.returncode}\n{result.stderr[-3000:]}")
        failed = 1
    print(f"{name}: {passed} passed, {failed} failed", flush=True)
    return passed, failed


def main(cache):
    programs = [
        ("http", [sys.executable, str(HERE / "http_checks.py")]),
        ("python-3", [str(cache / "python-3/bin/python"), str(HERE / "python/client.py")]),
        ("python-1", [str(cache / "python-1/bin/python"), str(HERE / "python/client.py")]),
        ("node", ["node", str(HERE / "node/client.mjs"), str(cache / "node/package.json")]),
    ]
    totals = [0, 0]
    for name, command in programs:
        # A stage of its own for each: the rates of the tenants begin anew.
        with rig.Rig() as stage:
            start(stage)
            passed, failed = run(name, command, stage)
        totals[0] += passed
        totals[1] += failed
    print(f"{totals[0]} passed, {totals[1]} failed")
    return 1 if totals[1] > 0 or totals[0] == 0 else 0


if __name__ == "__main__":
    sys.exit(main(pathlib.Path(sys.argv[1])))
