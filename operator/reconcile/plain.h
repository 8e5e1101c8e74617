/* SPDX-License-Identifier: Apache-2.0 */
/* Texts of ours that hold texts of others, as a status or an event may hold them. */
#ifndef SPATE_OPERATOR_PLAIN_H
#define SPATE_OPERATOR_PLAIN_H

/* In place: what is not UTF-8 (as the end of a text that was cut), or is not seen, becomes '?'. So
 * kubectl shows what is there, and an API server takes it. */
void plain_make(char *text);

#endif
