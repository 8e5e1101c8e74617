/* SPDX-License-Identifier: Apache-2.0 */
/* Command lines from a table: see args.h. The texts for people are in args_help.c. */
#include "base/args.h"

#include <assert.h>
#include <string.h>

#include "base/http.h"
#include "base/mem.h"

enum {
    CLOSEST_MAX = 64, /* longest word that is compared */
    OPTIONS_MAX = 64, /* of one command */
};

/* --- values --------------------------------------------------------------------------------- */

struct unit {
    const char *suffix;
    int64_t factor;
};

static bool parse_with_unit(struct str text, const struct unit *units, size_t count, int64_t *out)
{
    size_t digits = 0;
    uint64_t number;

    while (digits < text.len && text.ptr[digits] >= '0' && text.ptr[digits] <= '9')
        digits++;
    if (!str_to_u64(str_slice(text, 0, digits), &number) || number > INT64_MAX)
        return false;
    for (size_t i = 0; i < count; i++) {
        if (!str_is(str_slice(text, digits, text.len), units[i].suffix))
            continue;
        return !__builtin_mul_overflow((int64_t)number, units[i].factor, out);
    }
    return false;
}

bool args_duration_parse(struct str text, int64_t *ms)
{
    static const struct unit units[] = {
        {"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}, {"d", 86400000},
    };

    if (str_is(text, "0")) {
        *ms = 0;
        return true;
    }
    return parse_with_unit(text, units, ARRAY_COUNT(units), ms);
}

bool args_bytes_parse(struct str text, int64_t *bytes)
{
    static const struct unit units[] = {
        {"", 1}, {"Ki", 1LL << 10}, {"Mi", 1LL << 20}, {"Gi", 1LL << 30}, {"Ti", 1LL << 40},
    };

    return parse_with_unit(text, units, ARRAY_COUNT(units), bytes);
}

static int bad_value(const struct arg_option *o, const char *text, const char *expected,
                     struct err *err)
{
    return err_set(err, ERR_INVALID, "--%s %s: expected %s", o->name, text, expected);
}

static int check_range(const struct arg_option *o, const char *text, int64_t value, struct err *err)
{
    int64_t min = o->max > 0 ? o->min : 0;
    const char *unit;

    if (value >= min && (o->max <= 0 || value <= o->max))
        return 0;
    unit = o->kind == ARG_DURATION ? " ms" : (o->kind == ARG_BYTES ? " bytes" : "");
    if (o->max <= 0)
        return err_set(err, ERR_INVALID, "--%s %s: must not be negative", o->name, text);
    if (o->max == INT64_MAX)
        return err_set(err, ERR_INVALID, "--%s %s: must be at least %lld%s", o->name, text,
                       (long long)o->min, unit);
    return err_set(err, ERR_INVALID, "--%s %s: must be from %lld to %lld%s", o->name, text,
                   (long long)o->min, (long long)o->max, unit);
}

static int set_integer(const struct arg_option *o, const char *text, void *member, struct err *err)
{
    struct str s = str_of(text);
    int64_t value;
    int r;

    if (o->kind == ARG_INT && !str_to_i64(s, &value))
        return bad_value(o, text, "a whole number", err);
    if (o->kind == ARG_DURATION && !args_duration_parse(s, &value))
        return bad_value(o, text, "a time such as 250ms, 15s, 5m or 2h", err);
    if (o->kind == ARG_BYTES && !args_bytes_parse(s, &value))
        return bad_value(o, text, "a size such as 4096, 64Ki, 32Mi or 1Gi", err);
    r = check_range(o, text, value, err);
    if (r < 0)
        return r;
    memcpy(member, &value, sizeof(value));
    return 0;
}

static int set_text(const struct arg_option *o, const char *text, void *member, struct err *err)
{
    CLEANUP(buf_fini) struct buf choices = {0};

    buf_init(&choices, ERR_MESSAGE_MAX);
    memcpy(member, &text, sizeof(text));
    if (o->choices == NULL)
        return 0;
    for (const char *const *choice = o->choices; *choice != NULL; choice++) {
        if (strcmp(*choice, text) == 0)
            return 0;
        (void)buf_printf(&choices, "%s%s", choices.len > 0 ? ", " : "one of ", *choice);
    }
    return bad_value(o, text, buf_cstr(&choices), err);
}

static bool is_url(struct str text)
{
    static const char *const schemes[] = {"http://", "https://"};

    for (size_t i = 0; i < ARRAY_COUNT(schemes); i++) {
        struct str scheme = str_of(schemes[i]);

        if (str_starts(text, scheme) && text.len > scheme.len && text.ptr[scheme.len] != '/')
            return true;
    }
    return false;
}

static int set_address(const struct arg_option *o, const char *text, void *member, struct err *err)
{
    struct http_address address;

    if (o->kind == ARG_ADDRESS && http_address_parse(str_of(text), &address, NULL) < 0)
        return bad_value(o, text, "an address such as 127.0.0.1:8000", err);
    if (o->kind == ARG_URL && !is_url(str_of(text)))
        return bad_value(o, text, "a URL such as http://127.0.0.1:8000", err);
    memcpy(member, &text, sizeof(text));
    return 0;
}

static int add_to_list(const struct arg_option *o, const char *text, struct arg_list *list,
                       struct err *err)
{
    if (list->count == ARG_LIST_MAX)
        return err_set(err, ERR_LIMIT, "--%s: given more than %d times", o->name, ARG_LIST_MAX);
    list->items[list->count++] = text;
    return 0;
}

static int set_value(const struct arg_option *o, const char *text, void *values, struct err *err)
{
    void *member = (char *)values + o->offset;
    double real;
    bool flag;

    switch (o->kind) {
    case ARG_FLAG:
        flag = strcmp(text, "true") == 0;
        memcpy(member, &flag, sizeof(flag));
        return 0;
    case ARG_TEXT:
        return set_text(o, text, member, err);
    case ARG_ADDRESS:
    case ARG_URL:
        return set_address(o, text, member, err);
    case ARG_REAL:
        if (!str_to_f64(str_of(text), &real))
            return bad_value(o, text, "a number", err);
        memcpy(member, &real, sizeof(real));
        return 0;
    case ARG_LIST:
        return add_to_list(o, text, member, err);
    case ARG_INT:
    case ARG_DURATION:
    case ARG_BYTES:
        return set_integer(o, text, member, err);
    }
    return err_set(err, ERR_INTERNAL, "--%s: unknown kind", o->name);
}

static int set_defaults(const struct arg_command *command, void *values, struct err *err)
{
    static const size_t sizes[] = {
        [ARG_FLAG] = sizeof(bool),
        [ARG_TEXT] = sizeof(const char *),
        [ARG_ADDRESS] = sizeof(const char *),
        [ARG_URL] = sizeof(const char *),
        [ARG_INT] = sizeof(int64_t),
        [ARG_REAL] = sizeof(double),
        [ARG_DURATION] = sizeof(int64_t),
        [ARG_BYTES] = sizeof(int64_t),
        [ARG_LIST] = sizeof(struct arg_list),
    };

    for (size_t i = 0; i < command->option_count; i++) {
        const struct arg_option *o = &command->options[i];
        int r;

        memset((char *)values + o->offset, 0, sizes[o->kind]);
        r = o->initial != NULL ? set_value(o, o->initial, values, err) : 0;
        if (r < 0)
            return err_wrap(err, r, "default");
    }
    return 0;
}

/* --- words ---------------------------------------------------------------------------------- */

static int min3(int a, int b, int c)
{
    int least = a < b ? a : b;

    return least < c ? least : c;
}

/* Levenshtein distance; both words at most CLOSEST_MAX long. */
static int distance(const char *a, size_t a_len, const char *b, size_t b_len)
{
    int row[CLOSEST_MAX + 1];

    for (size_t j = 0; j <= b_len; j++)
        row[j] = (int)j;
    for (size_t i = 1; i <= a_len; i++) {
        int diagonal = row[0];

        row[0] = (int)i;
        for (size_t j = 1; j <= b_len; j++) {
            int above = row[j];

            row[j] = min3(above + 1, row[j - 1] + 1, diagonal + (a[i - 1] != b[j - 1]));
            diagonal = above;
        }
    }
    return row[b_len];
}

/* Keeps `candidate` in *best if it is closer to the word. */
static void consider(const char *word, size_t length, const char *candidate, const char **best,
                     int *best_distance)
{
    size_t candidate_length = strlen(candidate);
    int allowed = (int)(length > candidate_length ? length + 1 : candidate_length + 1) / 3;
    int d;

    if (length > CLOSEST_MAX || candidate_length > CLOSEST_MAX)
        return;
    d = distance(word, length, candidate, candidate_length);
    if (d <= (allowed > 0 ? allowed : 1) && d < *best_distance) {
        *best_distance = d;
        *best = candidate;
    }
}

const char *args_closest(const char *word, const char *const *words)
{
    const char *best = NULL;
    int best_distance = CLOSEST_MAX;

    for (; *words != NULL; words++)
        consider(word, strlen(word), *words, &best, &best_distance);
    return best;
}

static int unknown_option(const struct arg_command *command, const char *given, size_t length,
                          struct err *err)
{
    const char *best = NULL;
    int best_distance = CLOSEST_MAX;

    for (size_t i = 0; i < command->option_count; i++)
        consider(given, length, command->options[i].name, &best, &best_distance);
    if (best != NULL)
        return err_set(err, ERR_INVALID, "unknown option --%.*s: did you mean --%s?", (int)length,
                       given, best);
    return err_set(err, ERR_INVALID, "unknown option --%.*s: see %s --help", (int)length, given,
                   command->name);
}

/* --- the line ------------------------------------------------------------------------------- */

struct cursor {
    const struct arg_command *command;
    int argc;
    char **argv;
    int at;
    void *values;
    bool given[OPTIONS_MAX];
};

static const struct arg_option *find_long(const struct arg_command *command, struct str name)
{
    for (size_t i = 0; i < command->option_count; i++) {
        if (str_is(name, command->options[i].name))
            return &command->options[i];
    }
    return NULL;
}

static const struct arg_option *find_letter(const struct arg_command *command, char letter)
{
    for (size_t i = 0; i < command->option_count; i++) {
        if (command->options[i].letter == letter && letter != 0)
            return &command->options[i];
    }
    return NULL;
}

/* Sets what the user gave; a list first forgets its default. */
static int give(struct cursor *c, const struct arg_option *o, const char *text, struct err *err)
{
    size_t index = (size_t)(o - c->command->options);

    if (o->kind == ARG_LIST && !c->given[index])
        memset((char *)c->values + o->offset, 0, sizeof(struct arg_list));
    c->given[index] = true;
    return set_value(o, text, c->values, err);
}

/* The value is the rest of this word, or the next word. */
static int take_value(struct cursor *c, const struct arg_option *o, const char *rest,
                      struct err *err)
{
    if (rest == NULL) {
        if (c->at + 1 >= c->argc)
            return err_set(err, ERR_INVALID, "--%s: a value is missing: write --%s %s", o->name,
                           o->name, o->value_name != NULL ? o->value_name : "VALUE");
        rest = c->argv[++c->at];
    }
    return give(c, o, rest, err);
}

static int take_long(struct cursor *c, const char *word, struct err *err)
{
    struct str rest = str_of(word);
    struct str name = str_cut(&rest, '=');
    const struct arg_option *o = find_long(c->command, name);

    if (o == NULL && str_starts(name, STR("no-"))) {
        o = find_long(c->command, str_slice(name, 3, name.len));
        if (o != NULL && o->kind == ARG_FLAG && rest.ptr == NULL)
            return give(c, o, "false", err);
        o = NULL;
    }
    if (o == NULL)
        return unknown_option(c->command, word, name.len, err);
    if (o->kind != ARG_FLAG)
        return take_value(c, o, rest.ptr, err);
    if (rest.ptr != NULL && !str_is(rest, "true") && !str_is(rest, "false"))
        return bad_value(o, rest.ptr, "no value, true or false", err);
    return give(c, o, rest.ptr == NULL ? "true" : rest.ptr, err);
}

static int take_letters(struct cursor *c, const char *word, struct err *err)
{
    for (const char *at = word; *at != '\0'; at++) {
        const struct arg_option *o = find_letter(c->command, *at);
        int r;

        if (*at == 'h' && o == NULL)
            return ARGS_HELP;
        if (o == NULL)
            return err_set(err, ERR_INVALID, "unknown option -%c: see %s --help", *at,
                           c->command->name);
        if (o->kind != ARG_FLAG)
            return take_value(c, o, at[1] != '\0' ? at + 1 : NULL, err);
        r = give(c, o, "true", err);
        if (r < 0)
            return r;
    }
    return 0;
}

static int check_required(const struct arg_command *command, const bool *given, struct err *err)
{
    for (size_t i = 0; i < command->option_count; i++) {
        if (command->options[i].required && !given[i])
            return err_set(err, ERR_INVALID, "--%s is required: see %s --help",
                           command->options[i].name, command->name);
    }
    return 0;
}

static int check_positionals(const struct arg_command *command, int count, char **argv,
                             struct err *err)
{
    if (count < command->positional_min)
        return err_set(err, ERR_INVALID, "an argument is missing: usage: %s %s", command->name,
                       command->usage);
    if (command->positional_max >= 0 && count > command->positional_max)
        return err_set(err, ERR_INVALID, "unexpected argument %s: usage: %s %s",
                       argv[1 + command->positional_max], command->name, command->usage);
    return 0;
}

/* One word that begins with '-'. */
static int take_option(struct cursor *c, const char *word, struct err *err)
{
    if (strcmp(word, "--help") == 0)
        return ARGS_HELP;
    if (word[1] == '-')
        return take_long(c, word + 2, err);
    return take_letters(c, word + 1, err);
}

int args_parse(const struct arg_command *command, int argc, char **argv, void *values,
               int *positionals, struct err *err)
{
    struct cursor c = {.command = command, .argc = argc, .argv = argv, .values = values};
    bool options_over = false;
    int count = 0;
    int r;

    assert(command->option_count <= OPTIONS_MAX);
    r = set_defaults(command, values, err);
    if (r < 0)
        return r;
    for (c.at = 1; c.at < argc; c.at++) {
        char *word = argv[c.at];

        if (!options_over && strcmp(word, "--") == 0) {
            options_over = true;
        } else if (!options_over && word[0] == '-' && word[1] != '\0') {
            r = take_option(&c, word, err);
            if (r != 0)
                return r;
        } else {
            argv[1 + count++] = word;
        }
    }
    r = check_required(command, c.given, err);
    if (r == 0)
        r = check_positionals(command, count, argv, err);
    if (r < 0)
        return r;
    *positionals = count;
    return ARGS_RUN;
}
