/* SPDX-License-Identifier: Apache-2.0 */
/* spate-agent: command line. */
#include <stdio.h>
#include <string.h>

#include "agent/agent.h"
#include "agent/agent_options.h"
#include "base/args.h"
#include "base/log.h"
#include "base/mem.h"

static const char *const isa_names[] = {"auto", "scalar", "avx2", NULL};
static const char *const level_names[] = {"debug", "info", "warn", "error", NULL};
static const char *const format_names[] = {"text", "json", NULL};

#define OPTION(name_, kind_, member, value, initial_, help_)                             \
    {                                                                                    \
        .name = name_, .kind = kind_, .offset = offsetof(struct agent_settings, member), \
        .value_name = value, .initial = initial_, .help = help_

static const struct arg_option options[] = {OPTION("model", ARG_TEXT, model, "PATH", NULL,
                                                   "Hugging Face folder or .gguf file"),
                                            .required = true},
                               OPTION("listen", ARG_TEXT, listen, "ADDRESS", "127.0.0.1:8000",
                                      "address to listen on")
}
, OPTION("address-file", ARG_TEXT, address_file, "FILE", NULL,
         "write the bound address here once listening")
}
, OPTION("data", ARG_TEXT, data, "FOLDER", NULL, "folder for the usage log and the counter files")
}
, OPTION("token-public-key", ARG_TEXT, token_public_key, "FILE", NULL,
         "serve only gateways with tokens of this key (the operator's)")
}
, OPTION("pod-name", ARG_TEXT, pod_name, "NAME", "agent", "name of this pod in usage records")
}
, OPTION("served-model", ARG_TEXT, served_model, "NAME", NULL,
         "name under which the model is served (default: the last part of PATH)")
}
, OPTION("slots", ARG_INT, slots, "N", "16", "sequences decoded together at most"), .min = 1,
    .max = 1024
}
,
    OPTION("context", ARG_INT, context, "TOKENS", "0",
           "longest sequence (0: the model's own, or what fits)"),
    .min = 0, .max = 1 << 24
}
, OPTION("kv-mib", ARG_INT, kv_mib, "MIB", "0", "memory for the KV cache (0: chosen)"), .min = 0,
    .max = 1 << 24
}
, OPTION("threads", ARG_INT, threads, "N", "0", "threads of the engine (0: all cores)"), .min = 0,
    .max = 1024
}
, OPTION("chunk-tokens", ARG_INT, chunk_tokens, "TOKENS", "256", "tokens of one step at most"),
    .min = 16, .max = 65536
}
, OPTION("prefix-reuse", ARG_FLAG, prefix_reuse, NULL, "true",
         "keep finished blocks for equal prefixes")
}
, OPTION("reasoning-alias", ARG_FLAG, reasoning_alias, NULL, NULL,
         "send the reasoning also as 'reasoning'")
}
, OPTION("isa", ARG_TEXT, isa, "NAME", "auto", "kernels: auto, scalar or avx2"),
    .choices = isa_names
}
, OPTION("log-level", ARG_TEXT, log_level, "LEVEL", "info", "debug, info, warn or error"),
    .choices = level_names
}
, OPTION("log-format", ARG_TEXT, log_format, "FORMAT", "text", "text or json"),
    .choices = format_names
}
,
}
;

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

static int print_help(void)
{
    struct buf text;

    buf_init(&text, 65536);
    if (args_help(&agent_command, &text) == 0)
        fwrite(text.ptr, 1, text.len, stdout);
    buf_fini(&text);
    return 0;
}

int main(int argc, char **argv)
{
    struct agent_settings settings = {0};
    CLEANUP(mem_freep) char *name = NULL;
    enum log_level level = LOG_LEVEL_INFO;
    enum log_format format = LOG_FORMAT_TEXT;
    struct err err = {0};
    int positionals;
    int r = args_parse(&agent_command, argc, argv, &settings, &positionals, &err);

    if (r == ARGS_HELP)
        return print_help();
    if (r < 0) {
        fprintf(stderr, "spate-agent: %s\n", err_message(&err));
        return 2;
    }
    (void)log_level_parse(str_of(settings.log_level), &level);
    (void)log_format_parse(str_of(settings.log_format), &format);
    log_setup("spate-agent", level, format, 2);
    json_object_seed(0); /* before there are threads */
    if (settings.served_model == NULL) {
        name = last_part(settings.model);
        settings.served_model = name == NULL ? "model" : name;
    }
    return agent_run(&settings);
}
