/* SPDX-License-Identifier: Apache-2.0 */
/* Wrong usage of the commands: exit code 2, or the code that fits, and never a crash. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "cli/cli.h"
#include "cmocka_plain.h"

static const struct {
    const struct cli_command *command;
    const char *words[5];
    int exit_code;
} cases[] = {
    {&cli_get, {"get"}, CLI_USAGE},
    {&cli_get, {"get", "--nothing"}, CLI_USAGE},
    {&cli_get, {"get", "md", "-o", "xml"}, CLI_USAGE},
    {&cli_get, {"get", "md", "-o"}, CLI_USAGE},
    {&cli_get, {"get", "mdd"}, CLI_ERROR},
    {&cli_get, {"get", "md"}, CLI_ERROR}, /* nothing runs from that folder */
    {&cli_apply, {"apply"}, CLI_ERROR},
    {&cli_apply, {"apply", "word"}, CLI_USAGE},
    {&cli_apply, {"apply", "-f", "/nonexistent/file.yaml"}, CLI_ERROR},
    {&cli_delete, {"delete"}, CLI_USAGE},
    {&cli_describe, {"describe", "md"}, CLI_USAGE},
    {&cli_describe, {"describe"}, CLI_USAGE},
    {&cli_logs, {"logs"}, CLI_USAGE},
    {&cli_logs, {"logs", "a", "b"}, CLI_USAGE},
    {&cli_logs, {"logs", "a", "--tail", "-3"}, CLI_USAGE},
    {&cli_run, {"run"}, CLI_USAGE},
    {&cli_run, {"run", "brook", "--max-tokens", "many"}, CLI_USAGE},
    {&cli_run, {"run", "brook", "--gateway", "http://127.0.0.1:1"}, CLI_AUTH},
    {&cli_report, {"report", "--from", "yesterday"}, CLI_ERROR},
    {&cli_report, {"report", "-o", "pdf"}, CLI_USAGE},
    {&cli_tenant, {"tenant", "make"}, CLI_USAGE},
    {&cli_tenant, {"tenant", "key"}, CLI_USAGE},
    {&cli_tenant, {"tenant", "create"}, CLI_USAGE},
    {&cli_tenant, {"tenant", "create", "Not_A_Name"}, CLI_ERROR},
    {&cli_tenant, {"tenant", "create", "a", "--priority", "9999"}, CLI_USAGE},
    {&cli_tenant, {"tenant", "key", "revoke", "acme"}, CLI_USAGE},
    {&cli_model, {"model"}, CLI_USAGE},
    {&cli_model, {"model", "path", "unknown"}, CLI_ERROR},
    {&cli_model, {"model", "pull", "smollm2", "--from", "/nonexistent.whl"}, CLI_ERROR},
    {&cli_up, {"up", "--gateway-listen"}, CLI_USAGE},
    {&cli_up, {"up", "--gateway-listen", "somewhere"}, CLI_USAGE},
    {&cli_completion, {"completion", "tcsh"}, CLI_USAGE},
    {&cli_bench, {"bench", "gatewy"}, CLI_USAGE},
    {&cli_bench, {"bench", "--jsn"}, CLI_USAGE},
    {&cli_bench, {"bench", "gateway"}, CLI_NOT_READY}, /* not beside the test program */
    {&cli_version, {"version", "now"}, CLI_USAGE},
    {&cli_help, {"help", "nothing"}, CLI_USAGE},
    {&cli_doctor, {"doctor", "--jsn"}, CLI_USAGE},
};

static void wrong_usage_is_told(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        char words[5][64];
        char *argv[6] = {NULL};
        int argc = 0;
        int exit_code;

        while (argc < 5 && cases[i].words[argc] != NULL) {
            snprintf(words[argc], sizeof(words[argc]), "%s", cases[i].words[argc]);
            argv[argc] = words[argc];
            argc++;
        }
        exit_code = cases[i].command->run(argc, argv);
        if (exit_code != cases[i].exit_code)
            fail_msg("case %zu (%s): exit code %d", i, cases[i].words[0], exit_code);
    }
}

static void every_command_has_help(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        char name[32];
        char help[] = "-h";
        char *argv[] = {name, help, NULL};

        snprintf(name, sizeof(name), "%s", cases[i].words[0]);
        assert_int_equal(cases[i].command->run(2, argv), CLI_OK);
        assert_non_null(cases[i].command->arguments->examples);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wrong_usage_is_told),
        cmocka_unit_test(every_command_has_help),
    };

    setenv("SPATE_STATE", "arguments-state", 1); /* below the test's own folder; never made */
    setenv("SPATE_CACHE", "arguments-cache", 1);
    unsetenv("SPATE_API_KEY");
    return cmocka_run_group_tests(tests, NULL, NULL);
}
