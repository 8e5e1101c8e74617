# SPDX-License-Identifier: Apache-2.0
# ./dev images: container images of the programs and of the model that ships, without a container
# engine. What is in them is Python, in images/; here is the build that they need first.
. scripts/dev/build.sh

dev_images() {
    command -v python3 >/dev/null || die "images: install python3"
    # Programs that somebody names, images of models, or a question about the options, need no build.
    case " $* " in
    *' --programs'* | *' --model'* | *' --help '* | *' -h '*) ;;
    *)
        dev_deps build
        build_configure release
        build_targets release $PROGRAMS
        ;;
    esac
    exec python3 images/build.py "$@"
}
