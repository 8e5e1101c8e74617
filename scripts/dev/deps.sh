# SPDX-License-Identifier: Apache-2.0
# ./dev deps: everything the build needs, from the system's own package manager. Packages are
# installed, but the machine's package configuration (sources, pins, keys) is never touched.
. scripts/dev/packages.sh
. scripts/dev/llhttp.sh

CMAKE_MINIMUM=3.25

dev_deps() {
    local groups=("$@") group missing

    [ ${#groups[@]} -gt 0 ] || groups=(build)
    [ "${groups[*]}" = all ] && groups=(build check clients)
    missing=$(
        for group in "${groups[@]}"; do packages_missing "$group"; done
        deps_llhttp_missing "${groups[@]}"
    )
    if [ -n "$missing" ]; then
        deps_system_supported
        deps_install $missing
    fi
    if [[ " ${groups[*]} " == *" build "* ]]; then
        llhttp_present || {
            deps_system_supported
            llhttp_fetch bookworm trixie
        }
        deps_cmake_new_enough
    fi
}

# deps_llhttp_missing GROUP...: the package, where the system has one and the build wants it.
deps_llhttp_missing() {
    if [[ " $* " == *" build "* ]] && ! llhttp_present && llhttp_is_packaged; then
        printf 'libllhttp-dev\n'
    fi
}

deps_cmake_new_enough() {
    local version

    version=$(cmake --version | sed -n '1s/.* //p')
    version_at_least "$version" $CMAKE_MINIMUM ||
        die "deps: cmake $version is older than $CMAKE_MINIMUM; remove it from PATH, so that the system's is found"
}

# Other systems are refused by name rather than half served.
deps_system_supported() {
    local ID='' VERSION_ID='' PRETTY_NAME=''

    [ -r /etc/os-release ] && . /etc/os-release
    case $ID in
    debian) [[ $VERSION_ID == 12 || $VERSION_ID == 13 ]] && return ;;
    ubuntu) version_at_least "${VERSION_ID:-0}" 24.04 && return ;;
    esac
    die "deps: ${PRETTY_NAME:-this system} is not supported; Debian 12, Debian 13 and Ubuntu 24.04 or later are"
}

# deps_install PACKAGE...: as root it installs; anyone else is told the one command.
deps_install() {
    local install="apt-get install -y --no-install-recommends $*"

    if [ "$(id -u)" -ne 0 ]; then
        say "These packages are missing. Run this once, then try again:"
        say ""
        say "  sudo apt-get update && sudo $install"
        say ""
        exit 1
    fi
    say "deps: installing $*"
    export DEBIAN_FRONTEND=noninteractive
    # A fresh image has no package lists, an old one may have stale lists: try first, then update.
    if ! $install >/dev/null 2>&1; then
        apt-get update -q >&2
        $install >&2 || die "deps: apt-get could not install: $*"
    fi
}
