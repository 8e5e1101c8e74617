/* SPDX-License-Identifier: Apache-2.0 */
/* Broken manifests, at least ten of each kind: for each the one line that is said, with what is
 * wrong, where, and the cure. */
#include "base/mem.h"
#include "base/yaml.h"
#include "cmocka_plain.h"
#include "crd/kinds.h"
#include "crd/object.h"

#define MODEL \
    "apiVersion: spate.dev/v1alpha1\nkind: ModelDeployment\nmetadata: {name: brook}\nspec:\n"
#define MODEL_URI MODEL "  model: {uri: \"file:///m\"}\n"
#define TENANT    "apiVersion: spate.dev/v1alpha1\nkind: Tenant\nmetadata: {name: acme}\nspec:\n"
#define PRICES    "apiVersion: spate.dev/v1alpha1\nkind: PriceBook\nmetadata: {name: list}\nspec:\n"

#define ROUTE         "apiVersion: spate.dev/v1alpha1\nkind: ModelRoute\nmetadata: {name: chat}\nspec:\n"
#define ROUTE_TARGETS ROUTE "  targets: [{model: a}]\n"

#define SOME_SHA256 "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"

struct broken {
    const char *manifest;
    const char *line;
};

/* Kind, version and metadata. */
static const struct broken of_any_kind[] = {
    {"[]", "kind: is required; write ModelDeployment, ModelRoute, Tenant or PriceBook"},
    {"kind: ModelDeploymnet", "kind: no such kind; did you mean ModelDeployment?"},
    {"kind: Pod", "kind: no such kind; write ModelDeployment, ModelRoute, Tenant or PriceBook"},
    {"apiVersion: v1\nkind: Tenant\nmetadata: {name: a}",
     "apiVersion: \"v1\" is not spate.dev/v1alpha1; correct it"},
    {"kind: Tenant\nmetadata: {name: a}",
     "apiVersion: is required; add it: Group and version of the object: spate.dev/v1alpha1."},
    {"apiVersion: spate.dev/v1alpha1\nkind: Tenant\nmetadata: {name: a, namespace: b}",
     "metadata.namespace: a Tenant has none; remove it"},
    {"apiVersion: spate.dev/v1alpha1\nkind: Tenant\nmetadata: {name: ../../etc}",
     "metadata.name: \"../../etc\" is not lower-case letters, digits and inner dashes; correct it"},
    {"apiVersion: spate.dev/v1alpha1\nkind: Tenant\nmetadata: {name: \"a\\n\"}",
     "metadata.name: \"a?\" is not lower-case letters, digits and inner dashes; correct it"},
    {"apiVersion: spate.dev/v1alpha1\nkind: Tenant\nmetadata: {name: a, labels: {\"a b\": c}}",
     "metadata.labels.a b: is no key; write a name of letters, digits and inner '-', '_' and '.', "
     "with or without a prefix such as example.com/"},
    {"apiVersion: spate.dev/v1alpha1\nkind: Tenant\nmetadata: {name: a, labels: {team: \"-\"}}",
     "metadata.labels.team: \"-\" is not letters, digits and inner '-', '_' and '.', at most 63; "
     "correct it"},
    {"apiVersion: spate.dev/v1alpha1\nkind: Tenant\nmetadata: {name: a, labels: {team: 4}}",
     "metadata.labels.team: is of type integer; write a string in quotes"},
};

/* ModelDeployment. */
static const struct broken models[] = {
    {MODEL "  engine: {}",
     "spec.model: is required; add it: Which weights are served, and under which name."},
    {MODEL "  model: {}",
     "spec.model.uri: is required; add it: Where the weights are: a folder in Hugging Face layout, "
     "or a GGUF file. file:///path is on this machine, or in the agent's image on Kubernetes. "
     "pvc://CLAIM/path is in a PersistentVolumeClaim of the model's namespace, "
     "oci://HOST/NAME:TAG#path in an OCI image: both on Kubernetes only."},
    {MODEL "  model: {uri: hf://a/b}",
     "spec.model.uri: this scheme is not supported by this version: name the model's folder by "
     "file:///absolute/path or pvc://CLAIM/path, or an image by oci://HOST/NAME:TAG"},
    {MODEL "  model: {uri: \"file://m\"}",
     "spec.model.uri: the path after file:// must be absolute and without '..': write "
     "file:///absolute/path"},
    {MODEL "  model: {uri: \"file:///a/../b\"}",
     "spec.model.uri: the path after file:// must be absolute and without '..': write "
     "file:///absolute/path"},
    {MODEL "  model: {uri: /models/brook}",
     "spec.model.uri: \"/models/brook\" is not a location such as file:///models/brook; correct "
     "it"},
    {MODEL_URI "  scaling: {maxReplica: 3}",
     "spec.scaling.maxReplica: unknown field; did you mean maxReplicas?"},
    {MODEL_URI "  colour: blue",
     "spec.colour: unknown field; remove it, or use one of model, engine, routing, scaling, "
     "hardware, placement"},
    {MODEL_URI "  engine: {slots: \"4\"}",
     "spec.engine.slots: is of type string; write an integer, without quotes"},
    {MODEL_URI "  engine: {slots: 0}", "spec.engine.slots: 0 is below 1; use 1 to 256"},
    {MODEL_URI "  engine: {slots: 4.5}",
     "spec.engine.slots: is of type real; write an integer, without quotes"},
    {MODEL_URI "  engine: 4", "spec.engine: is of type integer; write an object (name: value lines "
                              "below it)"},
    {MODEL_URI "  scaling: {mode: auto}",
     "spec.scaling.mode: \"auto\" is not known; use Auto, Manual"},
    {MODEL_URI "  scaling: {replicas: 2}",
     "spec.scaling.replicas: replicas is obeyed in mode Manual only: set spec.scaling.mode to "
     "Manual with it, or change minReplicas and maxReplicas in its place"},
    {MODEL_URI "  scaling: {minReplicas: 3, maxReplicas: 2}",
     "spec.scaling.minReplicas: minReplicas is above maxReplicas: raise maxReplicas or lower "
     "minReplicas"},
    {MODEL_URI "  scaling: {warmup: {}}",
     "spec.scaling.warmup: is of type object; write a list (lines with a dash)"},
    {MODEL_URI "  scaling: {warmup: [{schedule: \"0 25 * * *\", replicas: 1}]}",
     "spec.scaling.warmup[0].schedule: \"0 25 * * *\" is not five cron fields: minute, hour, day "
     "of "
     "month, month, day of week; correct it"},
    {MODEL_URI "  scaling: {warmup: [{schedule: \"0 8 * * *\", replicas: 9}]}",
     "spec.scaling.warmup: a warm-up asks for more replicas than maxReplicas: raise maxReplicas"},
    {MODEL_URI "  scaling: {warmup: [{schedule: \"0 8 * * *\", replicas: 1, timeZone: "
               "\"../../etc/passwd\"}]}",
     "spec.scaling.warmup[0].timeZone: \"../../etc/passwd\" is not a name of the IANA time zone "
     "database, such as Asia/Shanghai; correct it"},
};

/* ModelRoute. */
static const struct broken routes[] = {
    {ROUTE "  {}", "spec.targets: is required; add it: The models that share the requests by their "
                   "weights. A request is given to one of them by its id, so that retries stay "
                   "there. A target that does not exist or can not serve has no share."},
    {ROUTE "  targets: []",
     "spec.targets: no target has a weight: give at least one target a weight of 1 or more"},
    {ROUTE "  targets: [{model: a, weight: 0}]",
     "spec.targets: no target has a weight: give at least one target a weight of 1 or more"},
    {ROUTE "  targets: [{model: a, weight: 1001}]",
     "spec.targets[0].weight: 1001 is above 1000; use 0 to 1000"},
    {ROUTE "  targets: [{model: a, weight: 0.5}]",
     "spec.targets[0].weight: is of type real; write an integer, without quotes"},
    {ROUTE "  targets: [{weight: 1}]",
     "spec.targets[0].model: is required; add it: A ModelDeployment of the route's namespace, or "
     "namespace/name of another whose spec.routing.fromNamespaces permits it."},
    {ROUTE "  targets: [{model: a/b/c}]",
     "spec.targets[0].model: \"a/b/c\" is not the name of a model, or namespace/name; correct it"},
    {ROUTE "  targets: [{model: ../a}]",
     "spec.targets[0].model: \"../a\" is not the name of a model, or namespace/name; correct it"},
    {ROUTE "  targets: [{model: a}, {model: a, weight: 2}]",
     "spec.targets: entries 0 and 1 have the same model \"a\"; change or remove one"},
    {ROUTE "  targets: [{models: a}]",
     "spec.targets[0].models: unknown field; did you mean model?\nspec.targets[0].model: is "
     "required; add it: A ModelDeployment of the route's namespace, or namespace/name of another "
     "whose spec.routing.fromNamespaces permits it."},
    {ROUTE "  targets: {model: a}",
     "spec.targets: is of type object; write a list (lines with a dash)"},
    {ROUTE_TARGETS "  name: -chat",
     "spec.name: \"-chat\" is not letters, digits and inner '.', '_', ':' and '-'; correct it"},
    {ROUTE_TARGETS "  fallback: [b]",
     "spec.fallback: is of type array; write an object (name: value lines below it)"},
    {ROUTE_TARGETS "  fallback: {models: [b, b]}",
     "spec.fallback.models: entries 0 and 1 have the same text \"b\"; change or remove one"},
    {ROUTE_TARGETS "  fallback: {models: [b], afterSeconds: 0}",
     "spec.fallback.afterSeconds: 0 is below 1; use 1 to 600"},
    {ROUTE_TARGETS "  weight: 4",
     "spec.weight: unknown field; remove it, or use one of name, targets, fallback"},
};

/* Tenant. */
static const struct broken tenants[] = {
    {TENANT "  keys: [{id: a, sha256: abc}]",
     "spec.keys[0].sha256: is not a SHA-256; write 64 lower-case hexadecimal digits"},
    {TENANT "  models: [brook]",
     "spec.models[0]: \"brook\" is not a model as namespace/name; correct it"},
    {TENANT "  priority: 5000", "spec.priority: 5000 is above 1000; use -1000 to 1000"},
    {TENANT "  keys: [{id: a}]", "spec.keys[0].sha256: is required; add it: SHA-256 of the whole "
                                 "key text, as 64 lower-case hexadecimal digits."},
    {TENANT "  keys: [{id: A, sha256: " SOME_SHA256 "}]",
     "spec.keys[0].id: \"A\" is not lower-case letters, digits and inner dashes; correct it"},
    {TENANT "  keys: [{id: a, sha256: " SOME_SHA256 "}, {id: a, sha256: " SOME_SHA256 "}]",
     "spec.keys: entries 0 and 1 have the same id \"a\"; change or remove one"},
    {TENANT "  keys: [{id: a, secret: x, sha256: " SOME_SHA256 "}]",
     "spec.keys[0].secret: unknown field; remove it, or use one of id, sha256"},
    {TENANT "  namespaces: team-a",
     "spec.namespaces: is of type string; write a list (lines with a dash)"},
    {TENANT "  namespaces: [Team_A]", "spec.namespaces[0]: \"Team_A\" is not the name of a "
                                      "namespace, or a star for all; correct it"},
    {TENANT "  namespaces: [a, b, a]",
     "spec.namespaces: entries 0 and 2 have the same text \"a\"; change or remove one"},
    {TENANT "  limits: {requestsPerMinute: -1}",
     "spec.limits.requestsPerMinute: -1 is below 0; use 0 to 1000000000"},
    {TENANT "  limits: {requestPerMinute: 1}",
     "spec.limits.requestPerMinute: unknown field; did you mean requestsPerMinute?"},
    {TENANT "  limits: {concurrency: \"8\"}",
     "spec.limits.concurrency: is of type string; write an integer, without quotes"},
    {TENANT "  priceBook: \"\"", "spec.priceBook: is empty; leave it out, or write lower-case "
                                 "letters, digits and inner dashes"},
    {TENANT "  {\"limits.concurrency\": 1}",
     "spec.limits.concurrency: unknown field; remove it, or use one of keys, namespaces, models, "
     "limits, priority, priceBook"},
};

/* PriceBook. */
static const struct broken price_books[] = {
    {PRICES "  {currency: EUR, prices: []}", "spec.currency: \"EUR\" is not known; use USD"},
    {PRICES "  prices: [{model: \"*\", input: 0.55, output: \"1\"}]",
     "spec.prices[0].input: is of type real; write a decimal number in quotes, such as \"0.55\""},
    {PRICES "  prices: [{model: \"*\", input: \"-1\", output: \"1\"}]",
     "spec.prices[0].input: \"-1\" is not a price; write dollars from \"0\" to \"1000000\" with at "
     "most 9 decimals, such as \"0.55\""},
    {PRICES "  prices: [{model: \"*\", input: \"1\", output: \"1\"}, {model: \"*\", input: \"2\", "
            "output: \"2\"}]",
     "spec.prices: entries 0 and 1 have the same model \"*\" and effectiveFrom "
     "\"1970-01-01T00:00:00Z\"; change or remove one"},
    {PRICES "  prices: [{model: \"*\", input: \"1\", output: \"1\", effectiveFrom: tomorrow}]",
     "spec.prices[0].effectiveFrom: \"tomorrow\" is not a time such as 2026-11-22T15:04:05Z, in "
     "UTC "
     "and whole seconds; correct it"},
    {PRICES "  {}",
     "spec.prices: is required; add it: Prices of a million tokens. For a request counts the row "
     "with the closest model (a whole name before a namespace before the star) and, among those, "
     "the latest effectiveFrom that is not after its admission."},
    {PRICES "  prices: [{input: \"1\", output: \"1\"}]",
     "spec.prices[0].model: is required; add it: Which models: namespace/name, namespace/* or *."},
    {PRICES "  prices: [{model: brook, input: \"1\", output: \"1\"}]",
     "spec.prices[0].model: \"brook\" is not namespace/name, namespace/* or *; correct it"},
    {PRICES "  prices: [{model: \"*\", input: \"1\"}]",
     "spec.prices[0].output: is required; add it: Price of a million output tokens."},
    {PRICES "  prices: [{model: \"*\", input: \"1000000.1\", output: \"1\"}]",
     "spec.prices[0].input: \"1000000.1\" is not a price; write dollars from \"0\" to \"1000000\" "
     "with at most 9 decimals, such as \"0.55\""},
    {PRICES "  prices: [{model: \"*\", input: \"1\", output: \"0.0123456789\"}]",
     "spec.prices[0].output: \"0.0123456789\" is not a price; write dollars from \"0\" to "
     "\"1000000\" with at most 9 decimals, such as \"0.55\""},
    {PRICES "  prices: [{model: \"*\", input: \"1\", output: \"1\", cached: \"1\"}]",
     "spec.prices[0].cached: unknown field; remove it, or use one of model, effectiveFrom, input, "
     "cachedInput, output, reasoning"},
    {PRICES "  prices: [{model: \"*\", input: \"1\", output: \"1\", effectiveFrom: "
            "\"2026-02-30T00:00:00Z\"}]",
     "spec.prices[0].effectiveFrom: \"2026-02-30T00:00:00Z\" is not a time; write it as "
     "2026-11-22T15:04:05Z"},
    {PRICES "  prices: [{model: \"*\", input: \"1\", output: \"1\", effectiveFrom: "
            "\"1969-12-31T23:59:59Z\"}]",
     "spec.prices: an effectiveFrom lies before 1970: leave it out, which means since ever"},
    {PRICES "  prices: [1]",
     "spec.prices[0]: is of type integer; write an object (name: value lines below it)"},
};

/* The first document of the text; fails the test when it is no YAML. */
static json_t *tree_of(const char *text)
{
    json_auto_t *documents = NULL;
    struct err err = {0};

    if (yaml_read(&documents, str_of(text), "test", &err) < 0)
        fail_msg("%s", err_message(&err));
    return json_incref(json_array_get(documents, 0));
}

static void expect_line(const struct broken *broken)
{
    json_auto_t *tree = tree_of(broken->manifest);
    struct crd_object *object = NULL;
    CLEANUP(buf_fini) struct buf faults = {0};
    struct err err = {0};

    buf_init(&faults, CRD_FAULT_BYTES_MAX);
    assert_int_equal(crd_object_read(&object, tree, NULL, &faults, &err), -ERR_INVALID);
    assert_null(object);
    if (!str_is(buf_str(&faults), broken->line))
        fail_msg("of\n%s\nexpected\n%s\nbut got\n%s", broken->manifest, broken->line,
                 buf_cstr(&faults));
}

static void expect_lines(const struct broken *table, size_t count)
{
    assert_true(count >= 10);
    for (size_t i = 0; i < count; i++)
        expect_line(&table[i]);
}

static void broken_metadata_is_explained(void **state)
{
    (void)state;
    expect_lines(of_any_kind, ARRAY_COUNT(of_any_kind));
}

static void broken_models_are_explained(void **state)
{
    (void)state;
    expect_lines(models, ARRAY_COUNT(models));
}

static void broken_routes_are_explained(void **state)
{
    (void)state;
    expect_lines(routes, ARRAY_COUNT(routes));
}

static void broken_tenants_are_explained(void **state)
{
    (void)state;
    expect_lines(tenants, ARRAY_COUNT(tenants));
}

static void broken_price_books_are_explained(void **state)
{
    (void)state;
    expect_lines(price_books, ARRAY_COUNT(price_books));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(broken_metadata_is_explained),
        cmocka_unit_test(broken_models_are_explained),
        cmocka_unit_test(broken_routes_are_explained),
        cmocka_unit_test(broken_tenants_are_explained),
        cmocka_unit_test(broken_price_books_are_explained),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
