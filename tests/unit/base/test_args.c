/* SPDX-License-Identifier: Apache-2.0 */
/* Command lines: every kind of value, every kind of mistake, the help. */
#include "cmocka_plain.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/args.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/program.h"

enum { WORDS_MAX = 16, TEXT_MAX = 65536 };

struct values {
    const char *listen;
    bool verbose, color;
    int64_t count;
    double ratio;
    int64_t wait_ms;
    int64_t size;
    struct arg_list models;
    const char *output;
    const char *connect, *url;
    int64_t limit;
};

static const char *const outputs[] = {"table", "json", "yaml", NULL};

static const struct arg_option options[] = {
    {"listen", 'l', ARG_TEXT, offsetof(struct values, listen), "ADDRESS", "127.0.0.1:8000",
     "address to listen on"},
    {"verbose", 'v', ARG_FLAG, offsetof(struct values, verbose), NULL, NULL, "say more"},
    {"color", 0, ARG_FLAG, offsetof(struct values, color), NULL, "true", "colours"},
    {"count", 'n', ARG_INT, offsetof(struct values, count), "N", "3", "how many", .min = 1,
     .max = 100},
    {"ratio", 0, ARG_REAL, offsetof(struct values, ratio), "R", "0.5", "a share"},
    {"wait", 0, ARG_DURATION, offsetof(struct values, wait_ms), "TIME", "15s", "how long"},
    {"size", 0, ARG_BYTES, offsetof(struct values, size), "SIZE", "64Ki", "how large"},
    {"model", 'm', ARG_LIST, offsetof(struct values, models), "NAME", NULL, "a model"},
    {"output", 'o', ARG_TEXT, offsetof(struct values, output), "FORMAT", "table", "format",
     .choices = outputs},
    {"connect", 0, ARG_ADDRESS, offsetof(struct values, connect), "ADDRESS", "[::1]:0", "a peer"},
    {"url", 0, ARG_URL, offsetof(struct values, url), "URL", "https://spate.test", "a page"},
    {"limit", 0, ARG_BYTES, offsetof(struct values, limit), "SIZE", "4096", "a lower limit",
     .min = 4096, .max = INT64_MAX},
};

static const struct arg_command command = {
    .name = "spate test",
    .summary = "tests the parser",
    .usage = "[options] FILE...",
    .examples = "spate test --count 4 a.yaml\nspate test -o json a.yaml",
    .options = options,
    .option_count = ARRAY_COUNT(options),
    .positional_min = 0,
    .positional_max = 2,
};

/* Splits at spaces and parses. */
static int parse(const char *line, struct values *v, char **argv, int *positionals, struct err *err)
{
    static char copy[1024];
    char *save = NULL;
    int argc = 0;

    snprintf(copy, sizeof(copy), "spate %s", line);
    for (char *word = strtok_r(copy, " ", &save); word != NULL; word = strtok_r(NULL, " ", &save))
        argv[argc++] = word;
    return args_parse(&command, argc, argv, v, positionals, err);
}

static void fills_the_struct(void **state)
{
    char *argv[WORDS_MAX];
    struct values v;
    int positionals = -1;

    (void)state;
    assert_int_equal(parse("", &v, argv, &positionals, NULL), ARGS_RUN);
    assert_int_equal(positionals, 0);
    assert_string_equal(v.listen, "127.0.0.1:8000");
    assert_false(v.verbose);
    assert_true(v.color);
    assert_int_equal(v.count, 3);
    assert_int_equal(v.wait_ms, 15000);
    assert_int_equal(v.size, 65536);
    assert_int_equal(v.models.count, 0);
    assert_string_equal(v.output, "table");

    assert_int_equal(parse("a --listen=:1 -vn7 --no-color b --ratio 0.25 --wait 2m --size=1Mi "
                           "-m x --model=y -o json",
                           &v, argv, &positionals, NULL),
                     ARGS_RUN);
    assert_int_equal(positionals, 2);
    assert_string_equal(argv[1], "a");
    assert_string_equal(argv[2], "b");
    assert_string_equal(v.listen, ":1");
    assert_true(v.verbose);
    assert_false(v.color);
    assert_int_equal(v.count, 7);
    assert_true(v.ratio > 0.24 && v.ratio < 0.26);
    assert_int_equal(v.wait_ms, 120000);
    assert_int_equal(v.size, 1 << 20);
    assert_int_equal(v.models.count, 2);
    assert_string_equal(v.models.items[1], "y");
    assert_string_equal(v.output, "json");

    assert_int_equal(parse("-- -v --x", &v, argv, &positionals, NULL), ARGS_RUN);
    assert_int_equal(positionals, 2);
    assert_string_equal(argv[1], "-v");
    assert_int_equal(parse("-", &v, argv, &positionals, NULL), ARGS_RUN);
    assert_int_equal(positionals, 1);
    assert_int_equal(parse("-h", &v, argv, &positionals, NULL), ARGS_HELP);
    assert_int_equal(parse("a --help --nonsense", &v, argv, &positionals, NULL), ARGS_HELP);
}

static void explains_mistakes_in_one_line(void **state)
{
    static const struct {
        const char *line;
        const char *message;
    } cases[] = {
        {"--lisen x", "unknown option --lisen: did you mean --listen?"},
        {"--cuont=3", "unknown option --cuont: did you mean --count?"},
        {"--zzzzzz", "unknown option --zzzzzz: see spate test --help"},
        {"-x", "unknown option -x: see spate test --help"},
        {"--count", "--count: a value is missing"},
        {"-n", "--count: a value is missing"},
        {"--count x", "--count x: expected a whole number"},
        {"--count 0", "--count 0: must be from 1 to 100"},
        {"--count 101", "--count 101: must be from 1 to 100"},
        {"--ratio much", "--ratio much: expected a number"},
        {"--wait 5", "--wait 5: expected a time such as 250ms, 15s, 5m or 2h"},
        {"--wait 99999999999999999h", "--wait 99999999999999999h: expected a time"},
        {"--size 1kb", "--size 1kb: expected a size such as 4096, 64Ki, 32Mi or 1Gi"},
        {"--size -1", "--size -1: expected a size"},
        {"--verbose=maybe", "--verbose maybe: expected no value, true or false"},
        {"--no-listen", "unknown option --no-listen"},
        {"--connect here", "--connect here: expected an address such as 127.0.0.1:8000"},
        {"--connect 127.0.0.1", "--connect 127.0.0.1: expected an address"},
        {"--connect 127.0.0.1:65536", "--connect 127.0.0.1:65536: expected an address"},
        {"--url ftp://x", "--url ftp://x: expected a URL such as http://127.0.0.1:8000"},
        {"--url http://", "--url http://: expected a URL"},
        {"--url localhost:80", "--url localhost:80: expected a URL"},
        {"--limit 1", "--limit 1: must be at least 4096 bytes"},
        {"-o", "--output: a value is missing: write --output FORMAT"},
        {"-o xml", "--output xml: expected one of table, json, yaml"},
        {"a b c", "unexpected argument c: usage: spate test [options] FILE..."},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        char *argv[WORDS_MAX];
        struct err err = {0};
        struct values v;
        int positionals = -1;

        assert_true(parse(cases[i].line, &v, argv, &positionals, &err) < 0);
        if (strncmp(err.message, cases[i].message, strlen(cases[i].message)) != 0)
            fail_msg("case %zu: %s", i, err.message);
        assert_null(strchr(err.message, '\n'));
    }
}

static void help_begins_with_examples(void **state)
{
    CLEANUP(buf_fini) struct buf out = {0};

    (void)state;
    buf_init(&out, TEXT_MAX);
    assert_int_equal(args_help(&command, &out), 0);
    assert_int_equal(strncmp(buf_cstr(&out), "  spate test --count 4 a.yaml\n", 30), 0);
    assert_non_null(strstr(out.ptr, "usage: spate test [options] FILE...\n"));
    assert_non_null(
        strstr(out.ptr, "  -l, --listen ADDRESS        address to listen on (default 127"));
    assert_non_null(strstr(out.ptr, "format: table, json, yaml (default table)\n"));
    assert_non_null(strstr(out.ptr, "--no-color switches it off"));
    buf_clear(&out);
    assert_int_equal(args_document(&command, &out), 0);
    assert_non_null(strstr(buf_cstr(&out), "| `--count N`, `-n` | `3` | how many |\n"));
}

static void finds_close_words(void **state)
{
    static const char *const words[] = {"apply", "get", "describe", "delete", NULL};

    (void)state;
    assert_string_equal(args_closest("aply", words), "apply");
    assert_string_equal(args_closest("describ", words), "describe");
    assert_string_equal(args_closest("got", words), "get");
    assert_null(args_closest("frobnicate", words));
    assert_null(args_closest("", words));
}

/* What program_arguments returns for the words, and what it writes to `stream`. */
static int begin(char **words, int count, FILE *stream, char said[TEXT_MAX])
{
    struct values v = {0};
    int fd = fileno(stream);
    int kept = dup(fd);
    int fds[2];
    ssize_t length;
    int r;

    assert_int_equal(pipe(fds), 0);
    assert_true(dup2(fds[1], fd) >= 0);
    close(fds[1]);
    r = program_arguments(&command, count, words, &v, NULL);
    fflush(stream);
    assert_true(dup2(kept, fd) >= 0);
    close(kept);
    length = read(fds[0], said, TEXT_MAX - 1);
    assert_true(length >= 0);
    said[length] = '\0';
    close(fds[0]);
    return r;
}

static void programs_begin_alike(void **state)
{
    static char said[TEXT_MAX];

    (void)state;
    assert_int_equal(begin((char *[]){"spate", "--count", "4", NULL}, 3, stderr, said),
                     PROGRAM_RUN);
    assert_string_equal(said, "");
    assert_int_equal(begin((char *[]){"spate", "--count", "0", NULL}, 3, stderr, said),
                     PROGRAM_USAGE);
    assert_non_null(strstr(said, "spate test: "));
    assert_ptr_equal(strchr(said, '\n'), said + strlen(said) - 1);
    assert_int_equal(begin((char *[]){"spate", "-h", NULL}, 2, stdout, said), 0);
    assert_non_null(strstr(said, "--count"));
    mem_fail_after(0);
    assert_int_equal(begin((char *[]){"spate", "-h", NULL}, 2, stderr, said), 1);
    mem_fail_after(-1);
}

struct server {
    const char *listen;
    struct program_settings program;
};

static const struct arg_option server_options[] = {
    {"listen", 0, ARG_TEXT, offsetof(struct server, listen), "ADDRESS", "127.0.0.1:0", "address"},
    PROGRAM_OPTIONS(struct server, program),
};

static const struct arg_command server_command = {
    .name = "spate-server",
    .summary = "tests what servers share",
    .usage = "[options]",
    .examples = "spate-server\n",
    .options = server_options,
    .option_count = ARRAY_COUNT(server_options),
};

static void servers_share_options(void **state)
{
    char *words[] = {"spate-server",   "--log-level",    "warn",
                     "--address-file", "server.address", NULL};
    char *wrong[] = {"spate-server", "--log-level", "loud", NULL};
    char address[PROGRAM_ADDRESS_MAX];
    CLEANUP(buf_fini) struct buf text = {0};
    struct server s = {0};
    struct err err = {0};

    (void)state;
    assert_int_equal(program_arguments(&server_command, 5, words, &s, NULL), PROGRAM_RUN);
    assert_string_equal(s.program.log_level, "warn");
    assert_string_equal(s.program.log_format, "text");
    assert_int_equal(program_tell_address(&s.program, "127.0.0.1:0", 4711, address, &err), 0);
    assert_string_equal(address, "127.0.0.1:4711");
    buf_init(&text, TEXT_MAX);
    assert_int_equal(file_read("server.address", &text, &err), 0);
    assert_string_equal(buf_cstr(&text), "127.0.0.1:4711\n");
    assert_true(program_tell_address(&s.program, "127.0.0.1", 1, address, &err) < 0);
    s.program.address_file = NULL;
    assert_int_equal(program_tell_address(&s.program, "localhost:1", 2, address, &err), 0);
    assert_string_equal(address, "localhost:2");
    assert_int_equal(program_arguments(&server_command, 3, wrong, &s, NULL), PROGRAM_USAGE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fills_the_struct),
        cmocka_unit_test(explains_mistakes_in_one_line),
        cmocka_unit_test(help_begins_with_examples),
        cmocka_unit_test(finds_close_words),
        cmocka_unit_test(programs_begin_alike),
        cmocka_unit_test(servers_share_options),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
