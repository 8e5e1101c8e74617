# SPDX-License-Identifier: Apache-2.0
# The one list of what Spate needs from the system: package, how to see that it is there, what to
# look for. The look is quick (no package manager), and accepts a tool that was installed otherwise.
#
#   command NAME    a program on the path
#   module NAME     a pkg-config module
#   file PATH       a file

PACKAGES_build='
gcc                   command cc
libc6-dev             file    /usr/include/stdio.h
cmake                 command cmake
ninja-build           command ninja
pkg-config            command pkg-config
libuv1-dev            module  libuv
libjansson-dev        module  jansson
libyaml-dev           module  yaml-0.1
libcurl4-openssl-dev  module  libcurl
libssl-dev            module  libcrypto
libsqlite3-dev        module  sqlite3
libutf8proc-dev       module  libutf8proc
zlib1g-dev            module  zlib
libcmocka-dev         module  cmocka
tzdata                file    /usr/share/zoneinfo/Asia/Shanghai
ca-certificates       file    /etc/ssl/certs/ca-certificates.crt
'

PACKAGES_check='
clang-19              command clang-19
clang-format-19       command clang-format-19
clang-tidy-19         command clang-tidy-19
libclang-rt-19-dev    file    /usr/lib/llvm-19/lib/clang/19/lib/linux
'

PACKAGES_clients='
python3               command python3
python3-venv          file    /usr/lib/python3*/ensurepip/__init__.py
nodejs                command node
npm                   command npm
'

# For ./dev cluster: what of a node is the system's own. The rest is built from Go modules.
PACKAGES_cluster='
python3                        command python3
python3-venv                   file    /usr/lib/python3*/ensurepip/__init__.py
openssl                        command openssl
curl                           command curl
iproute2                       command ip
util-linux                     command nsenter
mount                          command mount
runc                           command runc
containernetworking-plugins    file    /usr/lib/cni/ptp
nftables                       command nft
iptables                       command iptables-nft-restore
ipset                          command ipset
conntrack                      command conntrack
busybox-static                 file    /usr/share/doc/busybox-static
gcc                            command cc
libc6-dev                      file    /usr/include/stdio.h
'

# For the tests of images: what pushes them to a registry, and what builds a Dockerfile without an
# engine, from a base image that is made of packages.
PACKAGES_images='
skopeo                    command skopeo
buildah                   command buildah
debootstrap               command debootstrap
debian-archive-keyring    file    /usr/share/keyrings/debian-archive-keyring.gpg
'

# package_present KIND WHAT
package_present() {
    case $1 in
    command) command -v "$2" >/dev/null ;;
    module) command -v pkg-config >/dev/null && pkg-config --exists "$2" ;;
    # Unquoted on purpose: a path may hold a pattern.
    file) compgen -G "$2" >/dev/null ;;
    esac
}

# packages_missing GROUP: prints the packages of a group that are not there, one a line.
packages_missing() {
    local list=PACKAGES_$1 package kind what

    [ -n "${!list:-}" ] || die "deps: no group '$1'; there are build, check, clients, cluster, images and all"
    while read -r package kind what; do
        if [ -n "$package" ] && ! package_present "$kind" "$what"; then
            printf '%s\n' "$package"
        fi
    done <<<"${!list}"
}
