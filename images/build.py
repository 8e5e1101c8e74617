#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""./dev images: the container images of Spate, without a container engine. Also what the Dockerfile calls (--root), so that
both make the same contents."""
import argparse
import pathlib
import re
import sys

import contents
import layout


def version():
    return re.search(r"^project\(spate VERSION (\S+)", (contents.ROOT / "CMakeLists.txt").read_text(), re.MULTILINE)[1]


def settings_of(recipe):
    """The user is a number, so that a kubelet can see that it is not root."""
    if not recipe.programs:
        return {}
    return {"Entrypoint": [f"/usr/bin/{recipe.programs[0]}"], "User": f"{contents.USER}:{contents.USER}", "WorkingDir": "/",
            # The default seccomp profile refuses io_uring, which some versions of libuv begin with.
            "Env": ["PATH=/usr/bin", "UV_USE_IO_URING=0"]}


def image_of(name, programs, registry, tag):
    recipe = contents.RECIPES[name]
    labels = {"org.opencontainers.image.title": f"spate-{name}", "org.opencontainers.image.description": recipe.summary,
              "org.opencontainers.image.licenses": "Apache-2.0", "org.opencontainers.image.version": version()}
    return layout.Image(f"{registry}/{name}:{tag}", contents.root_of(name, programs), settings_of(recipe), labels)


def model_image(name, source, registry, tag):
    """For image volumes: nothing in it runs."""
    labels = {"org.opencontainers.image.title": name}
    return layout.Image(f"{registry}/{name}:{tag}", contents.model_root(source), {}, labels)


def write_root(tree, out):
    """As files in new folders, for a Dockerfile to copy: OUT for what is root's, OUT.state for what is the user's. In one folder a
    COPY could not give them to both, as it changes no folder that is there."""
    out.mkdir(parents=True)
    for path, entry in sorted(tree.items()):
        place = (out.with_name(f"{out.name}.state") if entry.owner else out) / path
        if entry.is_folder:
            place.mkdir(parents=entry.owner != 0)
            place.chmod(entry.mode & 0o7777)
        elif entry.target:
            place.symlink_to(entry.target)
        else:
            place.write_bytes(entry.data)
            place.chmod(entry.mode & 0o7777)


def model_of(text):
    name, _, source = text.partition("=")
    if not re.fullmatch(r"[a-z0-9]+([._-][a-z0-9]+)*", name) or not source:
        raise argparse.ArgumentTypeError(f"'{text}': write NAME=FOLDER, the name in lower-case letters, digits and inner '.', '_' and '-'")
    return name, pathlib.Path(source)


def parse(arguments):
    parser = argparse.ArgumentParser(prog="./dev images", description="Container images, as OCI layouts and as archives for "
                                     "`ctr --namespace k8s.io images import` or `docker load`.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"which ones: {', '.join(contents.RECIPES)} (default: all)")
    parser.add_argument("--out", type=pathlib.Path, default=contents.ROOT / "build" / "images", metavar="FOLDER",
                        help="where they go (default: build/images)")
    parser.add_argument("--programs", type=pathlib.Path, default=contents.ROOT / "build" / "release" / "bin", metavar="FOLDER",
                        help="where the programs are (default: build/release/bin, which is built first)")
    parser.add_argument("--registry", default="spate.invalid", help="what their names begin with (default: spate.invalid)")
    parser.add_argument("--tag", default=version(), help=f"their tag (default: {version()})")
    parser.add_argument("--model", action="append", default=[], type=model_of, metavar="NAME=FOLDER",
                        help="an image of a model in its place: the files of that folder, for oci://REGISTRY/NAME:TAG (may be repeated)")
    parser.add_argument("--root", action="store_true", help="write plain files instead: FOLDER/NAME, and FOLDER/NAME.state for what is not root's")
    options = parser.parse_args(arguments)
    for name in options.names:
        if name not in contents.RECIPES:
            parser.error(f"no image '{name}'; there are {', '.join(contents.RECIPES)}")
    if options.model and (options.names or options.root):
        parser.error("--model makes images of models alone: leave names and --root out")
    return options


def show(image, out, name):
    image.write(out, name)
    print(f"{image.reference}  {image.size / contents.MB:5.1f} MB  {image.digest}")


def main():
    options = parse(sys.argv[1:])
    try:
        for name, source in options.model:
            show(model_image(name, source, options.registry, options.tag), options.out, name)
        for name in [] if options.model else options.names or contents.RECIPES:
            if options.root:
                write_root(contents.root_of(name, options.programs), options.out / name)
                continue
            image = image_of(name, options.programs, options.registry, options.tag)
            limit = contents.RECIPES[name].limit_mb
            if image.size > limit * contents.MB:
                raise contents.ImageError(f"{name} has {image.size / contents.MB:.1f} MB, more than its {limit} MB: see what it holds by "
                                          "--root, or raise the limit in images/contents.py")
            show(image, options.out, name)
    except (contents.ImageError, OSError) as error:
        print(f"images: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
