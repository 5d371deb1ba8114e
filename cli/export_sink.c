/* SPDX-License-Identifier: Apache-2.0 */
/* Folders, tar, NDJSON and CSV. */
#include "export_sink.h"
#include "export_seen.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PATH_CHARS = 4300, TAR_BLOCK = 512 };

struct gri_export_sink {
    enum gri_export_format format;
    const struct gri_crypto *crypto;
    char to[PATH_CHARS], part[PATH_CHARS], state[PATH_CHARS], seen_path[PATH_CHARS];
    struct gri_export_seen seen;
    char *what;
    FILE *file; /* not for folders */
};

static enum gri_status fail(const char *path, struct gri_error *error) {
    return gri_fail(error, GRI_R_io, "%.200s: %s", path, strerror(errno));
}

static const char *text_of(const struct gri_json *image, const char *object, const char *name) {
    return gri_json_str(object ? gri_json_get(image, object) : image, name, "");
}

static const char *extension_of(const struct gri_json *image) {
    const char *type = text_of(image, NULL, "content_type"), *slash = strchr(type, '/');
    return strcmp(type, "image/jpeg") == 0 ? "jpg" : slash && strlen(slash) < 8 ? slash + 1 : "bin";
}

/* --- state ------------------------------------------------------------------------------------------------------------------ */

static enum gri_status write_file(const char *path, struct gri_slice bytes, struct gri_error *error) {
    char part[PATH_CHARS + 8];
    (void)gri_format(part, sizeof part, "%s.tmp", path);
    FILE *file = fopen(part, "wb");
    if (!file) return fail(part, error);
    bool fine = fwrite(bytes.data, 1, bytes.len, file) == bytes.len && fflush(file) == 0 && fsync(fileno(file)) == 0;
    fine = fclose(file) == 0 && fine && rename(part, path) == 0;
    return fine ? GRI_OK : fail(path, error);
}

static enum gri_status read_file(const char *path, struct gri_bytes *out, struct gri_error *error) {
    uint8_t part[65536];
    size_t got;
    FILE *file = fopen(path, "rb");
    if (!file) return fail(path, error);
    enum gri_status status = GRI_OK;
    while (status == GRI_OK && (got = fread(part, 1, sizeof part, file)) > 0)
        status = gri_bytes_append(out, part, got, error);
    if (status == GRI_OK && ferror(file)) status = fail(path, error);
    fclose(file);
    return status;
}

/* {"what", "cursor", "bytes", "seen"} of an export that was cut off; none: a beginning. */
static enum gri_status read_state(struct gri_export_sink *sink, char **cursor, int64_t *bytes, int64_t *seen,
                                  struct gri_error *error) {
    struct gri_bytes text;
    struct gri_json *json = NULL;
    *cursor = NULL;
    *bytes = *seen = 0;
    if (access(sink->state, F_OK) != 0) return GRI_OK;
    gri_bytes_init(&text, 65536);
    enum gri_status status = read_file(sink->state, &text, error);
    if (status == GRI_OK) status = gri_json_parse(gri_bytes_slice(&text), &json, error);
    if (status == GRI_OK && strcmp(gri_json_str(json, "what", ""), sink->what) != 0)
        status = gri_fail(error, GRI_R_conflict, "%.300s belongs to an export of something else; finish that, or remove it",
                          sink->state);
    if (status == GRI_OK) {
        const char *saved = gri_json_str(json, "cursor", "");
        *cursor = *saved ? gri_strdup(saved) : NULL;
        *bytes = gri_json_get_int(json, "bytes", 0);
        *seen = gri_json_get_int(json, "seen", 0);
    }
    gri_json_free(json);
    gri_bytes_clear(&text);
    return status;
}

enum gri_status gri_export_save(struct gri_export_sink *sink, const char *cursor, struct gri_error *error) {
    struct gri_bytes text;
    if (sink->file == stdout) return fflush(stdout) == 0 ? GRI_OK : fail("standard output", error);
    if (sink->file && (fflush(sink->file) != 0 || fsync(fileno(sink->file)) != 0)) return fail(sink->part, error);
    if (gri_export_seen_save(&sink->seen, error) != GRI_OK) return error->status;
    struct gri_json *json = gri_json_object();
    gri_json_set_str(json, "what", sink->what);
    gri_json_set_int(json, "seen", sink->seen.fd >= 0 ? (int64_t)sink->seen.count : 0);
    gri_json_set_str(json, "cursor", cursor);
    gri_json_set_int(json, "bytes", sink->file ? (int64_t)ftello(sink->file) : 0);
    gri_bytes_init(&text, 65536);
    enum gri_status status = gri_json_write(json, false, &text, error);
    gri_json_free(json);
    if (status == GRI_OK) status = write_file(sink->state, gri_bytes_slice(&text), error);
    gri_bytes_clear(&text);
    return status;
}

/* --- life ------------------------------------------------------------------------------------------------------------------- */

static enum gri_status open_file(struct gri_export_sink *sink, int64_t bytes, struct gri_error *error) {
    if (strcmp(sink->to, "-") == 0) {
        sink->file = stdout;
        return GRI_OK;
    }
    int fd = open(sink->part, O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
    if (fd < 0) return fail(sink->part, error);
    struct stat there;
    /* Less than was noted as durable: somebody cut it. */
    if (fstat(fd, &there) != 0 || there.st_size < bytes || ftruncate(fd, bytes) != 0) {
        close(fd);
        return gri_fail(error, GRI_R_conflict, "%.300s is shorter than its state says; remove both to begin anew", sink->part);
    }
    sink->file = fdopen(fd, "wb");
    if (!sink->file) {
        close(fd);
        return fail(sink->part, error);
    }
    return fseeko(sink->file, bytes, SEEK_SET) == 0 ? GRI_OK : fail(sink->part, error);
}

enum gri_status gri_export_open(const char *to, enum gri_export_format format, const char *what, const struct gri_crypto *crypto,
                                struct gri_export_sink **out, char **cursor, struct gri_error *error) {
    struct gri_export_sink *sink = gri_calloc(1, sizeof *sink);
    bool folder = format == GRI_EXPORT_DIR;
    int64_t bytes = 0, seen = 0;
    sink->format = format;
    sink->crypto = crypto;
    sink->what = gri_strdup(what);
    sink->seen.fd = -1;
    *out = sink;
    *cursor = NULL;
    if (strlen(to) > 4096) return gri_fail(error, GRI_R_usage, "the name is too long");
    (void)gri_copy(sink->to, sizeof sink->to, to);
    (void)gri_format(sink->part, sizeof sink->part, "%s.part", to);
    (void)gri_format(sink->seen_path, sizeof sink->seen_path, "%s.seen", to);
    (void)gri_format(sink->state, sizeof sink->state, folder ? "%s/.export.state" : "%s.state", to);
    if (folder && mkdir(to, 0777) != 0 && errno != EEXIST) return fail(to, error);
    if (strcmp(to, "-") != 0 && read_state(sink, cursor, &bytes, &seen, error) != GRI_OK) return error->status;
    if (gri_export_seen_open(&sink->seen, !folder && strcmp(to, "-") != 0 ? sink->seen_path : NULL, seen, error) != GRI_OK)
        return error->status;
    if (folder) return GRI_OK;
    enum gri_status status = open_file(sink, bytes, error);
    if (status == GRI_OK && format == GRI_EXPORT_CSV && bytes == 0)
        fputs("id,source,output,url,host,content_type,width,height,bytes,pipeline,inserted_at,output_name\r\n", sink->file);
    return status;
}

enum gri_status gri_export_finish(struct gri_export_sink *sink, struct gri_error *error) {
    static const char zeros[2 * TAR_BLOCK];
    if (sink->format == GRI_EXPORT_TAR) (void)fwrite(zeros, 1, sizeof zeros, sink->file);
    if (sink->file && (fflush(sink->file) != 0 || ferror(sink->file))) return fail(sink->part, error);
    if (sink->file == stdout) return GRI_OK;
    if (sink->file && (fsync(fileno(sink->file)) != 0 || rename(sink->part, sink->to) != 0)) return fail(sink->to, error);
    if (unlink(sink->state) != 0 && errno != ENOENT) return fail(sink->state, error);
    if (sink->file && unlink(sink->seen_path) != 0 && errno != ENOENT) return fail(sink->seen_path, error);
    return GRI_OK;
}

void gri_export_close(struct gri_export_sink *sink) {
    if (!sink) return;
    if (sink->file && sink->file != stdout) fclose(sink->file);
    gri_export_seen_clear(&sink->seen);
    free(sink->what);
    free(sink);
}

bool gri_export_is_new(struct gri_export_sink *sink, const char *id) {
    return gri_export_seen_add(&sink->seen, id);
}

/* --- one image -------------------------------------------------------------------------------------------------------------- */

bool gri_export_wants_bytes(const struct gri_export_sink *sink) {
    return sink->format == GRI_EXPORT_DIR || sink->format == GRI_EXPORT_TAR;
}

bool gri_export_wants_base64(const struct gri_export_sink *sink) {
    return sink->format == GRI_EXPORT_NDJSON;
}

/* <to>/ab/<sum of the output>.<extension> */
static void path_of(const struct gri_export_sink *sink, const struct gri_json *image, const char *extension,
                    char path[PATH_CHARS + 128]) {
    const char *sum = text_of(image, "sums", "output");
    (void)gri_format(path, PATH_CHARS + 128, "%s/%.2s/%s.%s", sink->to, sum, sum, extension);
}

bool gri_export_has(struct gri_export_sink *sink, const struct gri_json *image) {
    char path[PATH_CHARS + 128], sum[GRI_SHA256_HEX];
    struct gri_bytes bytes;
    struct gri_error error;
    if (sink->format != GRI_EXPORT_DIR) return false;
    path_of(sink, image, "json", path);
    if (access(path, F_OK) != 0) return false; /* it is written behind the picture */
    path_of(sink, image, extension_of(image), path);
    gri_bytes_init(&bytes, 0);
    bool whole = access(path, F_OK) == 0 && read_file(path, &bytes, &error) == GRI_OK;
    if (whole) sink->crypto->sha256_hex(gri_bytes_slice(&bytes), sum);
    gri_bytes_clear(&bytes);
    return whole && strcmp(sum, text_of(image, "sums", "output")) == 0;
}

static enum gri_status put_files(struct gri_export_sink *sink, const struct gri_json *image, struct gri_slice data,
                                 struct gri_slice meta, struct gri_error *error) {
    char path[PATH_CHARS + 128], folder[PATH_CHARS + 8];
    (void)gri_format(folder, sizeof folder, "%s/%.2s", sink->to, text_of(image, "sums", "output"));
    if (mkdir(folder, 0777) != 0 && errno != EEXIST) return fail(folder, error);
    path_of(sink, image, extension_of(image), path);
    enum gri_status status = write_file(path, data, error);
    path_of(sink, image, "json", path);
    return status == GRI_OK ? write_file(path, meta, error) : status;
}

/* A ustar entry (POSIX.1-1988): names are short, so that nothing else is needed. */
static void put_tar(FILE *file, const char *name, struct gri_slice data) {
    static const char zeros[TAR_BLOCK];
    char header[TAR_BLOCK] = {0};
    unsigned sum = 0;
    (void)gri_copy(header, 100, name);
    (void)gri_format(header + 100, 8, "%07o", 0644);
    (void)gri_format(header + 108, 8, "%07o", 0);
    (void)gri_format(header + 116, 8, "%07o", 0);
    (void)gri_format(header + 124, 12, "%011zo", data.len);
    (void)gri_format(header + 136, 12, "%011o", 0);
    memset(header + 148, ' ', 8);
    header[156] = '0';
    memcpy(header + 257, "ustar\00000", 8);
    for (size_t i = 0; i < sizeof header; i++)
        sum += (unsigned char)header[i];
    (void)gri_format(header + 148, 8, "%06o", sum);
    (void)fwrite(header, 1, sizeof header, file);
    (void)fwrite(data.data, 1, data.len, file);
    (void)fwrite(zeros, 1, (TAR_BLOCK - data.len % TAR_BLOCK) % TAR_BLOCK, file);
}

/* WebDataset: the files of a sample stand together and differ in their extension alone; the key has no dot. */
static void put_sample(struct gri_export_sink *sink, const struct gri_json *image, struct gri_slice data, struct gri_slice meta) {
    char name[100];
    const char *key = text_of(image, "sums", "output");
    (void)gri_format(name, sizeof name, "%.64s.%s", key, extension_of(image));
    put_tar(sink->file, name, data);
    (void)gri_format(name, sizeof name, "%.64s.json", key);
    put_tar(sink->file, name, meta);
}

static void put_csv(struct gri_export_sink *sink, const struct gri_json *image) {
    struct gri_bytes row;
    gri_bytes_init(&row, 0);
    gri_bytes_put_csv(&row, text_of(image, NULL, "id"));
    gri_bytes_printf(&row, ",%s,%s,", text_of(image, "sums", "source"), text_of(image, "sums", "output"));
    gri_bytes_put_csv(&row, text_of(image, "source", "url"));
    gri_bytes_printf(&row, ",%s,%s,%" PRId64 ",%" PRId64 ",%" PRId64 ",%s,%s,%s\r\n", text_of(image, "source", "host"),
                     text_of(image, NULL, "content_type"), gri_json_get_int(image, "width", 0),
                     gri_json_get_int(image, "height", 0), gri_json_get_int(image, "bytes", 0), text_of(image, NULL, "pipeline"),
                     text_of(image, NULL, "inserted_at"), text_of(image, NULL, "output"));
    (void)fwrite(row.data, 1, row.len, sink->file);
    gri_bytes_clear(&row);
}

enum gri_status gri_export_put(struct gri_export_sink *sink, const struct gri_json *image, struct gri_slice data,
                               struct gri_error *error) {
    struct gri_bytes meta;
    enum gri_status status = GRI_OK;
    if (sink->format == GRI_EXPORT_CSV) {
        put_csv(sink, image);
        return ferror(sink->file) ? fail(sink->part, error) : GRI_OK;
    }
    struct gri_json *row = gri_json_copy(image);
    if (sink->format == GRI_EXPORT_NDJSON) gri_json_set(row, "data", gri_json_string_n((const char *)data.data, data.len));
    gri_bytes_init(&meta, 0);
    status = gri_json_write(row, false, &meta, error);
    gri_bytes_put(&meta, "\n");
    gri_json_free(row);
    if (status == GRI_OK && sink->format == GRI_EXPORT_DIR) {
        status = put_files(sink, image, data, gri_bytes_slice(&meta), error);
    } else if (status == GRI_OK && sink->format == GRI_EXPORT_TAR) {
        put_sample(sink, image, data, gri_bytes_slice(&meta));
    } else if (status == GRI_OK) {
        (void)fwrite(meta.data, 1, meta.len, sink->file);
    }
    gri_bytes_clear(&meta);
    return status == GRI_OK && sink->file && ferror(sink->file) ? fail(sink->part, error) : status;
}
