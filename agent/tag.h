/* SPDX-License-Identifier: Apache-2.0 */
/* The identity of an attempt as the engine's opaque tag: 16 bytes of request id, 4 of the attempt's
 * number (little-endian), 4 of zero. A zero attempt is a request that nobody is billed for. */
#ifndef SPATE_AGENT_TAG_H
#define SPATE_AGENT_TAG_H

#include <string.h>

#include "base/id.h"
#include "engine/engine.h"

static inline struct engine_tag tag_make(struct id128 request_id, uint32_t attempt)
{
    struct engine_tag tag = {{0}};

    memcpy(tag.bytes, request_id.bytes, sizeof(request_id.bytes));
    for (int i = 0; i < 4; i++)
        tag.bytes[16 + i] = (uint8_t)(attempt >> (8 * i));
    return tag;
}

static inline void tag_read(const struct engine_tag *tag, struct id128 *request_id,
                            uint32_t *attempt)
{
    memcpy(request_id->bytes, tag->bytes, sizeof(request_id->bytes));
    *attempt = 0;
    for (int i = 0; i < 4; i++)
        *attempt |= (uint32_t)tag->bytes[16 + i] << (8 * i);
}

#endif
