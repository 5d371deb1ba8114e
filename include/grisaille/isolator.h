/* SPDX-License-Identifier: Apache-2.0 */
/* Port: fetch, decode and transform one URL in a process of its own, for a job that may be what ended its workers.
 * adapters/uv_isolator implements it (it starts this program's hidden command `isolated`); tests have fakes.
 *
 * Below the port stand the frames by which parent and child talk; base/isolated_frames implements them for both sides.
 * Threads: the port on the loop's thread; the frame functions are pure. */
#ifndef GRISAILLE_ISOLATOR_H
#define GRISAILLE_ISOLATOR_H

#include <grisaille/codec.h>
#include <grisaille/fetcher.h>

/* How the child came to its end. */
enum gri_isolated_end {
    GRI_ISOLATED_ANSWERED, /* it reported: op is OK, or its error is the fetch's or the codec's */
    GRI_ISOLATED_DIED,     /* by a signal of its own or a limit (time, memory, CPU), or without a word: reason poison */
    GRI_ISOLATED_KILLED    /* by somebody else (an operator, the kernel out of memory), or it never began: nothing is known of
                              the URL; class retry */
};

struct gri_isolated {
    struct gri_op op; /* OK: fetch and picture are there. Else `end`, and `fetch` where it is ANSWERED, still mean something */
    const char *url;  /* in: canonical; borrowed until done */
    struct gri_slice definition; /* in: the pipeline's canonical JSON; borrowed until done */
    enum gri_isolated_end end;   /* out */
    struct gri_fetch fetch;      /* out, owned: its op tells how the fetch itself ended; its body is the source */
    struct gri_picture picture;  /* out, owned */
};
/* Zeroes the outputs before use (op.done is kept), frees them after. */
void gri_isolated_init(struct gri_isolated *request, const char *url, struct gri_slice definition);
void gri_isolated_clear(struct gri_isolated *request);

struct gri_isolator {
    const struct gri_isolator_ops *ops;
};

struct gri_isolator_ops {
    void (*run)(struct gri_isolator *isolator, struct gri_isolated *request);
    /* Ends it early: `done` comes with KILLED, class retry. */
    void (*cancel)(struct gri_isolator *isolator, struct gri_isolated *request);
};

/* --- frames -------------------------------------------------------------------------------------------------------- */

/* A frame: "GRI1", kind (u32), length of the payload (u64), payload; integers little-endian. Parent → child: one REQUEST.
 * Child → parent: STARTED when it is ready to touch the URL, then RESULT. */
enum gri_frame_kind { GRI_FRAME_REQUEST = 1, GRI_FRAME_STARTED = 2, GRI_FRAME_RESULT = 3 };
enum { GRI_FRAME_HEADER = 16, GRI_FRAME_REQUEST_MAX = 4 * 1024 * 1024, GRI_FINAL_URL_MAX = 1024 * 1024 };

/* The header at the beginning of `bytes`. False: there are too few bytes yet (*broken false), or it is none (*broken true). */
bool gri_frame_header(struct gri_slice bytes, enum gri_frame_kind *kind, uint64_t *len, bool *broken);

/* `settings`: whatever text the child's command needs beside. Appended to out. */
enum gri_status gri_frame_write_request(const char *url, struct gri_slice definition, struct gri_slice settings,
                                        struct gri_bytes *out, struct gri_error *error) GRI_MUST_CHECK;
/* *url (owned), *definition, *settings: initialised before by the caller. Nonsense is reason bad_request. */
enum gri_status gri_frame_read_request(struct gri_slice payload, char **url, struct gri_bytes *definition,
                                       struct gri_bytes *settings, struct gri_error *error) GRI_MUST_CHECK;

void gri_frame_write_started(struct gri_bytes *out);

/* All outputs of `request`, op's status and error included. */
enum gri_status gri_frame_write_result(const struct gri_isolated *request, struct gri_bytes *out,
                                       struct gri_error *error) GRI_MUST_CHECK;
/* Into a request that gri_isolated_init made. The child may be hostile by now: everything is checked. Nonsense is reason
 * bad_request, and the outputs are empty. */
enum gri_status gri_frame_read_result(struct gri_slice payload, struct gri_isolated *request,
                                      struct gri_error *error) GRI_MUST_CHECK;

#endif
