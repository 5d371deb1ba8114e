/* SPDX-License-Identifier: Apache-2.0 */
/* Jobs, stream entries, and the small texts inside keys and URLs (grisaille/job.h). */
#include <grisaille/job.h>

#include <stdlib.h>
#include <string.h>

void gri_job_clear(struct gri_job *job) {
    if (!job) return;
    free(job->url);
    job->url = NULL;
}

void gri_job_copy(struct gri_job *to, const struct gri_job *from) {
    *to = *from;
    to->url = from->url ? gri_strdup(from->url) : NULL;
}

void gri_url_host(const char *url, char host[GRI_HOST_MAX]) {
    host[0] = '\0';
    const char *scheme = strstr(url, "://");
    if (!scheme) return;
    const char *start = scheme + 3;
    const char *end = start + strcspn(start, "/?#");
    for (const char *c = start; c < end; c++) {
        if (*c == '@') start = c + 1;
    }
    const char *stop = start;
    if (*start == '[') {
        while (stop < end && *stop != ']')
            stop++;
        if (stop < end) stop++;
    } else {
        while (stop < end && *stop != ':')
            stop++;
    }
    size_t len = (size_t)(stop - start);
    if (len >= GRI_HOST_MAX) return;
    for (size_t i = 0; i < len; i++) {
        char c = start[i];
        host[i] = (char)(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
    }
    host[len] = '\0';
}

void gri_pipeline_name(const char *pipeline, char name[GRI_NAME_MAX]) {
    size_t len = strcspn(pipeline, "@");
    if (len >= GRI_NAME_MAX) len = GRI_NAME_MAX - 1;
    memcpy(name, pipeline, len);
    name[len] = '\0';
}

void gri_image_job(const char *key, int64_t renewal, char job[GRI_IMAGE_JOB_MAX]) {
    if (renewal > 0) {
        GRI_ASSERT(gri_format(job, GRI_IMAGE_JOB_MAX, "%s#%lld", key, (long long)renewal));
    } else {
        GRI_ASSERT(gri_format(job, GRI_IMAGE_JOB_MAX, "%s", key));
    }
}

void gri_image_job_key(const char *job, char key[GRI_KEY_MAX]) {
    size_t len = strcspn(job, "#");
    if (len >= GRI_KEY_MAX) len = GRI_KEY_MAX - 1;
    memcpy(key, job, len);
    key[len] = '\0';
}

void gri_url_entries_free(struct gri_url_entry *entries, size_t count) {
    for (size_t i = 0; entries && i < count; i++)
        free(entries[i].url);
    free(entries);
}

void gri_job_entries_free(struct gri_job_entry *entries, size_t count) {
    for (size_t i = 0; entries && i < count; i++)
        gri_job_clear(&entries[i].job);
    free(entries);
}
