/* SPDX-License-Identifier: Apache-2.0 */
/* The loader of transform plugins. A shared object runs code the moment it is opened, so who could have written it is asked
 * before; gri_transforms_add asks everything about its one symbol. */
#include "transform_plugins.h"

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
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

/* Who may rename a folder on the way could put another in its place. `real`: absolute, without links; changed and left cut. In a
 * sticky folder, such as /tmp, names are their owners' alone. */
static enum gri_status check_way(char *real, struct gri_error *error) {
    struct stat info;
    for (char *slash; (slash = strrchr(real, '/')) != NULL;) {
        slash[slash == real ? 1 : 0] = '\0';
        if (stat(real, &info) != 0) return gri_fail(error, GRI_R_config, "%s: %s", real, strerror(errno));
        if (info.st_mode & S_ISVTX) info.st_mode &= ~(mode_t)(S_IWGRP | S_IWOTH);
        if (check_owner(real, &info, error) != GRI_OK) return error->status;
        if (slash == real) break;
    }
    return GRI_OK;
}

static enum gri_status check_folder(const char *folder, struct gri_error *error) {
    struct stat info;
    if (stat(folder, &info) != 0 || !S_ISDIR(info.st_mode))
        return gri_fail(error, GRI_R_config, "plugins.dir %s is no folder that can be read", folder);
    if (check_owner(folder, &info, error) != GRI_OK) return error->status;
    char *real = realpath(folder, NULL);
    if (!real) return gri_fail(error, GRI_R_config, "plugins.dir %s: %s", folder, strerror(errno));
    enum gri_status status = check_way(real, error);
    free(real);
    return status;
}

static enum gri_status open_object(struct gri_transforms *transforms, const char *path, struct gri_error *error) {
    void *object = dlopen(path, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
    if (!object) return gri_fail(error, GRI_R_config, "plugin does not load: %s", dlerror());
    const struct gri_transform *transform = dlsym(object, GRI_TRANSFORM_SYMBOL);
    if (!transform) return gri_fail(error, GRI_R_config, "%s: has no symbol " GRI_TRANSFORM_SYMBOL, path);
    /* ABI number and size are its first eight bytes, in every version: they are asked before anything behind them. */
    return gri_transforms_add(transforms, transform, path, error);
}

/* A file that others may change ends the start; one that is no fit plugin is left out and told. */
static enum gri_status load_file(struct gri_transforms *transforms, const char *path, struct gri_error *error) {
    struct stat info;
    if (lstat(path, &info) != 0) return gri_fail(error, GRI_R_config, "%s: %s", path, strerror(errno));
    if (!S_ISREG(info.st_mode)) return gri_fail(error, GRI_R_config, "%s: is no regular file (links are not followed)", path);
    if (check_owner(path, &info, error) != GRI_OK) return error->status;
    struct gri_error unfit;
    if (open_object(transforms, path, &unfit) != GRI_OK) gri_transforms_refuse(transforms, unfit.detail);
    return GRI_OK;
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
    if (check_folder(folder, error) != GRI_OK) return error->status;
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
