/* SPDX-License-Identifier: Apache-2.0 */
/* Tells webhook.url that a catalog is finished, as the Standard Webhooks specification says (docs/howto/webhook.md).
 *
 * In every scheduler, on a thread of its own: the loop only starts it and hears how it ended. Which of them sends a notice, and
 * what became of it, stands in MongoDB (grisaille/notices.h). */
#ifndef GRI_WEBHOOK_H
#define GRI_WEBHOOK_H

#include "daemon.h"

struct gri_webhook;

/* *out: owned, NULL where no webhook.url is configured. A wrong secret or URL is reason config. `daemon` is borrowed until
 * destroy. */
enum gri_status gri_webhook_start(struct gri_daemon *daemon, struct gri_webhook **out, struct gri_error *error) GRI_MUST_CHECK;
/* Takes no further notice; a request under way is ended within a second or so. */
void gri_webhook_stop(struct gri_webhook *webhook);
/* Waits for that end. NULL is fine. */
void gri_webhook_destroy(struct gri_webhook *webhook);

#endif
