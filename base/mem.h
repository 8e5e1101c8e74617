/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Allocation, in one place, so that tests can make the n-th allocation fail. All of Spate allocates
 * through these; raw malloc is refused by ./dev lint. Thread-safe. Also: cleanup attribute and
 * steal.
 */
#ifndef SPATE_BASE_MEM_H
#define SPATE_BASE_MEM_H

#include <stddef.h>
#include <stdint.h>

/* NULL on failure. Zeroed: every one of them. Sizes are checked for overflow. */
void *mem_alloc(size_t size) __attribute__((warn_unused_result, malloc));
void *mem_array(size_t count, size_t size) __attribute__((warn_unused_result, malloc));

/* Grows or shrinks; the part beyond the old content is NOT zeroed. NULL on failure: `old` stays. */
void *mem_resize(void *old, size_t count, size_t size) __attribute__((warn_unused_result));

/* Copies; the results are NUL-terminated. */
char *mem_strdup(const char *text) __attribute__((warn_unused_result, malloc));
char *mem_strndup(const char *text, size_t length) __attribute__((warn_unused_result, malloc));
void *mem_dup(const void *bytes, size_t size) __attribute__((warn_unused_result, malloc));

/* NULL is allowed. */
void mem_free(void *ptr);

/* Gives freed memory back to the system if there is much of it; takes some milliseconds then. For a
 * program that runs for long and has had a peak. */
void mem_trim(void);
/* Bytes that are allocated at this moment, by whomever in the process. Looks at each arena: for the
 * start of a program. 0 under a sanitizer, whose allocator does not tell. */
size_t mem_in_use(void);

/*
 * Test support: lets `countdown` more allocations pass, fails exactly one, then all pass again.
 * A negative number (the initial state) never fails. mem_fail_seen says whether it has failed.
 */
void mem_fail_after(int64_t countdown);
int mem_fail_seen(void);

/* Ownership in a function: CLEANUP(mem_freep) char *name = NULL; ... *out = STEAL(name); */
#define CLEANUP(function) __attribute__((cleanup(function)))
#define STEAL(pointer)                           \
    __extension__({                              \
        __typeof__(pointer) stolen_ = (pointer); \
        (pointer) = NULL;                        \
        stolen_;                                 \
    })

/* For CLEANUP on any pointer to heap memory. */
void mem_freep(void *pointer_to_pointer);
/* For CLEANUP on a file descriptor; -1 means none. */
void fd_closep(int *fd);

#define ARRAY_COUNT(array) (sizeof(array) / sizeof((array)[0]))

#endif
