/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs a fuzz target over files, for builds without libFuzzer: each argument is a file or a folder
 * of files. Prints how many ran; an empty corpus is a failure.
 */
#include <dirent.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/file.h"
#include "base/mem.h"
#include "fuzz_target.h"

enum { REPLAY_FILE_MAX = 64 * 1024 * 1024 };

static int replay_file(const char *path)
{
    CLEANUP(mem_freep) uint8_t *copy = NULL;
    CLEANUP(buf_fini) struct buf content = {0};
    struct err err;

    buf_init(&content, REPLAY_FILE_MAX);
    if (file_read(path, &content, &err) < 0) {
        fprintf(stderr, "replay: %s\n", err.message);
        return -1;
    }
    copy = mem_dup(content.ptr, content.len);
    if (copy == NULL)
        return -1;
    (void)LLVMFuzzerTestOneInput(copy, content.len);
    return 1;
}

static int replay_folder(const char *path)
{
    DIR *folder = opendir(path);
    const struct dirent *entry;
    int count = 0;

    if (folder == NULL) {
        perror(path);
        return -1;
    }
    while ((entry = readdir(folder)) != NULL) {
        CLEANUP(mem_freep) char *file = NULL;

        if (entry->d_name[0] == '.')
            continue;
        file = path_join(path, entry->d_name);
        if (file == NULL || replay_file(file) < 0) {
            closedir(folder);
            return -1;
        }
        count++;
    }
    closedir(folder);
    return count;
}

int main(int argc, char **argv)
{
    int total = 0;

    for (int i = 1; i < argc; i++) {
        struct stat st;
        int count;

        if (stat(argv[i], &st) < 0) {
            perror(argv[i]);
            return 1;
        }
        count = S_ISDIR(st.st_mode) ? replay_folder(argv[i]) : replay_file(argv[i]);
        if (count < 0)
            return 1;
        total += count;
    }
    printf("replayed %d inputs\n", total);
    return total > 0 ? 0 : 1;
}
