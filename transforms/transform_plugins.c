/* SPDX-License-Identifier: Apache-2.0 */
/* The loader of transform plugins. A shared object runs code the moment it is opened, so who could have written it is asked
 * before, and everything about its one symbol is asked before it is used. */
#include "transform_plugins.h"

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <link.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Refuses what somebody other than root and ourselves could change. */
static enum gri_status check_owner(const char *path, const struct stat *info, struct gri_error *error) {
    if (info->st_uid != 0 && info->st_uid != geteuid())
        return gri_fail(error, GRI_R_config, "%s: belongs to user %u; plugins must belong to root or to the user that runs this",
                        path, (unsigned)info->st_uid);
    if (info->st_mode & (S_IWGRP | S_IWOTH))
        return gri_fail(error, GRI_R_config, "%s: may be written by others; chmod go-w it", path);
    return GRI_OK;
}

/* The symbol, if the object has it and it is as large as the struct. */
static enum gri_status find_symbol(void *object, const char *path, const struct gri_transform **transform,
                                   struct gri_error *error) {
    const void *symbol = dlsym(object, GRI_TRANSFORM_SYMBOL);
    if (!symbol) return gri_fail(error, GRI_R_config, "%s: has no symbol " GRI_TRANSFORM_SYMBOL, path);
    Dl_info where;
    void *extra = NULL;
    int found = dladdr1(symbol, &where, &extra, RTLD_DL_SYMENT);
    const ElfW(Sym) *entry = extra;
    if (found == 0 || !entry || ELF64_ST_TYPE(entry->st_info) != STT_OBJECT || entry->st_size < sizeof(uint32_t))
        return gri_fail(error, GRI_R_config, "%s: " GRI_TRANSFORM_SYMBOL " is no struct gri_transform", path);
    uint32_t abi = 0;
    memcpy(&abi, symbol, sizeof abi);
    /* Another ABI has another size: say which it is, not that it is short. */
    if (abi == GRI_TRANSFORM_ABI && entry->st_size < sizeof(struct gri_transform))
        return gri_fail(error, GRI_R_config, "%s: " GRI_TRANSFORM_SYMBOL " has %zu bytes, not %zu; rebuild it", path,
                        (size_t)entry->st_size, sizeof(struct gri_transform));
    if (abi != GRI_TRANSFORM_ABI)
        return gri_fail(error, GRI_R_config, "%s: made for transform ABI %u, this is ABI %u; rebuild it against this grisaille",
                        path, abi, GRI_TRANSFORM_ABI);
    *transform = symbol;
    return GRI_OK;
}

static enum gri_status load_file(struct gri_transforms *transforms, const char *path, struct gri_error *error) {
    struct stat info;
    if (lstat(path, &info) != 0) return gri_fail(error, GRI_R_config, "%s: %s", path, strerror(errno));
    if (!S_ISREG(info.st_mode)) return gri_fail(error, GRI_R_config, "%s: is no regular file (links are not followed)", path);
    if (check_owner(path, &info, error) != GRI_OK) return error->status;
    void *object = dlopen(path, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
    if (!object) return gri_fail(error, GRI_R_config, "plugin does not load: %s", dlerror());
    const struct gri_transform *transform = NULL;
    if (find_symbol(object, path, &transform, error) != GRI_OK) return error->status;
    return gri_transforms_add(transforms, transform, path, error);
}

static int is_plugin(const struct dirent *entry) {
    size_t len = strlen(entry->d_name);
    return entry->d_name[0] != '.' && len > 3 && strcmp(entry->d_name + len - 3, ".so") == 0;
}

/* By bytes, whatever the locale: the same order on every machine. */
static int by_name(const struct dirent **a, const struct dirent **b) {
    return strcmp((*a)->d_name, (*b)->d_name);
}

enum gri_status gri_transforms_load_folder(struct gri_transforms *transforms, const char *folder, struct gri_error *error) {
    if (!folder || !*folder) return GRI_OK;
    if (folder[0] != '/') return gri_fail(error, GRI_R_config, "plugins.dir must be an absolute path, not %s", folder);
    struct stat info;
    if (stat(folder, &info) != 0 || !S_ISDIR(info.st_mode))
        return gri_fail(error, GRI_R_config, "plugins.dir %s is no folder that can be read", folder);
    if (check_owner(folder, &info, error) != GRI_OK) return error->status;
    struct dirent **names = NULL;
    int count = scandir(folder, &names, is_plugin, by_name);
    if (count < 0) return gri_fail(error, GRI_R_config, "plugins.dir %s: %s", folder, strerror(errno));
    enum gri_status status = GRI_OK;
    for (int i = 0; i < count; i++) {
        char path[PATH_MAX];
        if (status == GRI_OK && !gri_format(path, sizeof path, "%s/%s", folder, names[i]->d_name))
            status = gri_fail(error, GRI_R_config, "plugins.dir %s: the path of %s is too long", folder, names[i]->d_name);
        else if (status == GRI_OK)
            status = load_file(transforms, path, error);
        free(names[i]);
    }
    free(names);
    return status;
}
