# SPDX-License-Identifier: Apache-2.0
"""Both versions of helm, with nothing of whoever runs them: no caches, settings or clusters of their own."""
import json
import os
import pathlib
import subprocess
import tempfile

VERSIONS = ("helm3", "helm4")


def helm(binaries, version, *arguments, values=None, kubeconfig=os.devnull):
    """values: a tree, as of a values file. Returns what subprocess.run does."""
    with tempfile.TemporaryDirectory() as folder:
        file = pathlib.Path(folder) / "values.json"
        file.write_text(json.dumps(values or {}))
        command = [str(binaries.path(version)), *map(str, arguments), *(("--values", str(file)) if values is not None else ())]
        own = {f"HELM_{what}_HOME": folder for what in ("CACHE", "CONFIG", "DATA")}
        return subprocess.run(command, capture_output=True, text=True, check=False,
                              env=os.environ | own | {"KUBECONFIG": str(kubeconfig)})
