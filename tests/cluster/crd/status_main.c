/* SPDX-License-Identifier: Apache-2.0 */
/*
 * spate-crd-statuses: a status of each kind that has one, with every field, as the operator writes
 * it: one JSON line each.
 *
 *     {"resource": "modeldeployments", "status": {...}}
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "crd/model_deployment.h"
#include "crd/model_route.h"
#include "crd/tenant.h"

enum { CONDITIONS = 2 };

static void fill_conditions(struct crd_condition out[CONDITIONS])
{
    out[0] = (struct crd_condition){.type = STR("Ready"),
                                    .status = CRD_TRUE,
                                    .reason = STR("Ready"),
                                    .message = STR("1 of 1 replicas are ready"),
                                    .last_transition_ms = 1795000000123,
                                    .observed_generation = 7};
    out[1] = (struct crd_condition){.type = STR("WeightsReachable"),
                                    .status = CRD_UNKNOWN,
                                    .reason = STR("Checking"),
                                    .last_transition_ms = 1795000000000,
                                    .observed_generation = 7};
}

static json_t *model_status(void)
{
    struct crd_condition conditions[CONDITIONS];
    struct crd_decision decision = {1795000000123, 0, 2, STR("LoadRose"), STR("8 queued")};
    struct crd_pod pod = {STR("brook-0123456789-4"), STR("f125f0c7-c276-478b-b744-aa24f064fca6"),
                          CRD_POD_DRAINING,          STR("10.77.1.4:8000"),
                          STR("reclaimed"),          4,
                          STR("0123456789"),         1795000000123};
    struct crd_pending_create pending = {STR("brook-0123456789-5"), 5, STR("0123456789")};
    struct crd_capacity capacity = {CRD_CAPACITY_ON_DEMAND, 1, 0};
    struct crd_model_status status = {
        .observed_generation = 7,
        .replicas = 1,
        .desired_replicas = 2,
        .selector = STR(CRD_POD_MODEL_LABEL "=brook"),
        .phase_counts = {[CRD_POD_DRAINING] = 1},
        .capacities = &capacity,
        .capacity_count = 1,
        .conditions = conditions,
        .condition_count = CONDITIONS,
        .decisions = &decision,
        .decision_count = 1,
        .cold_start_last_ms = 210,
        .cold_start_median_ms = 200,
        .cold_start_p90_ms = 230,
        .pods = &pod,
        .pod_count = 1,
        .pending_creates = &pending,
        .pending_create_count = 1,
        .next_ordinal = 6,
    };
    json_t *tree = NULL;

    fill_conditions(conditions);
    return crd_model_status_write(&status, &tree, NULL) == 0 ? tree : NULL;
}

static json_t *route_status(void)
{
    struct crd_condition conditions[CONDITIONS];
    struct crd_route_status status = {
        .observed_generation = 7,
        .targets = STR("present=9,next=1"),
        .fallbacks = STR("next,team-b/other"),
        .conditions = conditions,
        .condition_count = CONDITIONS,
    };
    json_t *tree = NULL;

    fill_conditions(conditions);
    return crd_route_status_write(&status, &tree, NULL) == 0 ? tree : NULL;
}

static json_t *book_status(void)
{
    struct crd_condition conditions[CONDITIONS];
    struct crd_price_book_status status = {
        .observed_generation = 7,
        .version = 1795000000,
        .digest = STR("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
        .posted_version = 1795000000,
        .conditions = conditions,
        .condition_count = CONDITIONS,
    };
    json_t *tree = NULL;

    fill_conditions(conditions);
    return crd_price_book_status_write(&status, &tree, NULL) == 0 ? tree : NULL;
}

static json_t *tenant_status(void)
{
    struct crd_condition conditions[CONDITIONS];
    struct crd_tenant_status status = {
        .observed_generation = 7,
        .conditions = conditions,
        .condition_count = CONDITIONS,
    };
    json_t *tree = NULL;

    fill_conditions(conditions);
    return crd_tenant_status_write(&status, &tree, NULL) == 0 ? tree : NULL;
}

/* Takes the status over. */
static void print(const char *resource, json_t *status)
{
    json_auto_t *line = json_pack("{s:s, s:o}", "resource", resource, "status", status);

    if (line == NULL || json_dumpf(line, stdout, JSON_COMPACT) < 0)
        abort();
    printf("\n");
}

int main(void)
{
    print("modeldeployments", model_status());
    print("modelroutes", route_status());
    print("tenants", tenant_status());
    print("pricebooks", book_status());
    return fflush(stdout) == 0 ? 0 : 1;
}
