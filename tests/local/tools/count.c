/* SPDX-License-Identifier: Apache-2.0 */
/*
 * spate-count: adds up the engines' counter files, so that scripts can hold them against what
 * the ledger says. With --watch it looks for new files below a folder until its stdin ends, and
 * keeps each one open from then on, so that a file counts even after its pod's folder is gone.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/args.h"
#include "base/file.h"
#include "base/id.h"
#include "base/json.h"
#include "base/mem.h"
#include "engine/counters.h"

enum { FILES_MAX = 4096, DEPTH_MAX = 8, WATCH_MS = 20 };

#define COUNTERS_SUFFIX ".counters"

struct settings {
    const char *watch;
    bool each;
};

static const struct arg_option options[] = {
    {"watch", 'w', ARG_TEXT, offsetof(struct settings, watch), "FOLDER", NULL,
     "find the files below this folder, as they come, until stdin ends"},
    {"each", 0, ARG_FLAG, offsetof(struct settings, each), NULL, NULL,
     "print a line for each run before the sum"},
};

static const struct arg_command command = {
    .name = "spate-count",
    .summary = "Adds up counter files of engines and prints the sum as JSON.",
    .usage = "[options] [FILE...]",
    .examples = "spate-count pod/data/runs/*.counters\n",
    .options = options,
    .option_count = ARRAY_COUNT(options),
    .positional_max = -1,
};

/* A file that is held open, known by its inode. */
struct held {
    dev_t device;
    ino_t inode;
    int fd;
};

static struct held files[FILES_MAX];
static int file_count;

static int hold(const char *path, struct err *err)
{
    CLEANUP(fd_closep) int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat status;

    if (fd < 0 || fstat(fd, &status) < 0)
        return err_errno(err, errno, "%s", path);
    for (int i = 0; i < file_count; i++) {
        if (files[i].device == status.st_dev && files[i].inode == status.st_ino)
            return 0;
    }
    if (file_count == FILES_MAX)
        return err_set(err, ERR_LIMIT, "more than %d counter files", FILES_MAX);
    files[file_count++] = (struct held){status.st_dev, status.st_ino, fd};
    fd = -1;
    return 0;
}

/* Folders come and go meanwhile: what is not there any more is passed over. */
static int search(const char *folder, int depth, struct err *err)
{
    DIR *listing = opendir(folder);
    struct dirent *entry;
    int r = 0;

    if (listing == NULL)
        return 0;
    while (r == 0 && (entry = readdir(listing)) != NULL) {
        CLEANUP(mem_freep) char *path = NULL;

        if (entry->d_name[0] == '.')
            continue;
        path = path_join(folder, entry->d_name);
        if (path == NULL)
            r = err_no_memory(err);
        else if (entry->d_type == DT_DIR && depth < DEPTH_MAX)
            r = search(path, depth + 1, err);
        else if (str_ends(str_of(entry->d_name), STR(COUNTERS_SUFFIX)))
            r = hold(path, err);
        if (r == -ERR_NOT_FOUND)
            r = 0;
    }
    closedir(listing);
    return r;
}

static int watch(const char *folder, struct err *err)
{
    struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
    char ignored[256];
    int r = 0;

    while (r == 0) {
        r = search(folder, 0, err);
        if (poll(&input, 1, WATCH_MS) > 0 && read(input.fd, ignored, sizeof(ignored)) <= 0)
            break;
    }
    return r < 0 ? r : search(folder, 0, err);
}

static void put_counts(struct json_writer *w, const struct engine_counts *counts)
{
    json_put_u64(w, "input_computed", counts->input_computed);
    json_put_u64(w, "input_cached", counts->input_cached);
    json_put_u64(w, "output", counts->output);
    json_put_u64(w, "recomputed", counts->recomputed);
}

/* One line: of a single run with its id, or of all. */
static void print_line(const uint8_t *run_id, uint64_t runs, const struct engine_counts *counts)
{
    char id[ID_TEXT_LEN + 1];
    struct json_writer w;
    struct buf line;

    buf_init(&line, 4096);
    json_writer_init(&w, &line);
    json_open(&w, '{');
    if (run_id != NULL) {
        struct id128 run;

        memcpy(run.bytes, run_id, sizeof(run.bytes));
        id_format(run, id);
        json_put_text(&w, "run", id);
    }
    json_put_u64(&w, "runs", runs);
    put_counts(&w, counts);
    json_close(&w, '}');
    printf("%.*s\n", STR_ARG(buf_str(&line)));
    buf_fini(&line);
}

static int add_file(const struct held *file, bool each, struct engine_counts *sum, struct err *err)
{
    struct counters_view view = {0};
    char path[64];
    int r;

    snprintf(path, sizeof(path), "/proc/self/fd/%d", file->fd);
    r = counters_read(&view, path, err);
    if (r < 0)
        return r;
    sum->input_computed += view.total.input_computed;
    sum->input_cached += view.total.input_cached;
    sum->output += view.total.output;
    sum->recomputed += view.total.recomputed;
    if (each)
        print_line(view.run_id, 1, &view.total);
    counters_view_fini(&view);
    return 0;
}

static int run(const struct settings *settings, char **paths, int path_count, struct err *err)
{
    struct engine_counts sum = {0};
    int r = 0;

    for (int i = 0; r == 0 && i < path_count; i++)
        r = hold(paths[i], err);
    if (r == 0 && settings->watch != NULL)
        r = watch(settings->watch, err);
    for (int i = 0; r == 0 && i < file_count; i++)
        r = add_file(&files[i], settings->each, &sum, err);
    if (r == 0)
        print_line(NULL, (uint64_t)file_count, &sum);
    return r;
}

int main(int argc, char **argv)
{
    struct settings settings = {0};
    struct err err = {0};
    struct buf help;
    int positionals;
    int r = args_parse(&command, argc, argv, &settings, &positionals, &err);

    if (r == ARGS_HELP) {
        buf_init(&help, 65536);
        if (args_help(&command, &help) == 0)
            fwrite(help.ptr, 1, help.len, stdout);
        buf_fini(&help);
        return 0;
    }
    if (r < 0) {
        fprintf(stderr, "spate-count: %s\n", err_message(&err));
        return 2;
    }
    r = run(&settings, argv + 1, positionals, &err);
    if (r < 0)
        fprintf(stderr, "spate-count: %s\n", err_message(&err));
    return r < 0 ? 1 : 0;
}
