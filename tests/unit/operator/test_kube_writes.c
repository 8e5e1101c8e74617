/* SPDX-License-Identifier: Apache-2.0 */
/* Writes of a leader: each is asked for its leadership again when it is sent. That those of a
 * leader are sent is what the tests on a cluster see. */
#include "cmocka_plain.h"

#include "operator/kube/kube_private.h"

static void one_that_does_not_lead_sends_no_write(void **state)
{
    struct kube kube = {0};
    struct kube_reply reply = kube_write_reply(kube_write_new(&kube, 0));

    (void)state;
    assert_non_null(reply.may_send);
    assert_false(reply.may_send(reply.user));
    kube.epoch = 1; /* elected, but by a lease that is not there any more */
    assert_false(reply.may_send(reply.user));
    kube_writes_cancel(&kube);
    assert_null(kube.writes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_that_does_not_lead_sends_no_write),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
