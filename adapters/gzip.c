/* SPDX-License-Identifier: Apache-2.0 */
/* Streaming gunzip (gzip.h). RFC 1952: a file is one or more members, one behind the other. */
#include "gzip.h"

#include <stdlib.h>
#include <string.h>
#define ZLIB_CONST /* next_in points to const */
#include <zlib.h>

enum { GZIP_ONLY = 15 + 16 /* largest window, gzip wrapper, no raw or zlib streams */, PLAIN_BLOCK = 32 * 1024 };

struct gri_inflate {
    z_stream stream;
    int64_t left; /* plain bytes that may still come */
    bool inside;  /* a member has begun and not ended */
    bool any;     /* a member has ended */
    bool padding; /* zeros behind the last member, as tape blocks have */
    uint8_t plain[PLAIN_BLOCK];
};

static struct gri_inflate *begin(int64_t max_bytes) {
    struct gri_inflate *self = gri_calloc(1, sizeof *self);
    self->left = max_bytes;
    GRI_ASSERT(inflateInit2(&self->stream, GZIP_ONLY) == Z_OK);
    return self;
}

static enum gri_status damaged(const struct gri_inflate *self, struct gri_error *error) {
    return gri_fail(error, GRI_R_bad_request, "not valid gzip: %s", self->stream.msg ? self->stream.msg : "unexpected data");
}

/* One call of zlib on what is left of the input; its output goes to the sink. */
static enum gri_status step(struct gri_inflate *self, gri_inflate_sink *sink, void *arg, struct gri_error *error) {
    z_stream *stream = &self->stream;
    stream->next_out = self->plain;
    stream->avail_out = PLAIN_BLOCK;
    int result = inflate(stream, Z_NO_FLUSH);
    size_t len = PLAIN_BLOCK - stream->avail_out;
    if (result == Z_MEM_ERROR) return gri_fail(error, GRI_R_no_memory, "no memory to gunzip with");
    if (result != Z_OK && result != Z_STREAM_END && result != Z_BUF_ERROR) return damaged(self, error);
    if ((int64_t)len > self->left) return gri_fail(error, GRI_R_body_too_large, "the gunzipped text is over its maximum");
    self->left -= (int64_t)len;
    if (result == Z_STREAM_END) {
        self->inside = false;
        self->any = true;
        GRI_ASSERT(inflateReset(stream) == Z_OK);
    }
    return len ? sink(arg, (struct gri_slice){self->plain, len}, error) : GRI_OK;
}

static enum gri_status feed(struct gri_inflate *self, struct gri_slice gzip, gri_inflate_sink *sink, void *arg,
                            struct gri_error *error) {
    z_stream *stream = &self->stream;
    enum gri_status status = GRI_OK;
    GRI_ASSERT(gzip.len <= UINT32_MAX);
    stream->next_in = gzip.data;
    stream->avail_in = (uInt)gzip.len;
    stream->avail_out = 0;
    /* A full output block may have more behind it even when the input is used up. */
    while (status == GRI_OK && (stream->avail_in > 0 || (self->inside && stream->avail_out == 0 && gzip.len > 0))) {
        if (!self->inside) {
            if (self->any && *stream->next_in == 0) {
                self->padding = true;
                stream->next_in++;
                stream->avail_in--;
                continue;
            }
            if (self->padding) return gri_fail(error, GRI_R_bad_request, "not valid gzip: data behind the padding");
            self->inside = true;
        }
        status = step(self, sink, arg, error);
    }
    return status;
}

static void discard(struct gri_inflate *self) {
    if (!self) return;
    inflateEnd(&self->stream);
    free(self);
}

static enum gri_status end(struct gri_inflate *self, struct gri_error *error) {
    enum gri_status status = GRI_OK;
    if (self->inside) {
        status = gri_fail(error, GRI_R_bad_request, "the gzip data is cut off");
    } else if (!self->any) {
        status = gri_fail(error, GRI_R_bad_request, "not valid gzip: no data");
    }
    discard(self);
    return status;
}

const struct gri_inflate_ops *gri_gzip_inflate(void) {
    static const struct gri_inflate_ops OPS = {.begin = begin, .feed = feed, .end = end, .abort = discard};
    return &OPS;
}
