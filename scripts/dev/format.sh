# SPDX-License-Identifier: Apache-2.0
# ./dev format: clang-format over all C files. Version 19, so that two people get the same result.

dev_format() {
    command -v clang-format-19 >/dev/null || die "format: clang-format-19 is missing; ./dev deps check installs it"
    c_files | xargs -r clang-format-19 -i
}
