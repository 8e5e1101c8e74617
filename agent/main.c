/* SPDX-License-Identifier: Apache-2.0 */
/* spate-agent: command line. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "agent/agent.h"
#include "agent/agent_options.h"
#include "base/mem.h"
#include "base/program.h"

static const char *const isa_names[] = {"auto", "scalar", "avx2", NULL};

static const struct arg_option options[] = {
    {
        .name = "model",
        .kind = ARG_TEXT,
        .offset = offsetof(struct agent_settings, model),
        .value_name = "PATH",
        .help = "Hugging Face folder or .gguf file",
        .required = true,
    },
    {
        .name = "listen",
        .kind = ARG_ADDRESS,
        .offset = offsetof(struct agent_settings, listen),
        .value_name = "ADDRESS",
        .initial = "127.0.0.1:8000",
        .help = "address to listen on",
    },
    {
        .name = "data",
        .kind = ARG_TEXT,
        .offset = offsetof(struct agent_settings, data),
        .value_name = "FOLDER",
        .help = "folder for the usage log and the counter files",
    },
    {
        .name = "token-public-key",
        .kind = ARG_TEXT,
        .offset = offsetof(struct agent_settings, token_public_key),
        .value_name = "FILE",
        .help = "serve only gateways with tokens of this key (the operator's)",
    },
    {
        .name = "pod-name",
        .kind = ARG_TEXT,
        .offset = offsetof(struct agent_settings, pod_name),
        .value_name = "NAME",
        .initial = "agent",
        .help = "name of this pod in usage records",
    },
    {
        .name = "served-model",
        .kind = ARG_TEXT,
        .offset = offsetof(struct agent_settings, served_model),
        .value_name = "NAME",
        .help = "name under which the model is served (default: the last part of PATH)",
    },
    {
        .name = "slots",
        .kind = ARG_INT,
        .offset = offsetof(struct agent_settings, slots),
        .value_name = "N",
        .initial = "16",
        .help = "sequences decoded together at most",
        .min = 1,
        .max = 1024,
    },
    {
        .name = "context",
        .kind = ARG_INT,
        .offset = offsetof(struct agent_settings, context),
        .value_name = "TOKENS",
        .initial = "0",
        .help = "longest sequence, or what the KV cache holds (0: the model's own)",
        .min = 0,
        .max = 1 << 24,
    },
    {
        .name = "kv-mib",
        .kind = ARG_INT,
        .offset = offsetof(struct agent_settings, kv_mib),
        .value_name = "MIB",
        .initial = "0",
        .help = "memory for the KV cache (0: chosen)",
        .min = 0,
        .max = 1 << 24,
    },
    {
        .name = "memory-mib",
        .kind = ARG_INT,
        .offset = offsetof(struct agent_settings, memory_mib),
        .value_name = "MIB",
        .initial = "0",
        .help = "memory that it may use; a model that needs more is not loaded (0: the limit of "
                "its cgroup, or the machine's memory)",
        .min = 0,
        .max = 1 << 24,
    },
    {
        .name = "threads",
        .kind = ARG_INT,
        .offset = offsetof(struct agent_settings, threads),
        .value_name = "N",
        .initial = "0",
        .help = "threads of the engine (0: all cores)",
        .min = 0,
        .max = 1024,
    },
    {
        .name = "chunk-tokens",
        .kind = ARG_INT,
        .offset = offsetof(struct agent_settings, chunk_tokens),
        .value_name = "TOKENS",
        .initial = "256",
        .help = "tokens of one step at most",
        .min = 16,
        .max = 65536,
    },
    {
        .name = "prefix-reuse",
        .kind = ARG_FLAG,
        .offset = offsetof(struct agent_settings, prefix_reuse),
        .initial = "true",
        .help = "keep finished blocks for equal prefixes",
    },
    {
        .name = "reasoning-alias",
        .kind = ARG_FLAG,
        .offset = offsetof(struct agent_settings, reasoning_alias),
        .help = "send the reasoning also as 'reasoning'",
    },
    {
        .name = "report-only",
        .kind = ARG_FLAG,
        .offset = offsetof(struct agent_settings, report_only),
        .help = "serve nobody, only report the usage that earlier runs left in --data; ends with "
                "status 0 when all of it was taken, with 3 if it is stopped before",
    },
    {
        .name = "isa",
        .kind = ARG_TEXT,
        .offset = offsetof(struct agent_settings, isa),
        .value_name = "NAME",
        .initial = "auto",
        .help = "kernels of the CPU",
        .choices = isa_names,
    },
    PROGRAM_OPTIONS(struct agent_settings, program),
};

const struct arg_command agent_command = {
    .name = "spate-agent",
    .summary = "Serves one model over the OpenAI API.",
    .usage = "--model PATH [options]",
    .examples = "spate-agent --model models/brook\n"
                "curl http://127.0.0.1:8000/v1/chat/completions -d '{\"model\":\"brook\",\n"
                "    \"messages\":[{\"role\":\"user\",\"content\":\"What is 345 + 678?\"}]}'\n",
    .options = options,
    .option_count = ARRAY_COUNT(options),
};

/* "models/brook/" -> "brook" */
static char *last_part(const char *path)
{
    struct str rest = str_of(path);
    struct str part;
    int64_t dot;

    while (rest.len > 1 && rest.ptr[rest.len - 1] == '/')
        rest.len--;
    do {
        part = str_cut(&rest, '/');
    } while (rest.ptr != NULL);
    dot = str_find(part, STR(".gguf"));
    if (dot > 0)
        part.len = (size_t)dot;
    return mem_strndup(part.ptr, part.len);
}

static int check_settings(const struct agent_settings *settings, struct err *err)
{
    /* One that only reports opens no model: that may be gone by now. */
    if (!settings->report_only && access(settings->model, R_OK) < 0)
        return err_errno(err, errno, "--model %s: give a Hugging Face folder or a .gguf file",
                         settings->model);
    if (settings->token_public_key != NULL && settings->data == NULL)
        return err_set(err, ERR_INVALID,
                       "--token-public-key needs --data: usage must be kept durably");
    return 0;
}

int main(int argc, char **argv)
{
    struct agent_settings settings = {0};
    CLEANUP(mem_freep) char *name = NULL;
    struct err err = {0};
    int r = program_arguments(&agent_command, argc, argv, &settings, NULL);

    if (r != PROGRAM_RUN)
        return r;
    if (check_settings(&settings, &err) < 0)
        return program_fail(&agent_command, PROGRAM_USAGE, err_message(&err));
    program_log(&agent_command, &settings.program);
    if (settings.served_model == NULL) {
        name = last_part(settings.model);
        settings.served_model = name == NULL ? "model" : name;
    }
    return agent_run(&settings);
}
