/* SPDX-License-Identifier: Apache-2.0 */
/*
 * spate-docs-PROGRAM: what the reference pages say of one program, as Markdown from the tables that
 * it runs on. One binary for each program, as two of them may use one name for different things;
 * CMakeLists.txt says which headers and tables are meant.
 */
#include <stdio.h>
#include <string.h>

#include DOCS_OPTIONS_HEADER
#include DOCS_METRICS_HEADER
#include "base/mem.h"
#ifdef DOCS_OTHER_HEADER
#include DOCS_OTHER_HEADER
#endif

/* DOCS_OTHER_TABLES: TABLE(name) TABLE(name) ... */
#define TABLE(name)               \
    buf_append_char(&page, '\n'); \
    metrics_document(name, ARRAY_COUNT(name), &page);

enum { PAGE_MAX = 1 << 20 };

int main(int argc, char **argv)
{
    CLEANUP(buf_fini) struct buf page;

    buf_init(&page, PAGE_MAX);
    if (argc == 2 && strcmp(argv[1], "options") == 0) {
        args_document(&DOCS_COMMAND, &page);
    } else if (argc == 2 && strcmp(argv[1], "metrics") == 0) {
        buf_printf(&page, "## %s\n\n", DOCS_COMMAND.name);
        metrics_document(DOCS_TABLE, DOCS_TABLE_COUNT, &page);
#ifdef DOCS_OTHER_TABLES
        DOCS_OTHER_TABLES
#endif
    } else {
        fprintf(stderr, "usage: %s (options | metrics)\n", argv[0]);
        return 2;
    }
    if (page.failed || fwrite(page.ptr, 1, page.len, stdout) != page.len || fflush(stdout) != 0) {
        fprintf(stderr, "%s: the page could not be written\n", argv[0]);
        return 1;
    }
    return 0;
}
