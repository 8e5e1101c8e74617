/* SPDX-License-Identifier: Apache-2.0 */
/* The error object: see err.h. Messages are always one line: control characters become spaces. */
#include "base/err.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

struct err_fact {
    const char *name;
    const char *meaning;
    const char *cure;
    enum err_class class;
};

static const struct err_fact facts[ERR_CODE_COUNT] = {
    [ERR_OK] = {"ok", "no error", "none needed", ERR_CLASS_TERMINAL},
#define ERR_CODE_FACT(code, name_, class_, meaning_, cure_) \
    [code] = {.name = name_, .class = class_, .meaning = meaning_, .cure = cure_},
    ERR_CODES(ERR_CODE_FACT)
#undef ERR_CODE_FACT
};

static const struct err_fact *fact_of(int code)
{
    int positive = code < 0 ? -code : code;

    if (positive >= ERR_CODE_COUNT)
        positive = ERR_INTERNAL;
    return &facts[positive];
}

/* Marks a cut message with dots and keeps it on one line, whatever came in with the arguments. */
static void finish_message(struct err *err, int wanted_length)
{
    if (wanted_length >= ERR_MESSAGE_MAX)
        memcpy(err->message + ERR_MESSAGE_MAX - 4, "...", 4);
    for (char *c = err->message; *c != '\0'; c++) {
        if ((unsigned char)*c < 0x20 || *c == 0x7f)
            *c = ' ';
    }
}

int err_setv(struct err *err, enum err_code code, const char *format, va_list args)
{
    int length;

    if (err == NULL)
        return -(int)code;
    err->code = code;
    length = vsnprintf(err->message, sizeof(err->message), format, args);
    finish_message(err, length);
    return -(int)code;
}

int err_set(struct err *err, enum err_code code, const char *format, ...)
{
    va_list args;
    int r;

    va_start(args, format);
    r = err_setv(err, code, format, args);
    va_end(args);
    return r;
}

static enum err_code code_of_errno(int errnum)
{
    switch (errnum) {
    case ENOENT:
    case ESRCH:
        return ERR_NOT_FOUND;
    case EEXIST:
        return ERR_EXISTS;
    case EACCES:
    case EPERM:
    case EROFS:
        return ERR_DENIED;
    case ENOSPC:
    case EDQUOT:
        return ERR_NO_SPACE;
    case ENOMEM:
        return ERR_NO_MEMORY;
    case ETIMEDOUT:
        return ERR_TIMEOUT;
    case ECONNREFUSED:
    case ECONNRESET:
    case EPIPE:
    case EHOSTUNREACH:
    case ENETUNREACH:
        return ERR_NETWORK;
    default:
        return ERR_IO;
    }
}

int err_errno(struct err *err, int errnum, const char *format, ...)
{
    enum err_code code = code_of_errno(errnum);
    char reason[128];
    va_list args;
    size_t used;
    int length;

    if (err == NULL)
        return -(int)code;
    va_start(args, format);
    (void)err_setv(err, code, format, args);
    va_end(args);
    used = strlen(err->message);
    length = snprintf(err->message + used, sizeof(err->message) - used, ": %s",
                      strerror_r(errnum, reason, sizeof(reason)));
    finish_message(err, (int)used + length);
    return -(int)code;
}

int err_wrap(struct err *err, int result, const char *format, ...)
{
    char inner[ERR_MESSAGE_MAX];
    va_list args;
    size_t used;
    int length;

    if (err == NULL)
        return result;
    memcpy(inner, err->message, sizeof(inner));
    va_start(args, format);
    length = vsnprintf(err->message, sizeof(err->message), format, args);
    va_end(args);
    finish_message(err, length);
    used = strlen(err->message);
    length = snprintf(err->message + used, sizeof(err->message) - used, ": %s", inner);
    finish_message(err, (int)used + length);
    return result;
}

int err_no_memory(struct err *err)
{
    if (err != NULL) {
        err->code = ERR_NO_MEMORY;
        memcpy(err->message, "out of memory", sizeof("out of memory"));
    }
    return -(int)ERR_NO_MEMORY;
}

const char *err_message(const struct err *err)
{
    if (err == NULL || err->code == ERR_OK)
        return "unknown error";
    return err->message;
}

const char *err_code_name(int code)
{
    return fact_of(code)->name;
}

const char *err_code_meaning(int code)
{
    return fact_of(code)->meaning;
}

const char *err_code_cure(int code)
{
    return fact_of(code)->cure;
}

enum err_class err_class_of(int code)
{
    return fact_of(code)->class;
}
