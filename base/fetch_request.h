/* SPDX-License-Identifier: Apache-2.0 */
/* Private to fetch: the request's half of a libcurl handle. */
#ifndef SPATE_BASE_FETCH_REQUEST_H
#define SPATE_BASE_FETCH_REQUEST_H

#include <curl/curl.h>

#include "base/fetch.h"

/* Sets all that the request needs. `*fields` and `body` must live as long as the handle; the caller
 * frees the list, also after a failure. */
int fetch_set_up(CURL *easy, struct curl_slist **fields, const char *body,
                 const struct fetch_options *o, struct err *err);

#endif
