/* SPDX-License-Identifier: Apache-2.0 */
/* Local pods on disk: their folders, records, logs and command lines. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/id.h"
#include "base/json.h"
#include "base/log.h"
#include "crd/model_deployment.h"
#include "operator/common/must.h"
#include "operator/local/pods_private.h"

#define FILE_SCHEME "file://"

enum { RECORD_TEXT_MAX = 64 << 10, ARGUMENTS_MAX = 32, NUMBER_MAX = 24, SPEC_ARENA = 1 << 20 };

static void path_in(const struct local_pod *pod, const char *name, char out[PODS_PATH_MAX])
{
    snprintf(out, PODS_PATH_MAX, "%s/%s", pod->folder, name);
}

/* --- making ----------------------------------------------------------------------------------- */

void pods_free(struct local_pod *pod)
{
    if (pod == NULL)
        return;
    loop_timer_stop(&pod->timer);
    loop_timer_stop(&pod->log_timer);
    process_release(&pod->process);
    mem_free(pod->folder);
    mem_free(pod->name_space);
    mem_free(pod->name);
    mem_free(pod->uid);
    mem_free(pod->owner_name);
    mem_free(pod->owner_uid);
    mem_free(pod->template_hash);
    mem_free(pod->uri);
    mem_free(pod);
}

static char *folder_of(const struct local_pods *pods, struct str name_space, struct str name)
{
    char text[2 * PLATFORM_NAME_MAX + 2];

    snprintf(text, sizeof(text), "%.*s_%.*s", STR_ARG(name_space), STR_ARG(name));
    return must(path_join(pods->folder, text));
}

int pods_make(struct local_pods *pods, const struct platform_pod_spec *spec, struct local_pod **out,
              struct err *err)
{
    struct str name_space = str_of(spec->model->name_space);
    struct crd_model_spec model = {0};
    struct local_pod *pod;
    struct arena arena;
    char uid[ID_TEXT_LEN + 1];
    int r;

    arena_init(&arena, SPEC_ARENA);
    r = crd_model_spec_read(&model, spec->model, &arena, err);
    if (r == 0 && !str_starts(model.uri, STR(FILE_SCHEME)))
        r = err_set(err, ERR_INVALID, "platform local serves file:// models only");
    if (r == 0 && crd_model_cluster_field(&model) != NULL)
        r = err_set(err, ERR_UNSUPPORTED, "%s: platform local can't obey it: remove it",
                    crd_model_cluster_field(&model));
    if (r < 0) {
        arena_fini(&arena);
        return r;
    }
    id_format(id_make(pods->options.clock, pods->options.rng), uid);
    pod = must(mem_alloc(sizeof(*pod)));
    pod->owner = pods;
    pod->folder = folder_of(pods, name_space, spec->name);
    pod->name_space = must_text(name_space);
    pod->name = must_text(spec->name);
    pod->uid = must_text(str_of(uid));
    pod->owner_name = must_text(str_of(spec->model->name));
    pod->owner_uid = must_text(str_of(spec->model->uid));
    pod->template_hash = must_text(spec->template_hash);
    pod->uri = must_text(model.uri);
    pod->slots = model.slots;
    pod->context_tokens = model.context_tokens;
    pod->kv_cache_mib = model.kv_cache_mib;
    pod->threads = model.threads;
    pod->chunk_tokens = model.chunk_tokens;
    pod->ordinal = spec->ordinal;
    pod->created_ms = clock_wall_ms(pods->options.clock);
    arena_fini(&arena);
    *out = pod;
    return 0;
}

/* --- pod.json --------------------------------------------------------------------------------- */

static void write_record(const struct local_pod *pod, struct buf *out)
{
    struct json_writer w;

    json_writer_init(&w, out);
    json_open(&w, '{');
    json_put_text(&w, "namespace", pod->name_space);
    json_put_text(&w, "name", pod->name);
    json_put_text(&w, "uid", pod->uid);
    json_put_text(&w, "owner_name", pod->owner_name);
    json_put_text(&w, "owner_uid", pod->owner_uid);
    json_put_text(&w, "template_hash", pod->template_hash);
    json_put_u64(&w, "ordinal", pod->ordinal);
    json_put_i64(&w, "created_ms", pod->created_ms);
    json_put_text(&w, "uri", pod->uri);
    json_put_i64(&w, "slots", pod->slots);
    json_put_i64(&w, "context_tokens", pod->context_tokens);
    json_put_i64(&w, "kv_cache_mib", pod->kv_cache_mib);
    json_put_i64(&w, "threads", pod->threads);
    json_put_i64(&w, "chunk_tokens", pod->chunk_tokens);
    json_close(&w, '}');
}

static int read_text(const json_t *tree, const char *key, size_t max, char **out, struct err *err)
{
    struct str text;
    int r = json_get_str(tree, key, true, &text, err);

    if (r < 0)
        return r;
    if (text.len > max)
        return err_set(err, ERR_LIMIT, "%s is longer than %zu bytes", key, max);
    must_replace(out, text);
    return 0;
}

static int read_record(struct local_pod *pod, const json_t *tree, struct err *err)
{
    struct {
        const char *key;
        size_t max;
        char **place;
    } texts[] = {
        {"namespace", POD_RECORD_TEXT_MAX, &pod->name_space},
        {"name", POD_RECORD_TEXT_MAX, &pod->name},
        {"uid", POD_RECORD_TEXT_MAX, &pod->uid},
        {"owner_name", POD_RECORD_TEXT_MAX, &pod->owner_name},
        {"owner_uid", POD_RECORD_TEXT_MAX, &pod->owner_uid},
        {"template_hash", POD_RECORD_TEXT_MAX, &pod->template_hash},
        {"uri", RECORD_TEXT_MAX, &pod->uri},
    };
    struct {
        const char *key;
        int64_t *place;
    } numbers[] = {
        {"created_ms", &pod->created_ms},
        {"slots", &pod->slots},
        {"context_tokens", &pod->context_tokens},
        {"kv_cache_mib", &pod->kv_cache_mib},
        {"threads", &pod->threads},
        {"chunk_tokens", &pod->chunk_tokens},
    };
    int64_t ordinal = 0;
    int r = 0;

    for (size_t i = 0; r == 0 && i < ARRAY_COUNT(texts); i++)
        r = read_text(tree, texts[i].key, texts[i].max, texts[i].place, err);
    for (size_t i = 0; r == 0 && i < ARRAY_COUNT(numbers); i++)
        r = json_get_i64(tree, numbers[i].key, true, 0, INT64_MAX, numbers[i].place, err);
    if (r == 0)
        r = json_get_i64(tree, "ordinal", true, 0, INT64_MAX, &ordinal, err);
    pod->ordinal = (uint64_t)ordinal;
    return r;
}

static int read_pod(struct local_pods *pods, const char *folder, struct local_pod **out,
                    struct err *err)
{
    struct local_pod *pod = must(mem_alloc(sizeof(*pod)));
    CLEANUP(buf_fini) struct buf text = {0};
    json_auto_t *tree = NULL;
    char path[PODS_PATH_MAX];
    int r;

    pod->owner = pods;
    pod->folder = must_text(str_of(folder));
    path_in(pod, "pod.json", path);
    buf_init(&text, RECORD_TEXT_MAX);
    r = file_read(path, &text, err);
    if (r == 0)
        r = json_read(&tree, buf_str(&text), &json_limits_default, path, err);
    if (r == 0)
        r = read_record(pod, tree, err);
    if (r < 0) {
        pods_free(pod);
        return r;
    }
    path_in(pod, "deleting", path);
    pod->deleting = file_exists(path);
    *out = pod;
    return 0;
}

/* A folder without a record was being made when the operator ended: no process ran in it. */
static void read_one(struct local_pods *pods, const char *name)
{
    CLEANUP(mem_freep) char *folder = must(path_join(pods->folder, name));
    struct local_pod *pod = NULL;
    struct err err = {0};
    int r = read_pod(pods, folder, &pod, &err);

    file_sweep_temporaries(folder, NULL); /* the agents' address files; harmless if they stay */
    if (r == -ERR_NOT_FOUND) {
        file_remove_tree(folder, NULL);
    } else if (r < 0) {
        log_error("a pod's folder can't be read; remove it if it is not needed",
                  LOG_STR("folder", folder), LOG_ERR(&err));
    } else if (map_put(&pods->pods, str_of(pod->uid), pod, NULL) < 0) {
        log_error("too many pods: this one is not looked after", LOG_STR("folder", folder));
        pods_free(pod);
    }
}

int pods_read_folders(struct local_pods *pods, struct err *err)
{
    struct dirent *entry;
    DIR *dir;
    int r = file_make_folder(pods->folder, err);

    if (r < 0)
        return r;
    dir = opendir(pods->folder);
    if (dir == NULL)
        return err_errno(err, errno, "%s", pods->folder);
    while ((entry = readdir(dir)) != NULL) {
        if (entry->d_name[0] != '.')
            read_one(pods, entry->d_name);
    }
    closedir(dir);
    return 0;
}

/* --- in the pool ------------------------------------------------------------------------------ */

struct job {
    struct local_pod *pod;
    struct buf text;
    local_pods_done done;
    void *user;
    int code;
    struct err err;
};

static void job_done(void *object)
{
    struct job *job = object;

    job->done(job->user, job->code, job->code < 0 ? &job->err : NULL);
    buf_fini(&job->text);
    mem_free(job);
}

static void start_job(struct job *job, loop_fn work)
{
    struct loop *loop = job->pod->owner->options.loop;

    if (loop_work(loop, work, job_done, job) == 0)
        return;
    work(job); /* the pool is full: better slow than never */
    job_done(job);
}

/* What is left of an earlier pod of that name goes first: names are never used twice, so it can
 * only be one whose removal failed. */
static void write_folder(void *object)
{
    struct job *job = object;
    char path[PODS_PATH_MAX];

    job->code = file_remove_tree(job->pod->folder, &job->err);
    path_in(job->pod, "data", path);
    if (job->code == 0)
        job->code = file_make_folder(path, &job->err);
    path_in(job->pod, "pod.json", path);
    if (job->code == 0)
        job->code = file_write_atomic(path, buf_str(&job->text), 0600, &job->err);
}

void pods_write_folder(struct local_pod *pod, local_pods_done done, void *user)
{
    struct job *job = must(mem_alloc(sizeof(*job)));

    job->pod = pod;
    job->done = done;
    job->user = user;
    buf_init(&job->text, RECORD_TEXT_MAX);
    write_record(pod, &job->text);
    (void)must(job->text.failed ? NULL : job->text.ptr);
    start_job(job, write_folder);
}

static void remove_folder(void *object)
{
    struct job *job = object;

    job->code = file_remove_tree(job->pod->folder, &job->err);
}

void pods_remove_folder(struct local_pod *pod, local_pods_done done)
{
    struct job *job = must(mem_alloc(sizeof(*job)));

    job->pod = pod;
    job->done = done;
    job->user = pod;
    buf_init(&job->text, 1);
    start_job(job, remove_folder);
}

void pods_mark_deleting(const struct local_pod *pod)
{
    char path[PODS_PATH_MAX];
    int fd;

    path_in(pod, "deleting", path);
    fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    if (fd >= 0)
        close(fd);
}

/* --- the process ------------------------------------------------------------------------------ */

struct arguments {
    const char *items[ARGUMENTS_MAX + 1];
    char numbers[8][NUMBER_MAX];
    int count, number_count;
};

static void add(struct arguments *a, const char *option, const char *value)
{
    a->items[a->count++] = option;
    a->items[a->count++] = value;
}

static void add_number(struct arguments *a, const char *option, int64_t value)
{
    char *text = a->numbers[a->number_count++];

    if (value <= 0)
        return; /* not given: the agent's own choice */
    snprintf(text, NUMBER_MAX, "%lld", (long long)value);
    add(a, option, text);
}

int pods_start_agent(struct local_pod *pod, bool report_only, struct err *err)
{
    const struct local_pods_options *options = &pod->owner->options;
    char address[PODS_PATH_MAX], data[PODS_PATH_MAX], log[PODS_PATH_MAX], record[PODS_PATH_MAX];
    char served[2 * CRD_NAME_MAX + 2];
    struct arguments a = {.items = {options->agent_binary}, .count = 1};
    int r;

    path_in(pod, "address", address);
    path_in(pod, "data", data);
    path_in(pod, "agent.log", log);
    path_in(pod, "process", record);
    snprintf(served, sizeof(served), "%s/%s", pod->name_space, pod->owner_name);
    r = file_make_folder(data, err); /* somebody may have removed it: start anew */
    if (r < 0)
        return r;
    unlink(address);
    add(&a, "--model", pod->uri + strlen(FILE_SCHEME));
    add(&a, "--listen", "127.0.0.1:0");
    add(&a, "--address-file", address);
    add(&a, "--data", data);
    add(&a, "--token-public-key", options->public_key);
    add(&a, "--pod-name", pod->name);
    add(&a, "--served-model", served);
    add_number(&a, "--slots", pod->slots);
    add_number(&a, "--context", pod->context_tokens);
    add_number(&a, "--kv-mib", pod->kv_cache_mib);
    /* Pods share the machine: one thread each unless the model asks for more. */
    add_number(&a, "--threads", pod->threads > 0 ? pod->threads : 1);
    add_number(&a, "--chunk-tokens", pod->chunk_tokens);
    if (report_only)
        a.items[a.count++] = "--report-only";
    return process_start(&pod->process,
                         &(struct process_options){
                             .argv = a.items,
                             .log_path = log,
                             .record_path = record,
                         },
                         err);
}

int pods_set_aside(const struct local_pod *pod, struct err *err)
{
    const char *folder = pod->owner->unreported_folder;
    CLEANUP(mem_freep) char *place = must(path_join(folder, pod->uid));
    int r = file_make_folder(folder, err);

    if (r == 0 && rename(pod->folder, place) < 0)
        r = err_errno(err, errno, "%s can't be moved to %s", pod->folder, place);
    return r;
}

bool pods_has_run(const struct local_pod *pod)
{
    char path[PODS_PATH_MAX];

    path_in(pod, "data/runs", path);
    return file_exists(path);
}

bool pods_read_address(struct local_pod *pod)
{
    CLEANUP(buf_fini) struct buf text = {0};
    char path[PODS_PATH_MAX];
    struct str address;

    path_in(pod, "address", path);
    if (!file_exists(path))
        return false;
    buf_init(&text, sizeof(pod->address));
    if (file_read(path, &text, NULL) < 0)
        return false;
    address = str_trim(buf_str(&text));
    if (address.len == 0 || address.len >= sizeof(pod->address))
        return false;
    snprintf(pod->address, sizeof(pod->address), "%.*s", STR_ARG(address));
    return true;
}

/* The agent appends, so its file is copied and emptied in place. */
void pods_rotate_log(const struct local_pod *pod)
{
    CLEANUP(fd_closep) int in = -1;
    CLEANUP(fd_closep) int out = -1;
    char path[PODS_PATH_MAX], old[PODS_PATH_MAX];
    struct stat info;

    path_in(pod, "agent.log", path);
    path_in(pod, "agent.log.1", old);
    if (stat(path, &info) < 0 || info.st_size <= PODS_LOG_BYTES_MAX)
        return;
    in = open(path, O_RDWR | O_CLOEXEC);
    out = open(old, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (in < 0 || out < 0 || copy_file_range(in, NULL, out, NULL, (size_t)info.st_size, 0) < 0 ||
        ftruncate(in, 0) < 0)
        log_warn("an agent's log can't be rotated", LOG_STR("pod", pod->name),
                 LOG_STR("error", strerror(errno)));
}
