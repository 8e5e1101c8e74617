/* SPDX-License-Identifier: Apache-2.0 */
/* See disk.h. */
#include "base/disk.h"

#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

enum { KIB = 1024 };

/* The path itself or the nearest folder above it that is there: "." at last. */
static void existing(const char *path, char out[PATH_MAX], struct stat *found)
{
    snprintf(out, PATH_MAX, "%s", path);
    while (stat(out, found) != 0) {
        char *slash = strrchr(out, '/');

        if (slash == NULL || slash == out) {
            snprintf(out, PATH_MAX, "%s", slash == NULL ? "." : "/");
            if (stat(out, found) != 0)
                *found = (struct stat){0};
            return;
        }
        *slash = '\0';
    }
}

int disk_free_bytes(const char *path, uint64_t *out)
{
    char there[PATH_MAX];
    struct stat found;
    struct statvfs disk;

    existing(path, there, &found);
    if (statvfs(there, &disk) != 0)
        return -ERR_NOT_FOUND;
    *out = (uint64_t)disk.f_bavail * disk.f_frsize;
    return 0;
}

static void append(struct err *err, const char *text)
{
    size_t used = strlen(err->message);

    snprintf(err->message + used, sizeof(err->message) - used, "%s", text);
}

static void explain_owner(struct err *err, const char *path)
{
    char there[PATH_MAX];
    char text[ERR_MESSAGE_MAX];
    struct stat found;

    existing(path, there, &found);
    snprintf(
        text, sizeof(text),
        "; %.200s is user %u's, group %u's, mode %04o, and this is user %u, group %u: let that "
        "user write there, as by chown (on Kubernetes: fsGroup), or name another folder",
        there, (unsigned)found.st_uid, (unsigned)found.st_gid, (unsigned)(found.st_mode & 07777),
        (unsigned)geteuid(), (unsigned)getegid());
    append(err, text);
}

static void explain_room(struct err *err, const char *path, uint64_t needed)
{
    char text[ERR_MESSAGE_MAX];
    char wanted[64] = "";
    uint64_t free_bytes;

    if (disk_free_bytes(path, &free_bytes) < 0)
        return;
    if (needed > 0)
        snprintf(wanted, sizeof(wanted), ", and %" PRIu64 " KiB are needed", needed / KIB);
    snprintf(text, sizeof(text),
             "; %" PRIu64 " KiB are free at %.200s%s: make room, or give it a larger disk",
             free_bytes / KIB, path, wanted);
    append(err, text);
}

int disk_explain(struct err *err, int result, const char *path, uint64_t needed)
{
    if (err == NULL || path == NULL)
        return result;
    if (result == -ERR_DENIED)
        explain_owner(err, path);
    else if (result == -ERR_NO_SPACE || result == -ERR_IO)
        explain_room(err, path, needed);
    return result;
}
