#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A plugin of the container network interface, after the one that makes a pod's link: gives the node's end of it the name by which
Felix finds the pod, and brings back the route that goes when a link is down, as it must be for that."""
import hashlib
import json
import os
import subprocess
import sys


def name_for(namespace, pod):
    return "cali" + hashlib.sha1(f"{namespace}.{pod}".encode()).hexdigest()[:11]


def rename(link, name, addresses):
    commands = [f"link set dev {link} down", f"link set dev {link} name {name}", f"link set dev {name} up"]
    commands += [f"route replace {row['address'].partition('/')[0]} dev {name} scope host" for row in addresses]
    subprocess.run(["ip", "-batch", "-"], input="\n".join(commands), text=True, check=True, stdout=sys.stderr)


def add(settings):
    pod = dict(part.split("=", 1) for part in os.environ["CNI_ARGS"].split(";"))
    made = settings["prevResult"]
    link = next(row for row in made["interfaces"] if not row.get("sandbox"))
    name = name_for(pod["K8S_POD_NAMESPACE"], pod["K8S_POD_NAME"])
    rename(link["name"], name, made["ips"])
    link["name"] = name
    return made


if __name__ == "__main__":
    command = os.environ["CNI_COMMAND"]
    if command == "ADD":
        json.dump(add(json.load(sys.stdin)), sys.stdout)
    elif command == "VERSION":
        json.dump({"cniVersion": "1.0.0", "supportedVersions": ["1.0.0"]}, sys.stdout)
