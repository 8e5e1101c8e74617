# SPDX-License-Identifier: Apache-2.0
# Prints C files as "file:line:code" with comments removed and the contents of strings and character
# constants emptied. Enough of C's lexer for a search by word; used by ./dev lint.

FNR == 1 { in_comment = 0 }

{
    line = $0
    out = ""
    while (length(line) > 0) {
        if (in_comment) {
            end = index(line, "*/")
            if (end == 0) {
                line = ""
            } else {
                line = substr(line, end + 2)
                in_comment = 0
            }
        } else if (match(line, /^"([^"\\]|\\.)*"/)) {
            out = out "\"\""
            line = substr(line, RLENGTH + 1)
        } else if (match(line, /^'([^'\\]|\\.)*'/)) {
            out = out "''"
            line = substr(line, RLENGTH + 1)
        } else if (substr(line, 1, 2) == "/*") {
            in_comment = 1
            line = substr(line, 3)
        } else if (substr(line, 1, 2) == "//") {
            line = ""
        } else if (match(line, /^[^"'\/]+/)) {
            out = out substr(line, 1, RLENGTH)
            line = substr(line, RLENGTH + 1)
        } else {
            out = out substr(line, 1, 1)
            line = substr(line, 2)
        }
    }
    if (out ~ /[^ \t]/)
        print FILENAME ":" FNR ":" out
}
