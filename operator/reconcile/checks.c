/* SPDX-License-Identifier: Apache-2.0 */
/* Conditions that say why: who owns the short name, and whether the weights can be read. */
#include "operator/reconcile/pass.h"

#include <string.h>

#include "operator/common/must.h"

/* --- the short name --------------------------------------------------------------------------- */

void pass_name(struct pass *p)
{
    struct world_model *m = p->m;
    const struct crd_object *owner = world_claim_owner(&p->r->world, m->claimed_name);
    bool accepted = owner == m->object;

    if (accepted != m->name_accepted) {
        m->name_accepted = accepted;
        routes_mark_dirty(p->r);
    }
    if (accepted)
        pass_condition(p, "NameAccepted", CRD_TRUE, "Accepted", "served as %s and as %s", m->key,
                       m->claimed_name);
    else
        pass_condition(
            p, "NameAccepted", CRD_FALSE, "NameTaken",
            "the name %s belongs to the %s %s/%s, which is older; this model is served as %s only: "
            "choose another spec.model.name",
            m->claimed_name != NULL ? m->claimed_name : m->object->name,
            owner != NULL ? owner->kind->kind : "model", owner != NULL ? owner->name_space : "?",
            owner != NULL ? owner->name : "?", m->key);
}

/* --- the weights ------------------------------------------------------------------------------ */

static void ask(struct pass *p)
{
    struct world_weights *weights = &p->m->weights;

    if (weights->uri == NULL || !str_is(p->spec->uri, weights->uri)) {
        must_replace(&weights->uri, p->spec->uri);
        weights->known = false;
    }
    weights->ticket = reconciler_call(p->r, CALL_WEIGHTS, p->m->key, STR_NONE);
    p->r->platform->ops->weights_check(p->r->platform, weights->ticket, p->spec->uri);
}

/* What a leader before us found out of the same spec; NULL: nothing. */
static const struct crd_condition *said_before(const struct pass *p)
{
    for (int i = 0; i < p->seen->condition_count; i++) {
        const struct crd_condition *said = &p->seen->conditions[i];

        if (str_is(said->type, "WeightsReachable") && said->status != CRD_UNKNOWN &&
            said->observed_generation == p->m->object->generation)
            return said;
    }
    return NULL;
}

static void not_known_yet(struct pass *p)
{
    const struct crd_condition *said = said_before(p);

    if (said == NULL) {
        pass_condition(p, "WeightsReachable", CRD_UNKNOWN, "Checking", "not checked yet");
        return;
    }
    p->weights_ok = said->status == CRD_TRUE;
    p->next.conditions[p->next.condition_count++] = *said;
}

/* Asks once for each uri, and again while they are not there. */
void pass_weights(struct pass *p)
{
    struct world_weights *weights = &p->m->weights;
    bool same = weights->uri != NULL && str_is(p->spec->uri, weights->uri);

    if (!same || (!weights->known && weights->ticket == 0)) {
        ask(p);
    } else if (weights->known && weights->code < 0 && weights->ticket == 0) {
        if (p->now_ms - weights->checked_ms >= PASS_WEIGHTS_AGAIN_MS)
            ask(p);
        else
            pass_requeue(p, weights->checked_ms + PASS_WEIGHTS_AGAIN_MS);
    }
    if (!weights->known) {
        not_known_yet(p);
    } else if (weights->code < 0) {
        pass_condition(p, "WeightsReachable", CRD_FALSE, "NotReachable", "%s", weights->message);
    } else {
        p->weights_ok = true;
        pass_condition(p, "WeightsReachable", CRD_TRUE, "Reachable", "the weights can be read");
    }
}
