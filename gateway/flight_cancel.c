/* SPDX-License-Identifier: Apache-2.0 */
/* An attempt that nobody waits for: its pod is told so. See flight.h. */
#include <stdio.h>

#include "base/mem.h"
#include "gateway/control.h"
#include "gateway/flight.h"
#include "gateway/gateway.h"

void flight_attempt_cancel(struct flight *f)
{
    const char *token = control_token(f->g->control, TOKEN_AUDIENCE_AGENT);
    char authorization[TOKEN_TEXT_MAX + 16];
    struct http_header headers[2];
    char body[STREAM_NAME_MAX];
    struct err err;

    if (f->paused) {
        f->paused = false;
        http_call_resume(f->call);
    }
    if (token == NULL)
        return;
    stream_name_format(body, f->id, f->attempt);
    snprintf(authorization, sizeof(authorization), "Bearer %s", token);
    headers[0] = (struct http_header){STR("authorization"), str_of(authorization)};
    headers[1] = (struct http_header){STR("content-type"), STR("application/json")};
    (void)http_call_start(&(struct http_call *){NULL}, f->g->client,
                          &(struct http_call_options){
                              .address = str_of(f->pod->address),
                              .method = STR("POST"),
                              .target = STR(STREAM_PATH_CANCEL),
                              .headers = headers,
                              .header_count = ARRAY_COUNT(headers),
                              .body = str_of(body),
                              .first_byte_timeout_ms = FLIGHT_CANCEL_MS,
                          },
                          &err); /* the stream's END, or the deadline, says what came of it */
}
