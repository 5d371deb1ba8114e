/* SPDX-License-Identifier: Apache-2.0 */
/* What of the configuration fetching and transforming need, as one JSON text: the worker builds its own fetcher and codec from
 * it, and hands it to the processes that run a suspicious URL, which read no configuration and see no password. */
#ifndef GRI_WORK_SETTINGS_H
#define GRI_WORK_SETTINGS_H

#include <grisaille/fetcher.h>
#include <grisaille/isolator.h>
#include <grisaille/json.h>
#include <grisaille/log.h>
#include <grisaille/metrics.h>

#include "config.h"
#include "picture_codec.h"

enum { GRI_USER_AGENT_MAX = 256 };
/* The User-Agent of every fetch: fetch.user_agent, else who we are and fetch.contact. */
void gri_work_user_agent(const struct gri_config *config, char out[GRI_USER_AGENT_MAX]);

/* {"fetch":{…},"image":{…},"plugins_dir":"…","sandbox":"auto|on|off"}; owned. */
struct gri_json *gri_work_settings(const struct gri_config *config);
/* *fetcher NULL: it is made; `loop`, `log` and `metrics` (may be NULL) are borrowed for its life. Else transfers that begin from
 * now on go by these settings. Failure (config): nothing changed. */
enum gri_status gri_work_fetcher(const struct gri_json *settings, struct gri_loop *loop, struct gri_log *log,
                                 struct gri_metrics *metrics, struct gri_fetcher **fetcher,
                                 struct gri_error *error) GRI_MUST_CHECK;
/* gri_vips_start was called. Owned: gri_picture_codec_destroy. */
struct gri_codec *gri_work_codec(const struct gri_json *settings, const struct gri_transforms *transforms);
/* Pictures that begin from now on go by these limits. */
void gri_work_codec_reload(const struct gri_json *settings, struct gri_codec *codec);
/* Runs URLs in processes of their own with these settings. *isolator NULL: it is made (owned: gri_uv_isolator_destroy); else it
 * goes by them from the next URL on. */
enum gri_status gri_work_isolator(const struct gri_config *config, struct gri_loop *loop, struct gri_log *log,
                                  struct gri_isolator **isolator, struct gri_error *error) GRI_MUST_CHECK;

#endif
