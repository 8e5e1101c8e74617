/* SPDX-License-Identifier: Apache-2.0 */
/* cmocka wants these four headers before its own; every test includes this one instead. */
#ifndef SPATE_TESTS_CMOCKA_PLAIN_H
#define SPATE_TESTS_CMOCKA_PLAIN_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#endif
