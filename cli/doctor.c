/* SPDX-License-Identifier: Apache-2.0 */
/*
 * spate doctor: looks at what can be wrong on this machine, one line a finding, each with its cure.
 * Changes nothing.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/timex.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fetch.h"
#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"
#include "cli/catalog.h"
#include "cli/child.h"
#include "cli/cli.h"
#include "cli/ports.h"
#include "cli/state.h"

enum {
    DISK_LOW_MIB = 1024,
    MEMORY_LOW_MIB = 1024,
    FILES_LOW = 1024,
    ANSWER_MS = 2000,
    ANSWER_MAX = 1 << 20,
    TEXT_MAX = 512,
    OLDEST_CLOCK_YEAR = 2025,
};

enum grade { GRADE_OK, GRADE_WARNING, GRADE_FAULT, GRADE_COUNT };
static const char *const grade_names[GRADE_COUNT] = {"ok", "warning", "fault"};

struct settings {
    const char *state;
    bool json;
};

static const struct arg_option options[] = {
    {"json", 0, ARG_FLAG, offsetof(struct settings, json), NULL, NULL, "print JSON"},
    {"state", 0, ARG_TEXT, offsetof(struct settings, state), "DIR", NULL,
     "state folder of the installation"},
};

static const struct arg_command arguments = {
    .name = "spate doctor",
    .summary = "Checks this machine and the installation, and names cures",
    .usage = "[options]",
    .examples = "spate doctor\n",
    .options = options,
    .option_count = ARRAY_COUNT(options),
};

struct doctor {
    char *folder; /* the state folder; NULL if it cannot be named */
    struct state_endpoints endpoints;
    bool watched; /* `spate up` runs for the folder */
    json_t *findings;
    int counts[GRADE_COUNT];
};

static void find(struct doctor *d, enum grade grade, const char *check, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* Records one finding; the text of anything but GRADE_OK ends with the cure. */
static void find(struct doctor *d, enum grade grade, const char *check, const char *format, ...)
{
    char text[TEXT_MAX];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    d->counts[grade]++;
    json_array_append_new(d->findings, json_pack("{s:s, s:s, s:s}", "check", check, "result",
                                                 grade_names[grade], "message", text));
}

static void check_programs(struct doctor *d)
{
    static const char *const names[] = {"spate-operator", "spate-gateway", "spate-ledger",
                                        "spate-agent"};
    int missing = 0;

    for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
        CLEANUP(mem_freep) char *path = NULL;
        struct err err = {0};

        if (state_binary(&path, names[i], &err) == 0)
            continue;
        missing++;
        find(d, GRADE_FAULT, "programs", "%s", err_message(&err));
    }
    if (missing == 0)
        find(d, GRADE_OK, "programs", "operator, gateway, ledger and agent stand beside spate");
}

static void check_model(struct doctor *d)
{
    CLEANUP(mem_freep) char *path = NULL;
    struct err err = {0};

    if (catalog_path(&path, catalog_at(0), &err) == 0)
        find(d, GRADE_OK, "shipped model", "%s", path);
    else
        find(d, GRADE_WARNING, "shipped model", "%s", err_message(&err));
}

/* The nearest folder that exists: the state folder itself may not be made yet. */
static void existing_folder(const char *folder, char out[4096])
{
    snprintf(out, 4096, "%s", folder);
    while (access(out, F_OK) != 0) {
        char *slash = strrchr(out, '/');

        if (slash == NULL || slash == out) {
            snprintf(out, 4096, "/");
            return;
        }
        *slash = '\0';
    }
}

static void check_folder(struct doctor *d)
{
    char existing[4096];

    existing_folder(d->folder, existing);
    if (access(existing, W_OK | X_OK) != 0)
        find(d, GRADE_FAULT, "state folder",
             "%s is not writable for user %ld; chown it, or choose another one with --state",
             existing, (long)getuid());
    else
        find(d, GRADE_OK, "state folder", "%s", d->folder);
}

/* Secrets that others can read. */
static void check_secrets(struct doctor *d)
{
    static const char *const names[] = {STATE_TOKEN, STATE_LOCAL_KEY, "gateway-secret"};

    for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
        CLEANUP(mem_freep) char *path = path_join(d->folder, names[i]);
        struct stat info;

        if (path == NULL || stat(path, &info) != 0 || (info.st_mode & 077) == 0)
            continue;
        find(d, GRADE_FAULT, "secrets", "%s can be read by others; run: chmod 600 %s", path, path);
    }
}

static void check_disk(struct doctor *d)
{
    char existing[4096];
    struct statvfs disk;
    uint64_t free_mib;

    existing_folder(d->folder, existing);
    if (statvfs(existing, &disk) != 0)
        return;
    free_mib = (uint64_t)disk.f_bavail * disk.f_frsize >> 20;
    if (free_mib < DISK_LOW_MIB)
        find(d, GRADE_FAULT, "disk",
             "%s has %llu MiB left; free at least %d MiB, as nothing is served when usage cannot "
             "be recorded",
             existing, (unsigned long long)free_mib, DISK_LOW_MIB);
    else
        find(d, GRADE_OK, "disk", "%llu MiB free", (unsigned long long)free_mib);
}

/* The number behind a name in /proc/meminfo or the words behind it in /proc/cpuinfo. */
static bool proc_line(const char *path, const char *name, char out[4096])
{
    CLEANUP(buf_fini) struct buf text = {0};
    struct str rest;

    buf_init(&text, 4 << 20);
    if (file_read(path, &text, NULL) < 0)
        return false;
    rest = buf_str(&text);
    while (rest.ptr != NULL) {
        struct str line = str_cut(&rest, '\n');

        if (!str_starts(line, str_of(name)))
            continue;
        snprintf(out, 4096, "%.*s", STR_ARG(line));
        return true;
    }
    return false;
}

static void check_memory(struct doctor *d)
{
    char line[4096];
    struct str rest;
    uint64_t kib;

    if (!proc_line("/proc/meminfo", "MemAvailable:", line))
        return;
    rest = str_of(line);
    str_cut(&rest, ':');
    rest = str_trim(rest);
    if (!str_to_u64(str_cut(&rest, ' '), &kib))
        return;
    if (kib >> 10 < MEMORY_LOW_MIB)
        find(d, GRADE_WARNING, "memory",
             "%llu MiB available; end other programs, or serve fewer replicas",
             (unsigned long long)(kib >> 10));
    else
        find(d, GRADE_OK, "memory", "%llu MiB available", (unsigned long long)(kib >> 10));
}

static void check_cpu(struct doctor *d)
{
    char line[4096];
    long cores = sysconf(_SC_NPROCESSORS_ONLN);

    if (!proc_line("/proc/cpuinfo", "flags", line)) {
        find(d, GRADE_OK, "processor", "%ld cores; no list of features", cores);
        return;
    }
    if (strstr(line, " avx2") == NULL || strstr(line, " fma") == NULL)
        find(d, GRADE_WARNING, "processor",
             "%ld cores without AVX2: models run on the scalar kernels, much slower; use a newer "
             "machine for more than a try",
             cores);
    else
        find(d, GRADE_OK, "processor", "%ld cores with AVX2%s", cores,
             strstr(line, " avx512f") != NULL ? " and AVX-512" : "");
}

static void check_files(struct doctor *d)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return;
    if (limit.rlim_cur < FILES_LOW)
        find(d, GRADE_WARNING, "open files",
             "at most %llu; raise it with `ulimit -n 4096` before `spate up`",
             (unsigned long long)limit.rlim_cur);
    else
        find(d, GRADE_OK, "open files", "at most %llu", (unsigned long long)limit.rlim_cur);
}

static void check_clock(struct doctor *d)
{
    int64_t year;
    int month;
    int day;
    struct timex state = {0};

    clock_civil_from_days(clock_wall_ms(clock_system()) / 86400000, &year, &month, &day);
    if (year < OLDEST_CLOCK_YEAR)
        find(d, GRADE_FAULT, "clock",
             "it is set to the year %lld; set it right, as bills and tokens carry times",
             (long long)year);
    else if (adjtimex(&state) == TIME_ERROR)
        find(d, GRADE_WARNING, "clock",
             "it is not synchronised; start chrony or systemd-timesyncd if bills matter");
    else
        find(d, GRADE_OK, "clock", "synchronised");
}

static void check_zones(struct doctor *d)
{
    if (file_exists("/usr/share/zoneinfo/Asia/Shanghai"))
        find(d, GRADE_OK, "time zones", "/usr/share/zoneinfo");
    else
        find(d, GRADE_WARNING, "time zones",
             "no /usr/share/zoneinfo; install the package tzdata to use warm-ups in a time zone");
}

static bool answers(const char *url, const char *path, struct err *err)
{
    char full[512];
    struct fetch_options fetch = {.url = full, .timeout_ms = ANSWER_MS};
    CLEANUP(buf_fini) struct buf body = {0};

    snprintf(full, sizeof(full), "%s%s", url, path);
    buf_init(&body, ANSWER_MAX);
    return fetch_wait(&fetch, &body, err) >= 200; /* any answer is a sign of life */
}

static void check_endpoint(struct doctor *d, const char *name, const char *url)
{
    struct err err = {0};

    if (url == NULL)
        return;
    if (answers(url, "/health", &err))
        find(d, GRADE_OK, name, "answers at %s", url);
    else
        find(d, GRADE_FAULT, name, "no answer at %s (%s); start it with `spate up`, or see %s/logs",
             url, err_message(&err), d->folder);
}

/* Programs of an earlier `spate up` that nobody watches any more. */
static void check_leftovers(struct doctor *d)
{
    static const char *const names[] = {"operator", "ledger", "gateway"};

    for (size_t i = 0; i < ARRAY_COUNT(names) && !d->watched; i++) {
        char path[4200];
        CLEANUP(mem_freep) char *record = NULL;
        struct str rest;
        uint64_t pid;
        uint64_t start;
        uint64_t running;

        snprintf(path, sizeof(path), "run/%s.pid", names[i]);
        if (state_read_line(&record, d->folder, path, NULL) < 0)
            continue;
        rest = str_of(record);
        if (!str_to_u64(str_cut(&rest, ' '), &pid) || !str_to_u64(rest, &start) ||
            process_start_time((int)pid, &running, NULL) < 0 || running != start)
            continue;
        find(d, GRADE_WARNING, "processes",
             "the %s (pid %llu) runs without `spate up`; run `spate up` again, which takes over",
             names[i], (unsigned long long)pid);
    }
}

static void check_ports(struct doctor *d)
{
    if (d->watched || ports_is_free("127.0.0.1:8080"))
        return;
    find(d, GRADE_WARNING, "ports",
         "127.0.0.1:8080 is taken; `spate up` will choose another port for clients, or name one "
         "with --gateway-listen");
}

static void check_all(struct doctor *d)
{
    check_programs(d);
    check_model(d);
    check_folder(d);
    check_secrets(d);
    check_disk(d);
    check_memory(d);
    check_cpu(d);
    check_files(d);
    check_clock(d);
    check_zones(d);
    check_ports(d);
    check_leftovers(d);
    if (!d->watched)
        find(d, GRADE_OK, "installation", "nothing runs from this folder; start with `spate up`");
    check_endpoint(d, "operator", d->endpoints.operator_url);
    check_endpoint(d, "ledger", d->endpoints.ledger_url);
    check_endpoint(d, "gateway", d->endpoints.gateway_url);
}

static int print_findings(const struct doctor *d, bool json)
{
    const json_t *finding;
    size_t i;

    if (json) {
        char *text = json_dumps(d->findings, JSON_INDENT(2));

        if (text == NULL)
            return cli_fail_text(CLI_ERROR, "out of memory");
        puts(text);
        free(text);
        return CLI_OK;
    }
    json_array_foreach (d->findings, i, finding)
        printf("%-8s %-14s %s\n", json_string_value(json_object_get(finding, "result")),
               json_string_value(json_object_get(finding, "check")),
               json_string_value(json_object_get(finding, "message")));
    printf("\n%d ok, %d warnings, %d faults\n", d->counts[GRADE_OK], d->counts[GRADE_WARNING],
           d->counts[GRADE_FAULT]);
    return CLI_OK;
}

static int run(int argc, char **argv)
{
    struct doctor d = {0};
    struct settings settings = {0};
    struct err err = {0};
    int positionals;
    int exit_code;

    if (!cli_parse(&arguments, argc, argv, &settings, &positionals, &exit_code))
        return exit_code;
    if (state_folder(&d.folder, settings.state, &err) < 0)
        return cli_fail(&err);
    d.findings = json_array();
    d.watched = child_folder_is_watched(d.folder);
    if (d.watched)
        state_endpoints_read(&d.endpoints, d.folder, NULL);
    check_all(&d);
    exit_code = print_findings(&d, settings.json);
    if (exit_code == CLI_OK && d.counts[GRADE_FAULT] > 0)
        exit_code = CLI_ERROR;
    json_decref(d.findings);
    state_endpoints_fini(&d.endpoints);
    mem_free(d.folder);
    return exit_code;
}

const struct cli_command cli_doctor = {&arguments, run, NULL};
