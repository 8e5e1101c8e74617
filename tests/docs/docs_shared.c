/* SPDX-License-Identifier: Apache-2.0 */
/* spate-docs-shared: the metrics that several programs have, as Markdown from their tables. */
#include <stdio.h>

#include "base/http_connection.h"
#include "base/mem.h"
#include "base/metrics.h"
#include "billing/meter/meter.h"

enum { PAGE_MAX = 1 << 20 };

static const struct {
    const char *title;
    const char *where;
    const struct metric_info *table;
    size_t count;
} sections[] = {
    {"The usage log", "In agent and gateway.", meter_metric_table, METER_METRIC_COUNT},
    {"HTTP server", "In every program.", http_server_metrics, HTTP_METRIC_COUNT},
    {"Event loop", "In every program.", metrics_loop_table, METRICS_LOOP_COUNT},
    {"Process", "In every program.", metrics_process_table, METRICS_PROCESS_COUNT},
};

int main(void)
{
    CLEANUP(buf_fini) struct buf page;

    buf_init(&page, PAGE_MAX);
    for (size_t i = 0; i < ARRAY_COUNT(sections); i++) {
        buf_printf(&page, "%s## %s\n\n%s\n\n", i > 0 ? "\n" : "", sections[i].title,
                   sections[i].where);
        metrics_document(sections[i].table, sections[i].count, &page);
    }
    if (page.failed || fwrite(page.ptr, 1, page.len, stdout) != page.len || fflush(stdout) != 0) {
        fprintf(stderr, "spate-docs-shared: the page could not be written\n");
        return 1;
    }
    return 0;
}
