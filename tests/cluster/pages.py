# SPDX-License-Identifier: Apache-2.0
"""Pages of the documentation as tests: the commands of a page run as they stand there, and what the page shows is what comes."""
import collections
import os
import pathlib
import re
import select
import signal
import socket
import subprocess
import tempfile
import time

DOCS = pathlib.Path(__file__).resolve().parents[2] / "docs" / "kubernetes"
BLOCK_LIMIT_S = 240

# A fenced block of a page: its language, its text, and the heading that it is under.
Block = collections.namedtuple("Block", "language text heading")


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def blocks(page):
    """Of a page of docs/kubernetes, in order."""
    found, heading, language, lines = [], "", None, []
    for line in (DOCS / page).read_text().splitlines():
        if language is not None and line == "```":
            found.append(Block(language, "\n".join(lines) + "\n", heading))
            language = None
        elif language is not None:
            lines.append(line)
        elif line.startswith("```"):
            language, lines = line[3:], []
        elif line.startswith("#"):
            heading = line.lstrip("# ")
    return found


def commands(page, heading):
    """The one sh block under that heading."""
    found = [b.text for b in blocks(page) if b.language == "sh" and b.heading == heading]
    if len(found) != 1:
        raise AssertionError(f"{page}: {len(found)} sh blocks under '{heading}', not one")
    return found[0]


def replaced(text, replacements):
    """What a page can only name by an example, put in; each must be there."""
    for example, real in replacements.items():
        if example not in text:
            raise AssertionError(f"the commands do not name '{example}' any more:\n{text}")
        text = text.replace(example, real)
    return text


def missing_line(shown, came):
    """The first line that a page shows and that did not come; None: all did, in this order. `...` stands for anything, and a run of
    spaces for another. Lines that are not shown may lie between."""
    left = iter(" ".join(line.split()) for line in came.splitlines())
    for line in filter(None, (" ".join(line.split()) for line in shown.splitlines())):
        pattern = ".*".join(map(re.escape, line.split("...")))
        if not any(re.fullmatch(pattern, other) for other in left):
            return line
    return None


class Shell:
    """One bash for the commands of a page. Stops at the first command that fails, as `set -e` does. close() ends what it left
    running."""

    MARK = "spate-docs-block-ends"

    def __init__(self, cluster_name, programs, helm="helm4", environment=None, hosts=None, cwd=DOCS.parents[1]):
        """programs: the folder with kubectl and both versions of helm. environment: more variables. hosts: a file that these commands,
        and nobody else, see as /etc/hosts. cwd: where they run, by default in the root of the tree."""
        self.folder = tempfile.TemporaryDirectory(prefix="spate-docs-")
        folder = pathlib.Path(self.folder.name)
        (folder / "bin").mkdir()
        self.programs = programs
        self.use_helm(helm)
        home = {name: str(folder) for name in ("TMPDIR", "HELM_CACHE_HOME", "HELM_CONFIG_HOME", "HELM_DATA_HOME", "KUBECACHEDIR")}
        kept = {"SPATE_CACHE": os.environ.get("SPATE_CACHE", os.path.expanduser("~/.cache/spate"))}
        path = f"{folder / 'bin'}:{programs}:{os.environ['PATH']}"
        with_hosts = ["unshare", "--mount", "sh", "-c", f"mount --bind '{hosts}' /etc/hosts && exec \"$@\"", "sh"] if hosts else []
        self.process = subprocess.Popen(
            [*with_hosts, "bash", "-euo", "pipefail"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            start_new_session=True, cwd=cwd,
            env=os.environ | home | kept | {"PATH": path, "SPATE_CLUSTER": cluster_name} | (environment or {}))
        self.count = 0

    def use_helm(self, version):
        link = pathlib.Path(self.folder.name) / "bin" / "helm"
        link.unlink(missing_ok=True)
        link.symlink_to(pathlib.Path(self.programs) / version)

    def run(self, text, limit_s=BLOCK_LIMIT_S):
        """What the commands print."""
        self.count += 1
        block = pathlib.Path(self.folder.name) / f"block-{self.count}"
        block.write_text(text)
        self.process.stdin.write(f". {block} </dev/null; printf '\\n%s\\n' {self.MARK}\n".encode())
        self.process.stdin.flush()
        came, end = "", time.monotonic() + limit_s
        while f"\n{self.MARK}\n" not in came:
            ready, _, _ = select.select([self.process.stdout], [], [], 0.5)
            data = os.read(self.process.stdout.fileno(), 1 << 16) if ready else None
            came += (data or b"").decode(errors="replace")
            if data == b"" or (data is None and self.process.poll() is not None):
                raise AssertionError(f"a command failed:\n{text}\nIt printed:\n{came}")
            if time.monotonic() > end:
                raise AssertionError(f"not done after {limit_s} s:\n{text}\nIt printed:\n{came}")
        return came.split(f"\n{self.MARK}\n")[0]

    def close(self):
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()
        self.folder.cleanup()


def follow(page, shell, replacements=None, on_block=None):
    """Runs every sh block of a page, and returns what each printed. A text block after one is what it prints. on_block(block) is
    called before each."""
    printed = []
    for block in blocks(page):
        if block.language == "sh":
            if on_block is not None:
                on_block(block)
            text = block.text
            for example, real in (replacements or {}).items():
                text = text.replace(example, real)
            printed.append(shell.run(text))
        elif block.language == "text":
            line = missing_line(block.text, printed[-1])
            if line is not None:
                raise AssertionError(f"{page}, '{block.heading}': this line is shown and did not come: {line}\nWhat came:\n{printed[-1]}")
    return printed
