/* SPDX-License-Identifier: Apache-2.0 */
/* Help and reference pages from option tables: see args.h. */
#include <string.h>

#include "base/args.h"

enum { HELP_COLUMN = 30 }; /* where the explanations begin */

static void append_left(struct buf *out, const struct arg_option *o)
{
    size_t start = out->len;

    if (o->letter != 0)
        (void)buf_printf(out, "  -%c, --%s", o->letter, o->name);
    else
        (void)buf_printf(out, "      --%s", o->name);
    if (o->kind != ARG_FLAG)
        (void)buf_printf(out, " %s", o->value_name != NULL ? o->value_name : "VALUE");
    if (out->len - start + 2 > HELP_COLUMN)
        (void)buf_printf(out, "\n%*s", HELP_COLUMN, "");
    else
        (void)buf_printf(out, "%*s", (int)(HELP_COLUMN - (out->len - start)), "");
}

static void append_notes(struct buf *out, const struct arg_option *o)
{
    for (const char *const *choice = o->choices; choice != NULL && *choice != NULL; choice++)
        (void)buf_printf(out, "%s%s", choice == o->choices ? ": " : ", ", *choice);
    if (o->required)
        (void)buf_append_text(out, " (required)");
    else if (o->initial != NULL && o->kind != ARG_FLAG)
        (void)buf_printf(out, " (default %s)", o->initial);
    else if (o->initial != NULL && strcmp(o->initial, "true") == 0)
        (void)buf_printf(out, " (on; --no-%s switches it off)", o->name);
    if (o->kind == ARG_LIST)
        (void)buf_append_text(out, " (may be repeated)");
}

/* The examples, each line indented. */
static void append_examples(struct buf *out, const char *examples)
{
    struct str rest = str_of(examples);

    while (rest.ptr != NULL && rest.len > 0)
        (void)buf_printf(out, "  %.*s\n", STR_ARG(str_cut(&rest, '\n')));
}

int args_help(const struct arg_command *command, struct buf *out)
{
    if (command->examples != NULL) {
        append_examples(out, command->examples);
        (void)buf_append_char(out, '\n');
    }
    (void)buf_printf(out, "%s: %s\n\nusage: %s %s\n\n", command->name, command->summary,
                     command->name, command->usage != NULL ? command->usage : "[options]");
    for (size_t i = 0; i < command->option_count; i++) {
        const struct arg_option *o = &command->options[i];

        append_left(out, o);
        (void)buf_append_text(out, o->help);
        append_notes(out, o);
        (void)buf_append_char(out, '\n');
    }
    (void)buf_printf(out, "  -h, --help%*sthis help\n", HELP_COLUMN - 12, "");
    return out->failed ? -ERR_LIMIT : 0;
}

static void document_option(const struct arg_option *o, struct buf *out)
{
    (void)buf_printf(out, "| `--%s", o->name);
    if (o->kind != ARG_FLAG)
        (void)buf_printf(out, " %s", o->value_name != NULL ? o->value_name : "VALUE");
    (void)buf_append_char(out, '`');
    if (o->letter != 0)
        (void)buf_printf(out, ", `-%c`", o->letter);
    if (o->initial != NULL)
        (void)buf_printf(out, " | `%s` | ", o->initial);
    else
        (void)buf_append_text(out, o->required ? " | required | " : " | | ");
    (void)buf_append_text(out, o->help);
    for (const char *const *choice = o->choices; choice != NULL && *choice != NULL; choice++)
        (void)buf_printf(out, "%s`%s`", choice == o->choices ? ": " : ", ", *choice);
    (void)buf_append_text(out, o->kind == ARG_LIST ? " (may be repeated) |\n" : " |\n");
}

int args_document(const struct arg_command *command, struct buf *out)
{
    (void)buf_printf(out, "## %s\n\n%s\n\n", command->name, command->summary);
    if (command->examples != NULL) {
        (void)buf_append_text(out, "```\n");
        (void)buf_append_text(out, command->examples);
        if (out->len > 0 && out->ptr[out->len - 1] != '\n')
            (void)buf_append_char(out, '\n');
        (void)buf_append_text(out, "```\n\n");
    }
    (void)buf_printf(out, "Usage: `%s %s`\n\n", command->name,
                     command->usage != NULL ? command->usage : "[options]");
    if (command->option_count > 0)
        (void)buf_append_text(out, "| option | default | meaning |\n| --- | --- | --- |\n");
    for (size_t i = 0; i < command->option_count; i++)
        document_option(&command->options[i], out);
    return out->failed ? -ERR_LIMIT : 0;
}
