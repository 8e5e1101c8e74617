# SPDX-License-Identifier: Apache-2.0
"""Every path that a program serves, read from the program's own tables in its source: so no path can be added and missed."""
import pathlib
import re
import typing

ROOT = pathlib.Path(__file__).resolve().parents[3]
FOLDERS = ("operator", "gateway", "billing", "agent", "wire", "base")
# spate up alone; it is no part of what the chart installs.
NOT_IN_PODS = ROOT / "operator" / "local"


class Route(typing.NamedTuple):
    method: str
    path: str


def source(name):
    return (ROOT / name).read_text()


def sources():
    return [file for folder in FOLDERS for file in sorted((ROOT / folder).rglob("*.[ch]")) if not file.is_relative_to(NOT_IN_PODS)]


def constants():
    """#define NAME "text", of all headers."""
    found = {}
    for file in sources():
        found.update(re.findall(r'^#define (\w+)\s+(?:\\\n\s*)?"([^"\n]*)"', file.read_text(), re.MULTILINE))
    return found


def table(text, beginning):
    """The rows of an initialiser, each as its text between braces."""
    body = text.split(beginning, 1)[1].split("\n    };" if beginning.startswith("    ") else "\n};", 1)[0]
    rows = re.findall(r"\{((?:[^{}]|\{[^{}]*(?:\{[^{}]*\})*[^{}]*\})*)\}", body)
    assert rows, f"no rows after {beginning!r}"
    return rows


def text_of(expression, known):
    expression = expression.strip()
    return expression.strip('"') if expression.startswith('"') else known[expression]


def plain_rows(name, beginning):
    """Rows of {"METHOD", PATH, ...}."""
    known = constants()
    return [Route(text_of(method, known), text_of(path, known))
            for method, path in (row.split(",")[:2] for row in table(source(name), beginning))]


def operator():
    return plain_rows("operator/endpoints/endpoints.c", "plain_paths[] = {")


def ledger():
    known = [*plain_rows("billing/ledger/server.c", "struct route routes[] = {")]
    run = "01arz3ndektsv4rrffq69g5fav"
    return known + [Route("GET", f"/internal/v1/runs/{run}"), Route("POST", f"/internal/v1/runs/{run}/lost")]


def agent():
    rows = table(source("agent/endpoints.c"), "struct route routes[] = {")
    known = constants()
    found = []
    for row in rows:
        method, path, versioned = (part.strip() for part in row.split(",")[:3])
        plain = Route(text_of(method, known), text_of(path, known))
        found += [plain] + ([Route(plain.method, f"/v1{plain.path}")] if versioned == "true" else [])
    return found + [Route("GET", f"{prefix}/models/team/brook") for prefix in ("", "/v1")]


def gateway():
    text = source("gateway/endpoints.c")
    prefixes = re.search(r"prefixes\[\] = \{([^}]*)\}", text)[1]
    found = []
    for row in table(text, "    } table[] = {"):
        path, _, method, _ = re.match(r'"([^"]+)", \{(\w+), "(\w+)", (true|false)', row.replace("\n", " ")).groups()
        found += [Route(method, prefix.strip(' "').rstrip("/") + path) for prefix in ["", *prefixes.split(",")]]
    return found + [Route("GET", "/v1/models/team/brook")]


PROGRAMS = {"operator": operator, "ledger": ledger, "agent": agent, "gateway": gateway}


def internal_paths_in_source():
    """Every text of the sources that is an internal path, wherever it stands."""
    return {path.rstrip("/") for file in sources() for path in re.findall(r'"(/internal/[^"?\s]*)', file.read_text())}


def covered_paths():
    return {route.path for routes in PROGRAMS.values() for route in routes()}
