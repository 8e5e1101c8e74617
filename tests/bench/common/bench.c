/* SPDX-License-Identifier: Apache-2.0 */
/* Machine, figures and statistics of the benches: see bench.h. */
#include "tests/bench/common/bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/mem.h"

enum { LINE_MAX_BYTES = 16384, CPU_NAME_MAX = 128, HELP_MAX = 65536 };

struct machine {
    char cpu[CPU_NAME_MAX];
    long cores;
    double memory_gib;
    struct utsname kernel;
    double load_average; /* over one minute */
};

/* "model name : AMD EPYC" of the first core. */
static void read_cpu_name(char out[CPU_NAME_MAX])
{
    FILE *file = fopen("/proc/cpuinfo", "re");
    char line[512];

    snprintf(out, CPU_NAME_MAX, "unknown CPU");
    while (file != NULL && fgets(line, sizeof(line), file) != NULL) {
        struct str rest = str_of(line);
        struct str key = str_trim(str_cut(&rest, ':'));

        if (!str_is(key, "model name"))
            continue;
        rest = str_trim(rest);
        snprintf(out, CPU_NAME_MAX, "%.*s", STR_ARG(rest));
        break;
    }
    if (file != NULL)
        fclose(file);
}

static struct machine read_machine(void)
{
    struct machine m = {.cores = sysconf(_SC_NPROCESSORS_ONLN)};
    struct sysinfo info;

    read_cpu_name(m.cpu);
    if (sysinfo(&info) == 0)
        m.memory_gib = (double)info.totalram * info.mem_unit / (double)(1 << 30);
    uname(&m.kernel);
    if (getloadavg(&m.load_average, 1) != 1)
        m.load_average = -1;
    return m;
}

bool bench_parse(const struct arg_command *command, int argc, char **argv, void *settings,
                 int *positionals, int *exit_code)
{
    struct err err = {0};
    struct buf help;
    int r = args_parse(command, argc, argv, settings, positionals, &err);

    if (r == ARGS_RUN)
        return true;
    if (r < 0) {
        fprintf(stderr, "%s: %s\n", command->name, err_message(&err));
        *exit_code = 2;
        return false;
    }
    buf_init(&help, HELP_MAX);
    if (args_help(command, &help) == 0)
        fwrite(help.ptr, 1, help.len, stdout);
    buf_fini(&help);
    *exit_code = 0;
    return false;
}

void bench_begin(const struct bench *b)
{
    struct machine m = read_machine();

    if (b->json)
        return;
    printf("%s: %s, %ld cores, %.1f GiB, Linux %s, load average %.2f\n", b->name, m.cpu, m.cores,
           m.memory_gib, m.kernel.release, m.load_average);
    fflush(stdout);
}

static void put_optional(struct json_writer *w, const char *key, const char *text)
{
    if (text != NULL)
        json_put_text(w, key, text);
}

static void report_json(const struct bench *b, const struct bench_figure *f)
{
    struct machine m = read_machine();
    struct json_writer w;
    struct buf line;

    buf_init(&line, LINE_MAX_BYTES);
    json_writer_init(&w, &line);
    json_open(&w, '{');
    json_put_text(&w, "bench", b->name);
    json_put_text(&w, "what", f->what);
    json_put_f64(&w, "value", f->value);
    json_put_text(&w, "unit", f->unit);
    put_optional(&w, "workload", f->workload);
    put_optional(&w, "aim", f->aim);
    put_optional(&w, "peer", f->peer);
    if (f->peer != NULL) {
        json_put_f64(&w, "peer_value", f->peer_value);
        json_put_f64(&w, "ratio", f->value / f->peer_value);
    }
    json_key(&w, "machine");
    json_open(&w, '{');
    json_put_text(&w, "cpu", m.cpu);
    json_put_i64(&w, "cores", m.cores);
    json_put_f64(&w, "memory_gib", m.memory_gib);
    json_put_text(&w, "kernel", m.kernel.release);
    json_put_f64(&w, "load_average", m.load_average);
    json_close(&w, '}');
    json_put_i64(&w, "unix_ms", clock_wall_ms(clock_system()));
    json_close(&w, '}');
    printf("%.*s\n", STR_ARG(buf_str(&line)));
    buf_fini(&line);
}

static void report_text(const struct bench_figure *f)
{
    printf("  %-44s %12.4g %s", f->what, f->value, f->unit);
    if (f->aim != NULL)
        printf("  (aim %s)", f->aim);
    if (f->peer != NULL)
        printf("  %s %.4g, ratio %.2f", f->peer, f->peer_value, f->value / f->peer_value);
    if (f->workload != NULL)
        printf("\n      %s", f->workload);
    printf("\n");
}

void bench_report(const struct bench *b, const struct bench_figure *figure)
{
    if (b->json)
        report_json(b, figure);
    else
        report_text(figure);
    fflush(stdout);
}

int bench_fail(const struct bench *b, const struct err *err)
{
    fprintf(stderr, "bench_%s: %s\n", b->name, err_message(err));
    return 1;
}

static int compare(const void *left, const void *right)
{
    const double *a = left;
    const double *b = right;

    return (*a > *b) - (*a < *b);
}

double bench_quantile(double *values, size_t count, double share)
{
    size_t at = (size_t)(share * (double)count);

    if (count == 0)
        return 0;
    qsort(values, count, sizeof(*values), compare);
    return values[at < count ? at : count - 1];
}

double bench_now_ms(void)
{
    return (double)clock_mono_ns(clock_system()) / 1e6;
}

void bench_sleep_us(long microseconds)
{
    struct timespec time = {microseconds / 1000000, microseconds % 1000000 * 1000};

    nanosleep(&time, NULL);
}
