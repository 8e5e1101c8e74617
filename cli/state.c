/* SPDX-License-Identifier: Apache-2.0 */
/* Folders and small files of an installation: see state.h. */
#include "cli/state.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"

enum { SMALL_FILE_MAX = 64 * 1024, PATH_BYTES_MAX = 4096, TREE_LEVELS_MAX = 4 };

/* "folder/name", or the error. */
static int join(char **out, const char *folder, const char *name, struct err *err)
{
    char *path = path_join(folder, name);

    if (path == NULL)
        return err_no_memory(err);
    *out = path;
    return 0;
}

/* $own if it is set, else $xdg/spate, else $HOME/below_home/spate. */
static int folder_from_environment(char **out, const char *own, const char *xdg,
                                   const char *below_home, struct err *err)
{
    const char *value = getenv(own);
    const char *home = getenv("HOME");
    CLEANUP(mem_freep) char *base = NULL;
    int r;

    if (value != NULL && value[0] != '\0') {
        *out = mem_strdup(value);
        return *out == NULL ? err_no_memory(err) : 0;
    }
    value = getenv(xdg);
    if (value != NULL && value[0] == '/')
        return join(out, value, "spate", err);
    if (home == NULL || home[0] != '/')
        return err_set(err, ERR_INVALID, "HOME is not set; set it, or %s", own);
    r = join(&base, home, below_home, err);
    return r < 0 ? r : join(out, base, "spate", err);
}

int state_folder(char **out, const char *option, struct err *err)
{
    CLEANUP(mem_freep) char *folder = NULL;
    char here[PATH_BYTES_MAX];
    int r = 0;

    if (option != NULL)
        folder = mem_strdup(option);
    else
        r = folder_from_environment(&folder, "SPATE_STATE", "XDG_STATE_HOME", ".local/state", err);
    if (r < 0)
        return r;
    if (folder == NULL)
        return err_no_memory(err);
    if (folder[0] == '/') {
        *out = STEAL(folder);
        return 0;
    }
    /* Child processes must find it too, wherever they run. */
    if (getcwd(here, sizeof(here)) == NULL)
        return err_set(err, ERR_IO, "the current folder cannot be read; use an absolute --state");
    return join(out, here, folder, err);
}

int state_cache_folder(char **out, struct err *err)
{
    return folder_from_environment(out, "SPATE_CACHE", "XDG_CACHE_HOME", ".cache", err);
}

int state_binary_folder(char **out, struct err *err)
{
    char path[PATH_BYTES_MAX];
    ssize_t length = readlink("/proc/self/exe", path, sizeof(path) - 1);
    char *slash;

    if (length <= 0)
        return err_set(err, ERR_IO, "the path of this program cannot be read from /proc");
    path[length] = '\0';
    slash = strrchr(path, '/');
    if (slash == NULL)
        return err_set(err, ERR_IO, "the path of this program is not absolute: %s", path);
    *slash = '\0';
    *out = mem_strdup(path);
    return *out == NULL ? err_no_memory(err) : 0;
}

int state_binary(char **out, const char *name, struct err *err)
{
    CLEANUP(mem_freep) char *folder = NULL;
    CLEANUP(mem_freep) char *path = NULL;
    int r = state_binary_folder(&folder, err);

    if (r == 0)
        r = join(&path, folder, name, err);
    if (r < 0)
        return r;
    if (access(path, X_OK) != 0)
        return err_set(err, ERR_NOT_FOUND,
                       "%s is missing: the programs of Spate stand in one folder; build or install "
                       "all of them",
                       path);
    *out = STEAL(path);
    return 0;
}

/* folder/name/config.json tells a model. */
static bool is_model(const char *folder)
{
    CLEANUP(mem_freep) char *config = path_join(folder, "config.json");

    return config != NULL && file_exists(config);
}

static int try_model(char **out, const char *root, const char *below, const char *name,
                     struct err *err)
{
    CLEANUP(mem_freep) char *folder = NULL;
    CLEANUP(mem_freep) char *model = NULL;
    int r = join(&folder, root, below, err);

    if (r == 0)
        r = join(&model, folder, name, err);
    if (r < 0)
        return r;
    if (!is_model(model))
        return -ERR_NOT_FOUND;
    *out = STEAL(model);
    return 0;
}

int state_shipped_model(char **out, const char *name, struct err *err)
{
    const char *share = getenv("SPATE_SHARE");
    CLEANUP(mem_freep) char *root = NULL;
    int r = state_binary_folder(&root, err);

    if (r < 0)
        return r;
    if (share != NULL && share[0] == '/' && try_model(out, share, "models", name, err) == 0)
        return 0;
    for (int level = 0; level < TREE_LEVELS_MAX; level++) {
        char *slash = strrchr(root, '/');

        if (slash == NULL)
            break;
        *slash = '\0';
        if (try_model(out, root, "share/spate/models", name, err) == 0 ||
            try_model(out, root, "models", name, err) == 0)
            return 0;
    }
    return err_set(err, ERR_NOT_FOUND,
                   "the shipped model %s was not found beside this program; set SPATE_SHARE to the "
                   "folder that holds models/%s",
                   name, name);
}

int state_read_line(char **out, const char *folder, const char *name, struct err *err)
{
    CLEANUP(buf_fini) struct buf text = {0};
    CLEANUP(mem_freep) char *path = NULL;
    struct str line;
    int r = join(&path, folder, name, err);

    buf_init(&text, SMALL_FILE_MAX);
    if (r == 0)
        r = file_read(path, &text, err);
    if (r < 0)
        return r;
    line = str_trim(buf_str(&text));
    if (line.len == 0)
        return err_set(err, ERR_INVALID, "%s is empty; remove it and run `spate up` again", path);
    *out = mem_strndup(line.ptr, line.len);
    return *out == NULL ? err_no_memory(err) : 0;
}

void state_endpoints_fini(struct state_endpoints *endpoints)
{
    mem_free(endpoints->operator_url);
    mem_free(endpoints->gateway_url);
    mem_free(endpoints->ledger_url);
    *endpoints = (struct state_endpoints){0};
}

static int read_url(char **out, const json_t *tree, const char *key, bool required, struct err *err)
{
    struct str url = STR_NONE;
    int r = json_get_str(tree, key, required, &url, err);

    if (r == -ERR_NOT_FOUND && !required)
        return 0;
    if (r < 0)
        return r;
    *out = mem_strndup(url.ptr, url.len);
    return *out == NULL ? err_no_memory(err) : 0;
}

int state_endpoints_read(struct state_endpoints *out, const char *folder, struct err *err)
{
    CLEANUP(state_endpoints_fini) struct state_endpoints endpoints = {0};
    CLEANUP(buf_fini) struct buf text = {0};
    CLEANUP(mem_freep) char *path = NULL;
    json_auto_t *tree = NULL;
    int r = join(&path, folder, STATE_ENDPOINTS, err);

    buf_init(&text, SMALL_FILE_MAX);
    if (r < 0)
        return r;
    r = file_read(path, &text, err);
    if (r == -ERR_NOT_FOUND)
        return err_set(err, ERR_NOT_FOUND,
                       "nothing runs from %s: start Spate with `spate up`, or name its folder with "
                       "--state",
                       folder);
    if (r == 0)
        r = json_read(&tree, buf_str(&text), &json_limits_default, path, err);
    if (r == 0)
        r = read_url(&endpoints.operator_url, tree, "operator", true, err);
    if (r == 0)
        r = read_url(&endpoints.gateway_url, tree, "gateway", false, err);
    if (r == 0)
        r = read_url(&endpoints.ledger_url, tree, "ledger", false, err);
    if (r < 0)
        return err_wrap(err, r, "%s", path);
    *out = endpoints;
    endpoints = (struct state_endpoints){0};
    return 0;
}

int state_endpoints_write(const struct state_endpoints *endpoints, const char *folder,
                          struct err *err)
{
    CLEANUP(buf_fini) struct buf text = {0};
    CLEANUP(mem_freep) char *path = NULL;
    struct json_writer w;
    int r = join(&path, folder, STATE_ENDPOINTS, err);

    if (r < 0)
        return r;
    buf_init(&text, SMALL_FILE_MAX);
    json_writer_init(&w, &text);
    json_open(&w, '{');
    json_put_text(&w, "operator", endpoints->operator_url);
    if (endpoints->gateway_url != NULL)
        json_put_text(&w, "gateway", endpoints->gateway_url);
    if (endpoints->ledger_url != NULL)
        json_put_text(&w, "ledger", endpoints->ledger_url);
    json_close(&w, '}');
    buf_append_char(&text, '\n');
    r = buf_check(&text, path, err);
    return r < 0 ? r : file_write_atomic(path, buf_str(&text), 0600, err);
}
