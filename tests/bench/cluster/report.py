# SPDX-License-Identifier: Apache-2.0
"""Figures as the benches in C print them: the machine once, then a line for each figure, or a JSON line for each."""
import json
import os
import pathlib
import platform
import time


def machine():
    cpu = next((line.partition(":")[2].strip() for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines()
                if line.startswith("model name")), "unknown CPU")
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {"cpu": cpu, "cores": os.cpu_count(), "memory_gib": round(memory, 1), "kernel": platform.release(),
            "load_average": round(os.getloadavg()[0], 2)}


class Report:
    def __init__(self, as_json):
        self.as_json = as_json
        if not as_json:
            found = machine()
            print(f"cluster: {found['cpu']}, {found['cores']} cores, {found['memory_gib']} GiB, Linux {found['kernel']}, "
                  f"load average {found['load_average']:.2f}", flush=True)

    def figure(self, what, value, unit, workload=None, aim=None, peer=None, peer_value=None):
        """One thing measured; `peer` is what ran beside it in the same run, in the same unit."""
        ratio = value / peer_value if peer_value else None
        if self.as_json:
            line = {"bench": "cluster", "what": what, "value": value, "unit": unit, "workload": workload, "aim": aim,
                    "peer": peer, "peer_value": peer_value, "ratio": ratio}
            line = {key: found for key, found in line.items() if found is not None}
            print(json.dumps(line | {"machine": machine(), "unix_ms": int(time.time() * 1000)}), flush=True)
            return
        text = f"  {what:<56} {value:10.4g} {unit}"
        text += f"  (aim {aim})" if aim else ""
        text += f"  {peer} {peer_value:.4g}, ratio {ratio:.2f}" if ratio else ""
        text += f"\n      {workload}" if workload else ""
        print(text, flush=True)
