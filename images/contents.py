# SPDX-License-Identifier: Apache-2.0
"""What is in each image: a root file system in memory, as path to Entry. A program's image holds the program without debug
information, the shared libraries it needs (as ldd says, from the machine that built it) with their licences, and next to
nothing else: no shell, no package manager."""
import collections
import dataclasses
import pathlib
import re
import stat
import subprocess
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[1]
USER = 65532
STATE = "var/lib/spate"
MB = 1_000_000
MODEL_LIMIT_MB = 2000
CERTIFICATES = pathlib.Path("/etc/ssl/certs/ca-certificates.crt")
ZONES = pathlib.Path("/usr/share/zoneinfo")
# Folders with the same zones once more, and what belongs to this machine.
ZONES_LEFT_OUT = {"posix", "right", "localtime"}

# programs: the first one is what the image runs. extra: what else it needs, by functions below. limit: of the compressed image.
Recipe = collections.namedtuple("Recipe", "summary programs extra limit_mb")
RECIPES = {
    "operator": Recipe("Keeps the right pods running for every model", ("spate-operator", "spate"), ("certificates", "zones"), 25),
    "gateway": Recipe("Takes the requests of clients to the pods of their models", ("spate-gateway",), ("certificates",), 25),
    "ledger": Recipe("Keeps what was computed, and charges for it", ("spate-ledger",), (), 15),
    "agent": Recipe("Serves one model in a pod", ("spate-agent",), (), 15),
    "brook": Recipe("The model that ships with Spate, for image volumes", (), ("brook",), 5),
}


class ImageError(Exception):
    pass


@dataclasses.dataclass(frozen=True)
class Entry:
    mode: int
    data: bytes = b""
    target: str = ""  # of a symbolic link
    owner: int = 0

    @property
    def is_folder(self):
        return stat.S_ISDIR(self.mode)


def folder(mode=0o755, owner=0):
    return Entry(stat.S_IFDIR | mode, owner=owner)


def file(data, mode=0o644):
    return Entry(stat.S_IFREG | mode, data)


def link(target):
    return Entry(stat.S_IFLNK | 0o777, target=str(target))


def root_of(name, programs):
    """The root file system of an image; `programs` is the folder of the built programs."""
    recipe = RECIPES[name]
    tree = skeleton() if recipe.programs else {}
    for program in recipe.programs:
        add_program(tree, programs / program)
    for extra in recipe.extra:
        EXTRAS[extra](tree)
    if recipe.programs:
        add_licences(tree, [PACKAGES[extra] for extra in recipe.extra])
    return with_parents(tree)


def with_parents(tree):
    """The tree and the folders that its paths are in."""
    for path in list(tree):
        for parent in pathlib.PurePosixPath(path).parents:
            if str(parent) != ".":
                tree.setdefault(str(parent), folder())
    return tree


def skeleton():
    return {
        "bin": link("usr/bin"), "lib": link("usr/lib"), "lib64": link("usr/lib64"), "sbin": link("usr/sbin"),
        "usr/sbin": folder(), "usr/lib64": folder(),
        "etc/passwd": file(b"root:x:0:0::/nonexistent:/sbin/nologin\n"
                           + f"spate:x:{USER}:{USER}::/{STATE}:/sbin/nologin\n".encode()),
        "etc/group": file(f"root:x:0:\nspate:x:{USER}:\n".encode()),
        "etc/nsswitch.conf": file(b"hosts: files dns\n"),
        "tmp": folder(0o1777), STATE: folder(0o700, USER),
    }


def add_program(tree, program):
    if not program.exists():
        raise ImageError(f"{program} is not there: ./dev build --release makes it")
    with tempfile.TemporaryDirectory() as scratch:
        stripped = pathlib.Path(scratch) / program.name
        run("strip", "--strip-all", "-o", str(stripped), str(program))
        tree[f"usr/bin/{program.name}"] = file(stripped.read_bytes(), 0o755)
    for library in libraries(program):
        tree[place_of(library)] = file(library.read_bytes(), 0o755)


def libraries(program):
    """The files that the loader would open for it, the loader itself included, under the names it asks for."""
    said = run("ldd", str(program))
    missing = re.search(r"(\S+) => not found", said)
    if missing:
        raise ImageError(f"{program.name} needs {missing[1]}, which this machine lacks")
    return [pathlib.Path(path) for path in re.findall(r"(?:=>\s+|^\s*)(/\S+)\s+\(0x", said, re.MULTILINE)]


def place_of(library):
    """/lib and /lib64 are links into /usr, here as in Debian."""
    place = str(library).lstrip("/")
    place = place if place.startswith("usr/") else f"usr/{place}"
    if not place.startswith(("usr/lib/", "usr/lib64/")):
        raise ImageError(f"{library} is not in a folder of the system, so the image's loader would not find it")
    return place


def add_certificates(tree):
    tree[str(CERTIFICATES).lstrip("/")] = file(CERTIFICATES.read_bytes())


def add_zones(tree):
    """Time zones, for the schedules of models."""
    for path in sorted(ZONES.rglob("*")):
        inside = path.relative_to(ZONES)
        if inside.parts[0] in ZONES_LEFT_OUT or path.is_dir():
            continue
        place = str(path).lstrip("/")
        if path.is_symlink() and (path.parent / path.readlink()).resolve().is_relative_to(ZONES):
            tree[place] = link(path.readlink())
        elif path.read_bytes()[:4] == b"TZif":
            tree[place] = file(path.read_bytes())


def add_brook(tree):
    for path in sorted((ROOT / "models" / "brook").iterdir()):
        tree[path.name] = file(path.read_bytes())
    tree["LICENSE"] = file((ROOT / "LICENSE").read_bytes())


def model_root(source):
    """The files of a model's folder. Links, as the caches of hubs have them, are followed."""
    if not (source / "config.json").is_file() and not list(source.glob("*.gguf")):
        raise ImageError(f"{source} holds neither a config.json nor a .gguf file: name the folder of a model")
    paths = [path for path in sorted(source.rglob("*")) if path.is_file() and not path.relative_to(source).parts[0].startswith(".")]
    size = sum(path.stat().st_size for path in paths)
    if size > MODEL_LIMIT_MB * MB:
        raise ImageError(f"{source} has {size / MB:.0f} MB, and images are made in memory here, of {MODEL_LIMIT_MB} MB at most: use "
                         "`docker build` with the two lines of docs/kubernetes/models.md")
    return with_parents({str(path.relative_to(source)): file(path.read_bytes()) for path in paths})


EXTRAS = {"certificates": add_certificates, "zones": add_zones, "brook": add_brook}
PACKAGES = {"certificates": "ca-certificates", "zones": "tzdata"}


def add_licences(tree, packages):
    """The licence of each package that something came from, and a list of the packages for scanners."""
    packages = {*packages, *packages_of([path for path in tree if ".so" in path])}
    lines = []
    for package in sorted(packages):
        lines.append(f"{package} {run('dpkg-query', '-W', '-f', '${Version}', package)}\n")
        licence = pathlib.Path("/usr/share/doc") / package / "copyright"
        tree[str(licence).lstrip("/")] = file(licence.read_bytes())
    tree["usr/share/doc/spate/packages.txt"] = file("".join(lines).encode())
    tree["usr/share/doc/spate/LICENSE"] = file((ROOT / "LICENSE").read_bytes())


def packages_of(paths):
    """Debian's packages of libraries; those of before /usr was merged own /lib/... Asked for all at once: each answer reads the lists
    of all packages."""
    candidates = {place: path for path in paths for place in (f"/{path}", "/" + path.removeprefix("usr/"))}
    said = subprocess.run(["dpkg-query", "-S", *candidates], capture_output=True, text=True, check=False).stdout
    found = {candidates[place]: owner for owner, place in re.findall(r"^([^:,\s]+)\S*: (\S+)$", said, re.MULTILINE)}
    for path in paths:
        if path not in found:
            raise ImageError(f"/{path} belongs to no package of this system, so its licence is not known")
    return set(found.values())


def run(*command):
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode != 0:
        raise ImageError(f"{' '.join(command)}: {result.stderr.strip() or result.stdout.strip()}")
    return result.stdout
