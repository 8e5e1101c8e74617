# SPDX-License-Identifier: Apache-2.0
# llhttp, the one library that a supported system may lack: Debian 12 does not package it. Its two
# packages are then fetched from Debian 13, from the very mirror that the machine already uses,
# with lists and sources of our own, checked by the system's keyring as always, and unpacked into
# the cache folder. Nothing of the system is changed, and no right of root is needed.

LLHTTP_FOLDER=$SPATE_CACHE/deps/llhttp-9.2.1
LLHTTP_PACKAGES='libllhttp-dev libllhttp9.2'

llhttp_present() {
    [ -r /usr/include/llhttp.h ] || [ -r "$LLHTTP_FOLDER/usr/include/llhttp.h" ]
}

# Debian 12 is the one supported system without it.
llhttp_is_packaged() {
    local VERSION_CODENAME=''

    . /etc/os-release
    [ "$VERSION_CODENAME" != bookworm ]
}

# llhttp_fetch OWN_SUITE SUITE
llhttp_fetch() {
    local work folder=$LLHTTP_FOLDER package options

    say "deps: fetching llhttp into $folder"
    work=$(mktemp -d)
    mkdir -p "$work/sources" "$work/lists/partial" "$work/cache/archives/partial" "$work/unpacked"
    llhttp_sources "$1" "$2" "$work/sources"
    options=(-q -o Dir::Etc::SourceList=/dev/null -o "Dir::Etc::SourceParts=$work/sources"
        -o "Dir::State::Lists=$work/lists" -o "Dir::Cache=$work/cache"
        -o Dir::State::Status=/dev/null -o APT::Update::Post-Invoke-Success::=
        -o "APT::Sandbox::User=$(id -un)" -o Acquire::Languages=none)
    apt-get "${options[@]}" update >"$work/log" 2>&1 &&
        (cd "$work" && apt-get "${options[@]}" download $LLHTTP_PACKAGES >>"$work/log" 2>&1) || {
        cat "$work/log" >&2
        rm -rf "$work"
        die "deps: llhttp could not be fetched from Debian 13 (above is what apt-get said)"
    }
    for package in "$work"/*.deb; do
        dpkg -x "$package" "$work/unpacked"
    done
    # In one step, so that a run that was cut off leaves nothing half done.
    mkdir -p "$(dirname "$folder")"
    rm -rf "$folder"
    mv "$work/unpacked" "$folder"
    rm -rf "$work"
}

# llhttp_sources OWN_SUITE SUITE FOLDER: the machine's sources of its own suite, turned to another.
# Both spellings are read: one line each ("deb [options] URI suite component...") and deb822 stanzas.
llhttp_sources() {
    local file

    for file in /etc/apt/sources.list /etc/apt/sources.list.d/*.list; do
        [ -r "$file" ] && awk -v own="$1" -v suite="$2" '
            $1 == "deb" {
                for (i = 2; i < NF; i++)
                    if ($i == own) {
                        line = $1
                        for (k = 2; k < i; k++)
                            line = line " " $k
                        print line, suite, "main"
                    }
            }' "$file"
    done >"$3/lines.list"
    for file in /etc/apt/sources.list.d/*.sources; do
        [ -r "$file" ] && awk -v own="$1" -v suite="$2" '
            BEGIN { RS = ""; FS = "\n" }
            {
                uris = ""; signed = ""; matches = 0
                for (i = 1; i <= NF; i++) {
                    if ($i ~ /^URIs:/) uris = $i
                    if ($i ~ /^Signed-By:[ \t]*\//) signed = $i
                    if ($i ~ /^Suites:/) {
                        n = split($i, words, /[ \t]+/)
                        for (k = 2; k <= n; k++)
                            if (words[k] == own) matches = 1
                    }
                    if ($i ~ /^Enabled:[ \t]*no/) { matches = 0; break }
                }
                if (matches) {
                    print "Types: deb"
                    print uris
                    print "Suites: " suite
                    print "Components: main"
                    if (signed != "") print signed
                    print ""
                }
            }' "$file"
    done >"$3/stanzas.sources"
    [ -s "$3/lines.list" ] || [ -s "$3/stanzas.sources" ] ||
        die "deps: no package source for $1 under /etc/apt; add one, or set SPATE_DEPS_DIR to a folder that holds usr/include/llhttp.h"
}
