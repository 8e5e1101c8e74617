/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One error shape for the whole of Spate.
 *
 * A function that can fail returns 0 (or a count >= 0) on success and a negative `enum err_code` on
 * failure, and takes `struct err *err` as its last parameter (NULL is allowed: then only the number
 * is reported). The text lives inside the struct, so making an error never allocates. Outputs stay
 * untouched on failure. Library code never logs an error that it returns: the top logs it, once.
 */
#ifndef SPATE_BASE_ERR_H
#define SPATE_BASE_ERR_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

/* What the caller may do about it. Reconcile and drain decide on this, never on the text. */
enum err_class {
    ERR_CLASS_TERMINAL,  /* the same call will fail again */
    ERR_CLASS_RETRYABLE, /* worth another try later */
    ERR_CLASS_CONFLICT,  /* read again, then try again */
    ERR_CLASS_NOT_FOUND, /* the thing is not there; often as good as success */
};

/*
 * Every machine-readable code: X(enum name, string shown to people and machines, class, meaning,
 * cure). The reference page of error codes is generated from this table.
 */
#define ERR_CODES(X)                                                                             \
    X(ERR_NO_MEMORY, "no_memory", ERR_CLASS_RETRYABLE, "an allocation failed",                   \
      "give the process more memory or lower its limits")                                        \
    X(ERR_INVALID, "invalid", ERR_CLASS_TERMINAL, "an argument or a value is not acceptable",    \
      "correct the value that the message names")                                                \
    X(ERR_SYNTAX, "syntax", ERR_CLASS_TERMINAL, "the input is not well-formed",                  \
      "correct the input at the place that the message names")                                   \
    X(ERR_LIMIT, "limit", ERR_CLASS_TERMINAL, "a named limit was exceeded",                      \
      "make the input smaller or raise the limit that the message names")                        \
    X(ERR_UNSUPPORTED, "unsupported", ERR_CLASS_TERMINAL, "known, but not done by this version", \
      "leave the named feature out")                                                             \
    X(ERR_NOT_FOUND, "not_found", ERR_CLASS_NOT_FOUND, "the named thing does not exist",         \
      "check the name; list what exists with `spate get`")                                       \
    X(ERR_EXISTS, "already_exists", ERR_CLASS_CONFLICT, "the named thing exists already",        \
      "choose another name, or delete the existing one first")                                   \
    X(ERR_CONFLICT, "conflict", ERR_CLASS_CONFLICT, "the object was changed meanwhile",          \
      "read it again and repeat the change")                                                     \
    X(ERR_DENIED, "denied", ERR_CLASS_TERMINAL, "the caller may not do this",                    \
      "use credentials that may, or ask the owner")                                              \
    X(ERR_IO, "io", ERR_CLASS_RETRYABLE, "the operating system reported an error",               \
      "see the reason in the message")                                                           \
    X(ERR_NO_SPACE, "no_space", ERR_CLASS_RETRYABLE, "the disk is full",                         \
      "free some space; nothing was lost")                                                       \
    X(ERR_CORRUPT, "corrupt", ERR_CLASS_TERMINAL, "stored data does not match its checksum",     \
      "keep the file for inspection and restore it from its source")                             \
    X(ERR_NETWORK, "network", ERR_CLASS_RETRYABLE, "a connection failed or broke",               \
      "check that the peer runs and can be reached")                                             \
    X(ERR_TIMEOUT, "timeout", ERR_CLASS_RETRYABLE, "no answer came in time",                     \
      "try again; check that the peer is alive")                                                 \
    X(ERR_BUSY, "busy", ERR_CLASS_RETRYABLE, "no capacity at the moment", "try again later")     \
    X(ERR_CANCELLED, "cancelled", ERR_CLASS_TERMINAL, "the caller cancelled it", "none needed")  \
    X(ERR_PROTOCOL, "protocol", ERR_CLASS_RETRYABLE, "the peer broke the protocol",              \
      "check that both sides run matching versions of Spate")                                    \
    X(ERR_INTERNAL, "internal", ERR_CLASS_TERMINAL, "a fault in Spate itself",                   \
      "please report it with the log")

enum err_code {
    ERR_OK = 0,
#define ERR_CODE_ENUM(name, text, class, meaning, cure) name,
    ERR_CODES(ERR_CODE_ENUM)
#undef ERR_CODE_ENUM
        ERR_CODE_COUNT
};

enum { ERR_MESSAGE_MAX = 512 };

struct err {
    enum err_code code;
    char message[ERR_MESSAGE_MAX]; /* one line, NUL-terminated, cut with "..." when too long */
};

/* Records an error and returns -code, so that a failing branch is one line. */
int err_set(struct err *err, enum err_code code, const char *format, ...)
    __attribute__((format(printf, 3, 4), nonnull(3)));
int err_setv(struct err *err, enum err_code code, const char *format, va_list args)
    __attribute__((format(printf, 3, 0), nonnull(3)));

/* The same for a failed system call: appends ": " and the text of `errnum`, and picks the code from
 * it (ENOENT -> ERR_NOT_FOUND, ENOSPC -> ERR_NO_SPACE, EACCES -> ERR_DENIED ... else ERR_IO). */
int err_errno(struct err *err, int errnum, const char *format, ...)
    __attribute__((format(printf, 3, 4), nonnull(3)));

/* Puts "context: " before the message that is there and returns `result` unchanged. */
int err_wrap(struct err *err, int result, const char *format, ...)
    __attribute__((format(printf, 3, 4), nonnull(3)));

/* An allocation failed: a constant message, no formatting. Returns -ERR_NO_MEMORY. */
int err_no_memory(struct err *err);

/* What `err` says, for a log line or a person; "unknown error" where nothing was recorded. */
const char *err_message(const struct err *err);

/* Facts about a code; `code` may be given as the negative result. Never fail. */
const char *err_code_name(int code);
const char *err_code_meaning(int code);
const char *err_code_cure(int code);
enum err_class err_class_of(int code);

#endif
