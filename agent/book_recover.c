/* SPDX-License-Identifier: Apache-2.0 */
/*
 * After a crash: the counter files of earlier runs say what was computed for attempts that never
 * got a final record. The tag of a row is the attempt's identity: 16 bytes of request id, 4 of the
 * attempt's number (little-endian), 4 of zero.
 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/book_private.h"
#include "agent/tag.h"
#include "base/log.h"
#include "base/mem.h"
#include "engine/counters.h"

enum { BOOK_FLUSH_MS = 3000 }; /* then the start fails: the next one tries again */

static int recover_row(struct book *b, const struct counters_view *view,
                       const struct counters_row *row, const char *pod_name, struct err *err)
{
    struct usage_record record = {
        .start_position = row->output_start,
        .counts = {.input_computed = row->counts.input_computed,
                   .input_cached = row->counts.input_cached,
                   .output = row->counts.output,
                   .recomputed = row->counts.recomputed},
        .updated_ms = clock_wall_ms(b->clock),
        .counts_final = true,
        .recovered = true,
        .ended_by = USAGE_END_OURS,
    };
    uint64_t sequence = 0;
    int r;

    tag_read(&row->tag, &record.request_id, &record.attempt);
    if (record.attempt == 0 || book_find(b, record.request_id, record.attempt) != NULL)
        return 0; /* not a gateway's, or its final record is in the log already */
    memcpy(record.run_id.bytes, view->run_id, sizeof(record.run_id.bytes));
    snprintf(record.pod, sizeof(record.pod), "%s", pod_name);
    r = meter_append(b->meter, &record, &sequence, err);
    if (r < 0)
        return r;
    return book_insert(b, &record, sequence, NULL, err);
}

static int mark_done(const char *path, struct err *err)
{
    size_t stem = strlen(path) - strlen(BOOK_COUNTERS_SUFFIX);
    size_t size = stem + sizeof(BOOK_DONE_SUFFIX);
    CLEANUP(mem_freep) char *done = mem_alloc(size);

    if (done == NULL)
        return err_no_memory(err);
    snprintf(done, size, "%.*s" BOOK_DONE_SUFFIX, (int)stem, path);
    if (rename(path, done) < 0)
        return err_errno(err, errno, "cannot rename %s", path);
    return 0;
}

static int recover_run(struct book *b, const char *path, const char *pod_name, struct err *err)
{
    struct counters_view view = {0};
    int r = counters_read(&view, path, err);

    if (r == -ERR_CORRUPT) {
        /* A run that died while its file was being made computed nothing. */
        log_warn("counter file of an earlier run is unreadable and is set aside",
                 LOG_STR("path", path), LOG_ERR(err));
        return mark_done(path, err);
    }
    if (r < 0)
        return r;
    for (int i = 0; i < view.row_count && r == 0; i++)
        r = recover_row(b, &view, &view.rows[i], pod_name, err);
    if (r == 0 && view.row_count > 0)
        log_info("reporting the open attempts of a crashed run", LOG_STR("path", path),
                 LOG_I64("attempts", view.row_count));
    counters_view_fini(&view);
    if (r == 0)
        r = meter_flush(b->meter, BOOK_FLUSH_MS, err);
    return r < 0 ? r : mark_done(path, err);
}

static int is_counters(const struct dirent *entry)
{
    return str_ends(str_of(entry->d_name), STR(BOOK_COUNTERS_SUFFIX));
}

static int is_done(const struct dirent *entry)
{
    return str_ends(str_of(entry->d_name), STR(BOOK_DONE_SUFFIX));
}

static void free_names(struct dirent **names, int count)
{
    for (int i = 0; i < count; i++)
        free(names[i]);
    free(names);
}

/* Names begin with the time of the run, so the oldest come first. */
static int remove_oldest(struct book *b, struct err *err)
{
    struct dirent **names = NULL;
    int count = scandir(b->runs_folder, &names, is_done, alphasort);

    if (count < 0)
        return err_errno(err, errno, "cannot read folder %s", b->runs_folder);
    for (int i = 0; i < count - BOOK_RUNS_KEPT; i++) {
        CLEANUP(mem_freep) char *path = path_join(b->runs_folder, names[i]->d_name);

        if (path != NULL)
            unlink(path);
    }
    free_names(names, count);
    return 0;
}

int book_recover_runs(struct book *b, const char *pod_name, struct err *err)
{
    struct dirent **names = NULL;
    int count = scandir(b->runs_folder, &names, is_counters, alphasort);
    int r = 0;

    if (count < 0)
        return err_errno(err, errno, "cannot read folder %s", b->runs_folder);
    for (int i = 0; i < count && r == 0; i++) {
        CLEANUP(mem_freep) char *path = path_join(b->runs_folder, names[i]->d_name);

        r = path == NULL ? err_no_memory(err) : recover_run(b, path, pod_name, err);
    }
    free_names(names, count);
    return r < 0 ? r : remove_oldest(b, err);
}
