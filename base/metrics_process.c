/* SPDX-License-Identifier: Apache-2.0 */
/* Metrics of the process and of a loop, read at each exposition: see metrics.h. */
#include <dirent.h>
#include <stdio.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "base/loop.h"
#include "base/mem.h"
#include "base/metrics.h"

enum { CPU, RESIDENT, DESCRIPTORS, START };

const struct metric_info metrics_process_table[METRICS_PROCESS_COUNT] = {
    [CPU] = {.name = "spate_process_cpu_seconds_total",
             .type = METRIC_COUNTER,
             .help = "Processor time used, user and system."},
    [RESIDENT] = {.name = "spate_process_resident_memory_bytes",
                  .type = METRIC_GAUGE,
                  .help = "Resident memory."},
    [DESCRIPTORS] = {.name = "spate_process_open_fds",
                     .type = METRIC_GAUGE,
                     .help = "Open file descriptors."},
    [START] = {.name = "spate_process_start_time_seconds",
               .type = METRIC_GAUGE,
               .help = "When the process began, in Unix time."},
};

enum { SLOW, SLOWEST, POSTS_REFUSED };

const struct metric_info metrics_loop_table[METRICS_LOOP_COUNT] = {
    [SLOW] = {.name = "spate_loop_slow_callbacks_total",
              .type = METRIC_COUNTER,
              .help = "Callbacks of the event loop that took longer than 1 ms."},
    [SLOWEST] = {.name = "spate_loop_slowest_callback_seconds",
                 .type = METRIC_GAUGE,
                 .help = "The longest callback of the event loop so far."},
    [POSTS_REFUSED] = {.name = "spate_loop_posts_refused_total",
                       .type = METRIC_COUNTER,
                       .help = "Messages to the loop that met a full queue."},
};

static double cpu_seconds(void)
{
    struct rusage usage;

    if (getrusage(RUSAGE_SELF, &usage) != 0)
        return 0;
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static double resident_bytes(void)
{
    FILE *file = fopen("/proc/self/statm", "re");
    char line[128];
    struct str rest = STR_NONE;
    uint64_t pages = 0;

    if (file == NULL)
        return 0;
    if (fgets(line, sizeof(line), file) != NULL)
        rest = str_of(line);
    (void)fclose(file);
    (void)str_cut(&rest, ' ');
    (void)str_to_u64(str_cut(&rest, ' '), &pages);
    return (double)pages * (double)sysconf(_SC_PAGESIZE);
}

static double open_descriptors(void)
{
    DIR *folder = opendir("/proc/self/fd");
    double count = 0;

    if (folder == NULL)
        return 0;
    while (readdir(folder) != NULL)
        count++;
    (void)closedir(folder);
    return count - 3; /* ".", ".." and the folder itself */
}

static void collect_process(void *object)
{
    struct metric *const *metrics = object;

    metric_set(metric_series(metrics[CPU], NULL), cpu_seconds());
    metric_set(metric_series(metrics[RESIDENT], NULL), resident_bytes());
    metric_set(metric_series(metrics[DESCRIPTORS], NULL), open_descriptors());
}

int metrics_declare_process(struct metrics *m, struct err *err)
{
    struct metric **handles = metrics_keep(m, sizeof(*handles) * METRICS_PROCESS_COUNT);
    int r;

    if (handles == NULL)
        return err_no_memory(err);
    r = metrics_declare(m, metrics_process_table, METRICS_PROCESS_COUNT, handles, err);
    if (r < 0)
        return r;
    metric_set(metric_series(handles[START], NULL), (double)time(NULL));
    r = metrics_on_collect(m, collect_process, handles);
    return r < 0 ? err_set(err, ERR_LIMIT, "too many metric collectors") : 0;
}

struct loop_collector {
    struct loop *loop;
    struct metric *metrics[METRICS_LOOP_COUNT];
};

static void collect_loop(void *object)
{
    struct loop_collector *c = object;

    metric_set(metric_series(c->metrics[SLOW], NULL),
               (double)atomic_load(&c->loop->slow_callbacks));
    metric_set(metric_series(c->metrics[SLOWEST], NULL),
               (double)atomic_load(&c->loop->slowest_ns) / 1e9);
    metric_set(metric_series(c->metrics[POSTS_REFUSED], NULL),
               (double)atomic_load(&c->loop->posts_refused));
}

int metrics_declare_loop(struct metrics *m, struct loop *loop, struct err *err)
{
    struct loop_collector *c = metrics_keep(m, sizeof(*c));
    int r;

    if (c == NULL)
        return err_no_memory(err);
    c->loop = loop;
    r = metrics_declare(m, metrics_loop_table, METRICS_LOOP_COUNT, c->metrics, err);
    if (r < 0)
        return r;
    r = metrics_on_collect(m, collect_loop, c);
    return r < 0 ? err_set(err, ERR_LIMIT, "too many metric collectors") : 0;
}
