/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every parser with its first allocation failing, then its second, and so on until none fails. Each
 * must say that memory ran out (not that the input is bad), leave nothing behind (seen under ASan),
 * and leave its output untouched. jansson allocates through the same functions here, so the
 * building of trees is covered. libyaml, libuv and curl allocate by themselves and are not.
 */
#include "memory_check.h"

#include <string.h>

#include "autoscale/tz.h"
#include "base/mem.h"
#include "base/yaml.h"
#include "crd/model_deployment.h"
#include "engine/load/gguf_meta.h"
#include "engine/text/template.h"
#include "engine_text/tiny_tokenizer.h"
#include "wire/ingest.h"
#include "wire/load.h"
#include "wire/openai.h"
#include "wire/prices.h"
#include "wire/routes.h"
#include "wire/stream.h"

#define ID "01arz3ndektsv4rrffq69g5fav"

enum { ARENA_MAX = 1 << 20, TEXT_MAX = 1 << 20 };

static int tree_of(json_t **out, const char *json, struct err *err)
{
    return json_read(out, str_of(json), &json_limits_default, "test", err);
}

static int json(struct err *err)
{
    json_auto_t *tree = NULL;

    return tree_of(
        &tree, "{\"a\":[1,2.5,true,null,{\"b\":\"c\\u00e9\"}],\"d\":[0,1,2,3,4,5,6,7,8,9]}", err);
}

static int yaml(struct err *err)
{
    json_auto_t *documents = NULL;

    return yaml_read(&documents,
                     STR("a: [1, x, {b: c}]\nd:\n- e: true\n  f: |\n    g\n---\nh: 1\n"), "test",
                     err);
}

static int model_object(struct err *err)
{
    CLEANUP(crd_object_unrefp) struct crd_object *object = NULL;
    CLEANUP(arena_fini) struct arena arena = {0};
    json_auto_t *tree = NULL;
    struct crd_model_spec spec;
    struct crd_model_status status;
    int r = tree_of(&tree,
                    "{\"apiVersion\":\"spate.dev/v1alpha1\",\"kind\":\"ModelDeployment\","
                    "\"metadata\":{\"name\":\"brook\",\"labels\":{\"a\":\"b\"}},"
                    "\"spec\":{\"model\":{\"uri\":\"file:///m\"},\"scaling\":{\"maxReplicas\":4,"
                    "\"warmup\":[{\"schedule\":\"0 8 * * *\",\"replicas\":2}]}}}",
                    err);

    arena_init(&arena, ARENA_MAX);
    if (r == 0)
        r = crd_object_read(&object, tree, NULL, NULL, err);
    if (r == 0)
        r = crd_model_spec_read(&spec, object, &arena, err);
    if (r == 0)
        r = crd_model_status_read(&status, object, &arena, err);
    if (r == 0) {
        json_auto_t *written = NULL;

        r = crd_model_status_write(&status, &written, err);
    }
    return r;
}

static int attempt(struct err *err)
{
    CLEANUP(arena_fini) struct arena arena = {0};
    json_auto_t *tree = NULL;
    struct stream_attempt a;
    int r = tree_of(&tree,
                    "{\"request_id\":\"" ID "\",\"attempt\":1,\"tenant\":\"t\",\"key_id\":\"k\","
                    "\"model\":\"n/m\",\"public_model\":\"m\",\"completion_id\":\"c\","
                    "\"created\":1,\"seed\":\"7\",\"price_version\":1,\"admitted_ms\":1,"
                    "\"cache_salt\":1,\"priority\":0,\"digest\":\"\",\"cached_tokens\":-1,"
                    "\"output\":[1,2,3]}",
                    err);

    arena_init(&arena, ARENA_MAX);
    return r < 0 ? r : stream_attempt_read(&a, tree, &arena, err);
}

static int load(struct err *err)
{
    CLEANUP(arena_fini) struct arena arena = {0};
    json_auto_t *tree = NULL;
    struct load_report report;
    int r = tree_of(&tree,
                    "{\"gateway\":\"g\",\"run_id\":\"" ID "\",\"sequence\":1,\"uptime_ms\":1,"
                    "\"routes_version\":\"i:1:1\",\"models\":[{\"name\":\"n/m\",\"in_flight\":1,"
                    "\"queued\":0,\"arrived\":1,\"idle_ms\":0,\"oldest_wait_ms\":0}],"
                    "\"suspects\":[{\"pod_uid\":\"u\",\"reason\":\"r\"}]}",
                    err);

    arena_init(&arena, ARENA_MAX);
    return r < 0 ? r : load_report_read(&report, tree, &arena, err);
}

static int routes(struct err *err)
{
    json_auto_t *tree = NULL;
    struct routes *read = NULL;
    int r = tree_of(&tree,
                    "{\"version\":\"inst:2:7\",\"models\":[{\"name\":\"team/r1\","
                    "\"short_name\":\"r1\",\"created\":5,\"context_max\":16384,\"can_wake\":true,"
                    "\"hold_reason\":\"\",\"pods\":[{\"name\":\"p\",\"uid\":\"u\","
                    "\"address\":\"127.0.0.1:1\",\"draining\":false,\"slots\":4,"
                    "\"digest\":\"ab\"}]}],\"tenants\":[{\"name\":\"acme\",\"priority\":-1,"
                    "\"requests_per_minute\":60,\"concurrency\":2,\"price_version\":3,"
                    "\"namespaces\":[\"team\"],\"models\":[],\"keys\":[{\"id\":\"k\",\"sha256\":"
                    "\"00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff\"}]}]}",
                    err);

    if (r == 0)
        r = routes_read(&read, tree, err);
    routes_free(read);
    return r;
}

static int prices(struct err *err)
{
    json_auto_t *tree = NULL;
    struct prices read = {0};
    int r = tree_of(&tree,
                    "{\"id\":1,\"name\":\"p\",\"effective_ms\":1,\"prices\":[{\"model\":\"*\","
                    "\"input\":1,\"output\":2}]}",
                    err);

    if (r == 0)
        r = prices_read(&read, tree, err);
    prices_fini(&read);
    return r;
}

/* The OpenAI errors have their own type: lack of memory is a 500 or 503 there. */
static int request(struct err *err)
{
    CLEANUP(arena_fini) struct arena arena = {0};
    json_auto_t *tree = NULL;
    struct openai_request read;
    struct openai_error error = {0};
    int r = tree_of(&tree,
                    "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":"
                    "\"text\",\"text\":\"a\"},{\"type\":\"text\",\"text\":\"b\"}]}],"
                    "\"stop\":[\"x\",\"y\"],\"logit_bias\":{\"5\":1}}",
                    err);

    arena_init(&arena, ARENA_MAX);
    if (r < 0)
        return r;
    if (openai_request_read(&read, OPENAI_CHAT, tree, &arena, &error) == 0)
        return 0;
    return err_set(err, error.code == OPENAI_SERVER ? ERR_NO_MEMORY : ERR_INVALID, "%s",
                   error.message);
}

static int zone(struct err *err)
{
    struct tz *read = NULL;
    int r = tz_read_posix(&read, STR("CET-1CEST,M3.5.0,M10.5.0/3"), err);

    tz_free(read);
    return r;
}

static int chat_template(struct err *err)
{
    static const char source[] = "{% macro m(x) %}[{{ x | upper }}]{% endmacro %}"
                                 "{% for k in messages %}{{ m(k.role) }}{{ k.content.split(' ') | "
                                 "join('-') }}{% set y = [1, 2] + [3] %}{{ y | tojson }}"
                                 "{% endfor %}";
    CLEANUP(template_freep) struct template *t = NULL;
    CLEANUP(buf_fini) struct buf out = {0};
    json_auto_t *messages = NULL;
    struct template_input input = {0};
    int r = tree_of(&messages, "[{\"role\":\"user\",\"content\":\"a b c\"}]", err);

    buf_init(&out, TEXT_MAX);
    if (r == 0)
        r = template_compile(&t, STR(source), "template", err);
    input.messages = messages;
    if (r == 0)
        r = template_render(t, &input, &out, err);
    if (r == 0)
        assert_true(str_is(buf_str(&out), "[USER]a-b-c[1, 2, 3]"));
    return r;
}

static struct buf tokenizer_text; /* made before allocations fail */

static int tokenizer(struct err *err)
{
    CLEANUP(tokenizer_freep) struct tokenizer *t = NULL;
    struct tokenizer_files files = {.tokenizer = buf_str(&tokenizer_text),
                                    .config = STR("{\"chat_template\": \"x\"}")};

    return tokenizer_open_files(&t, &files, err);
}

static int gguf(struct err *err)
{
    static const uint8_t file[] = {
        'G', 'G', 'U', 'F', 3, 0, 0, 0,                                               /* version */
        1,   0,   0,   0,   0, 0, 0, 0,                                               /* tensors */
        1,   0,   0,   0,   0, 0, 0, 0,                                               /* keys */
        1,   0,   0,   0,   0, 0, 0, 0, 'k', 8, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 'v', /* k = "v" */
        1,   0,   0,   0,   0, 0, 0, 0, 't',                                          /* tensor t */
        1,   0,   0,   0,   1, 0, 0, 0, 0,   0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,   0, 0, 0};
    uint8_t bytes[256] = {0};
    CLEANUP(gguf_meta_freep) struct gguf_meta *meta = NULL;

    memcpy(bytes, file, sizeof(file));
    return gguf_meta_read(&meta, bytes, sizeof(bytes), err);
}

static const struct {
    const char *name;
    memory_attempt_fn *function;
} parsers[] = {
    {"json", json},
    {"yaml", yaml},
    {"model object", model_object},
    {"attempt", attempt},
    {"load report", load},
    {"routes", routes},
    {"prices", prices},
    {"request", request},
    {"time zone", zone},
    {"template", chat_template},
    {"tokenizer", tokenizer},
    {"GGUF", gguf},
};

static void every_failing_allocation_is_reported(void **state)
{
    (void)state;
    json_begin();
    buf_init(&tokenizer_text, TEXT_MAX);
    tiny_tokenizer_json(&tokenizer_text, true);
    for (size_t i = 0; i < ARRAY_COUNT(parsers); i++)
        memory_check(parsers[i].name, parsers[i].function);
    buf_fini(&tokenizer_text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_failing_allocation_is_reported),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
