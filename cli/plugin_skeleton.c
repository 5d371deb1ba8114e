/* SPDX-License-Identifier: Apache-2.0 */
/* Writes the files of a new plugin. In their texts @ stands for its name. */
#include "plugin_skeleton.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <grisaille/transform.h>

#include "picture_sample.h"
#include "vips_runtime.h"

static const char source[] =
    "/* @: what it does, in one line. */\n"
    "#include <grisaille/transform.h>\n"
    "#include <vips/vips.h>\n"
    "\n"
    "/* Its parameters: one member each, and a row in the table below. */\n"
    "struct @ {\n"
    "    int strength;\n"
    "};\n"
    "\n"
    "static const struct gri_transform_param params[] = {\n"
    "    {.name = \"strength\",\n"
    "     .help = \"percent; 0 leaves the picture\",\n"
    "     .type = GRI_PARAM_INT,\n"
    "     .offset = offsetof(struct @, strength),\n"
    "     .standard = 100,\n"
    "     .minimum = 0,\n"
    "     .maximum = 100},\n"
    "};\n"
    "\n"
    "/* `in`: 8-bit, one band (gray) or three (sRGB). *out: the same, a new reference. It runs on many threads at once. */\n"
    "static bool apply(const void *values, VipsImage *in, VipsImage **out, struct gri_transform_error *error) {\n"
    "    const struct @ *p = values;\n"
    "    double part = p->strength / 100.0;\n"
    "    /* light becomes dark: tone × (1 − 2 part) + 255 part */\n"
    "    if (vips_linear1(in, out, 1 - 2 * part, 255 * part, \"uchar\", TRUE, NULL))\n"
    "        return gri_transform_fail(error, \"the tones could not be changed\");\n"
    "    return true;\n"
    "}\n"
    "\n"
    "GRI_TRANSFORM_EXPORT extern const struct gri_transform gri_transform_plugin;\n"
    "const struct gri_transform gri_transform_plugin = {\n"
    "    GRI_TRANSFORM_LAYOUT,\n"
    "    .name = \"@\",\n"
    "    .summary = \"what it does, in one line\",\n"
    "    GRI_TRANSFORM_PARAMS(params, struct @),\n"
    "    .apply = apply,\n"
    "};\n";

static const char makefile[] =
    "# make: builds plugins/@.so. make test: tries it. make install: puts it where grisaille.pc says that plugins belong.\n"
    "GRISAILLE ?= grisaille\n"
    "CFLAGS ?= -O2 -Wall -Wextra\n"
    "export GRISAILLE\n"
    "\n"
    "plugins/@.so: @.c\n"
    "\tmkdir -p plugins && chmod go-w plugins\n"
    "\t$(CC) -std=gnu17 $(CFLAGS) -shared -fPIC -o $@ $< $$(pkg-config --cflags --libs grisaille)\n"
    "\tchmod go-w $@\n"
    "\n"
    "test: plugins/@.so\n"
    "\tsh test.sh\n"
    "\n"
    "install: plugins/@.so\n"
    "\tinstall -D -m 644 $< $(DESTDIR)$$(pkg-config --variable=plugindir grisaille)/@.so\n"
    "\n"
    "clean:\n"
    "\trm -f plugins/@.so out.png\n"
    "\n"
    ".PHONY: test install clean\n";

static const char meson_build[] = "# The same with Meson: meson setup build && ninja -C build\n"
                                  "project('@', 'c', default_options: ['c_std=gnu17', 'warning_level=2'])\n"
                                  "grisaille = dependency('grisaille')\n"
                                  "shared_module('@', '@.c', name_prefix: '', dependencies: grisaille, install: true, "
                                  "install_dir: grisaille.get_variable('plugindir'))\n";

static const char test_sh[] =
    "#!/bin/sh\n"
    "# Tries @ on sample.jpg: that it runs, and that a wrong parameter is refused.\n"
    "set -eu\n"
    "run() { \"${GRISAILLE:-grisaille}\" transforms try @ --set plugins.dir=\"$PWD/plugins\" \"$@\"; }\n"
    "run sample.jpg out.png\n"
    "run --set strength=50 sample.jpg out.png\n"
    "if run --set strength=101 sample.jpg out.png 2>/dev/null; then echo 'strength=101 was taken' >&2; exit 1; fi\n"
    "echo '@ works'\n";

/* Appends `text` with each @ replaced, but for "$@" in what shells and make read. */
static void expand(const char *text, const char *name, struct gri_bytes *out) {
    for (const char *c = text; *c; c++) {
        bool literal = c > text && c[-1] == '$';
        if (*c == '@' && !literal)
            gri_bytes_put(out, name);
        else
            gri_bytes_put_slice(out, (struct gri_slice){(const uint8_t *)c, 1});
    }
}

static enum gri_status write_out(const char *folder, const char *file, struct gri_slice bytes, struct gri_error *error) {
    char path[3 * GRI_TRANSFORM_NAME_MAX];
    GRI_ASSERT(gri_format(path, sizeof path, "%s/%s", folder, file));
    FILE *out = fopen(path, "wx");
    bool written = out && fwrite(bytes.data, 1, bytes.len, out) == bytes.len;
    if (out && fclose(out) != 0) written = false;
    return written ? GRI_OK : gri_fail(error, GRI_R_io, "%s: %s", path, strerror(errno));
}

static enum gri_status write_texts(const char *name, struct gri_error *error) {
    char own[GRI_TRANSFORM_NAME_MAX + 8];
    GRI_ASSERT(gri_format(own, sizeof own, "%s.c", name));
    const struct {
        const char *file, *text;
    } files[] = {{own, source}, {"Makefile", makefile}, {"meson.build", meson_build}, {"test.sh", test_sh}};
    enum gri_status status = GRI_OK;
    for (size_t i = 0; status == GRI_OK && i < sizeof files / sizeof files[0]; i++) {
        struct gri_bytes text;
        gri_bytes_init(&text, 65536);
        expand(files[i].text, name, &text);
        status = write_out(name, files[i].file, gri_bytes_slice(&text), error);
        gri_bytes_clear(&text);
    }
    return status;
}

enum gri_status gri_plugin_skeleton(const char *name, struct gri_error *error) {
    size_t len = strnlen(name, GRI_TRANSFORM_NAME_MAX);
    struct gri_bytes sample;
    if (len == 0 || len == GRI_TRANSFORM_NAME_MAX || name[0] < 'a' || name[0] > 'z' ||
        strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_") != len)
        return gri_fail(error, GRI_R_usage, "%.40s: a transform's name is of the form [a-z][a-z0-9_]*, at most %d bytes", name,
                        GRI_TRANSFORM_NAME_MAX - 1);
    if (mkdir(name, 0755) != 0) return gri_fail(error, GRI_R_usage, "%s: %s", name, strerror(errno));
    enum gri_status status = write_texts(name, error);
    gri_bytes_init(&sample, 1 << 20);
    if (status == GRI_OK) status = gri_vips_start("grisaille", error);
    if (status == GRI_OK) {
        status = gri_picture_sample(320, 240, &sample, error);
        gri_vips_stop();
    }
    if (status == GRI_OK) status = write_out(name, "sample.jpg", gri_bytes_slice(&sample), error);
    gri_bytes_clear(&sample);
    return status;
}
