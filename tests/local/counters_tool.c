/* SPDX-License-Identifier: Apache-2.0 */
/* Prints what engines counted: one JSON line per counter file given. */
#include <stdio.h>

#include "base/hash.h"
#include "base/id.h"
#include "base/json.h"
#include "engine/counters.h"

static void put_counts(struct json_writer *w, const struct engine_counts *c)
{
    json_put_u64(w, "input_computed", c->input_computed);
    json_put_u64(w, "input_cached", c->input_cached);
    json_put_u64(w, "output", c->output);
    json_put_u64(w, "recomputed", c->recomputed);
}

static int print_file(const char *path)
{
    struct counters_view view = {0};
    struct err err = {0};
    struct json_writer w;
    struct id128 run;
    char id[ID_TEXT_LEN + 1];
    struct buf line;

    if (counters_read(&view, path, &err) < 0) {
        fprintf(stderr, "spate-counters: %s\n", err_message(&err));
        return 1;
    }
    for (size_t i = 0; i < sizeof(run.bytes); i++)
        run.bytes[i] = view.run_id[i];
    id_format(run, id);
    buf_init(&line, 4096);
    json_writer_init(&w, &line);
    json_open(&w, '{');
    json_put_text(&w, "path", path);
    json_put_text(&w, "run_id", id);
    json_put_u64(&w, "steps", view.steps);
    json_put_i64(&w, "open_rows", view.row_count);
    put_counts(&w, &view.total);
    json_close(&w, '}');
    printf("%.*s\n", STR_ARG(buf_str(&line)));
    buf_fini(&line);
    counters_view_fini(&view);
    return 0;
}

int main(int argc, char **argv)
{
    int status = 0;

    for (int i = 1; i < argc; i++)
        status |= print_file(argv[i]);
    return status;
}
