# SPDX-License-Identifier: Apache-2.0
# ./dev lint: what a reviewer would say by heart. Each check prints the places it found; the last
# line sums up. --tidy adds clang-tidy, which takes minutes.

LINT_FINDINGS=0

dev_lint() {
    local tidy=no

    case ${1:-} in
    '') ;;
    --tidy) tidy=yes ;;
    *) die "lint: unknown option '$1'; there is --tidy" ;;
    esac
    LINT_FINDINGS=0
    lint_banned
    lint_memory
    lint_licence
    lint_places
    lint_merges
    lint_pages
    lint_format
    lint_sizes
    [ $tidy = no ] || lint_tidy
    say "lint: $LINT_FINDINGS findings"
    [ $LINT_FINDINGS -eq 0 ]
}

# lint_found TEXT: TEXT holds one finding a line; empty is fine.
lint_found() {
    if [ -n "$2" ]; then
        printf '%s\n' "$2" | sed "s|^|lint: $1: |" >&2
        LINT_FINDINGS=$((LINT_FINDINGS + $(printf '%s\n' "$2" | wc -l)))
    fi
}

# C code with comments and string contents blanked, as "file:line:code", so that a word in a
# comment is no finding.
lint_code() {
    xargs -r awk -f scripts/dev/strip_c.awk
}

# Functions with a better way in base/, or with none at all: unbounded, locale-bound, not reentrant.
LINT_BANNED='sprintf|vsprintf|strcpy|strcat|strncpy|strncat|strtok|gets|scanf|sscanf|fscanf|atoi|atol|atoll|atof|gmtime|localtime|asctime|ctime|alloca|setjmp|longjmp|tmpnam|mktemp|rand|srand'
# Besides, in the programs themselves: a shell between two programs.
LINT_BANNED_SHELL='system|popen'

lint_banned() {
    lint_found 'banned function' "$(c_files | lint_code |
        grep -E "(^|[^A-Za-z0-9_.>])($LINT_BANNED)[ ]*\(" || true)"
    lint_found 'a shell between programs' "$(c_files | grep -v '^tests/' | lint_code |
        grep -E "(^|[^A-Za-z0-9_.>])($LINT_BANNED_SHELL)[ ]*\(" || true)"
}

# All memory is taken through base/mem.h, so that the n-th allocation can be made to fail. Giving it
# back by free() is right for what a library made (scandir, jansson).
lint_memory() {
    lint_found 'raw allocation (base/mem.h has the ways)' "$(c_files |
        grep -E '^(base|wire|engine|agent|gateway|autoscale|operator|billing|crd|cli)/' |
        grep -v '^base/mem\.' | lint_code |
        grep -E '(^|[^A-Za-z0-9_.>])(malloc|calloc|realloc|strdup|strndup|asprintf|vasprintf)[ ]*\(' || true)"
}

lint_licence() {
    lint_found 'no SPDX line at the top' "$(c_files | while read -r file; do
        head -n 1 "$file" | grep -q 'SPDX-License-Identifier: Apache-2.0' || printf '%s\n' "$file"
    done)"
}

# Paths of one machine, and hosts of registries (a source is whatever the user's tools are set to).
# The pattern is written in two halves so that it does not find itself. Go's lists of modules are left
# out: a module may be called by a host.
lint_places() {
    local pattern='(^|[^a-z.])/wo''rk/|(pypi|npmjs|crates|golang|deb\.debian|registry\.[a-z]+)\.(o''rg|i''o|c''om)'

    lint_found 'a path or host of one machine' "$(tree_files | grep -vE '/go\.(mod|sum)$' |
        xargs -r grep -d skip -nIE "$pattern" || true)"
}

lint_merges() {
    lint_found 'a mark of a merge' "$(tree_files | xargs -r grep -d skip -nIE '^(<{7}|>{7})( |$)' || true)"
}

# What a page points at is there: links within the tree, and files of ours that it names.
lint_pages() {
    local page target files

    files=$(tree_files)
    lint_found 'a link to nothing' "$(grep '\.md$' <<<"$files" | while read -r page; do
        { grep -oE '\]\([^)#:]+' "$page" || true; } | sed 's/^](//' | while read -r target; do
            case $target in http | https | mailto) continue ;; esac
            [ -e "$(dirname "$page")/$target" ] || printf '%s: %s\n' "$page" "$target"
        done
    done)"
    lint_found 'a file that is not there' "$(grep '\.md$' <<<"$files" | while read -r page; do
        { grep -oE '`[a-z_/]+\.(c|h|sh|py)`' "$page" || true; } | tr -d '`' | sort -u |
            while read -r target; do
                grep -qE "(^|/)$target\$" <<<"$files" || printf '%s: %s\n' "$page" "$target"
            done
    done)"
}

lint_format() {
    if ! command -v clang-format-19 >/dev/null; then
        lint_found 'format' "$(if in_ci; then echo 'clang-format-19 is missing; ./dev deps check installs it'; fi)"
        in_ci || say "lint: clang-format-19 is missing, so the format is not checked; ./dev deps check installs it"
        return
    fi
    lint_found 'format (./dev format mends it)' "$(c_files | while read -r file; do
        clang-format-19 "$file" | cmp -s - "$file" || printf '%s\n' "$file"
    done)"
}

# Not a finding: a report. A file this long perhaps holds two things.
lint_sizes() {
    c_files | xargs -r wc -l | awk '$2 != "total" && $1 > 600 { print "lint: long file: " $1 " lines " $2 }' >&2
}

lint_tidy() {
    local tidy

    tidy=$(find_llvm_tool clang-tidy) || die "lint: clang-tidy is missing; ./dev deps check installs it"
    [ -e build/dev/compile_commands.json ] || die "lint: --tidy needs ./dev build --all first"
    lint_found tidy "$(c_files | grep '\.c$' | grep -v '^tests/' |
        xargs -r -P "$SPATE_JOBS" -n 8 "$tidy" --quiet -p build/dev 2>/dev/null |
        grep -E 'warning:|error:' | sort -u || true)"
}
