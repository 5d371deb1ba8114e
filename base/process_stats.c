/* SPDX-License-Identifier: Apache-2.0 */
/* Figures of this process (process_stats.h). The format of /proc/self/stat is in proc(5). */
#include "process_stats.h"

#include <grisaille/status.h>

#include <dirent.h>
#include <fcntl.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

enum { CPU, OPEN_FDS, MAX_FDS, RESIDENT, VIRTUAL, START, THREADS };

static const struct gri_process_stat STATS[GRI_PROCESS_STATS] = {
    [CPU] = {"process_cpu_seconds_total", "User and system CPU time used, in seconds.", true},
    [OPEN_FDS] = {"process_open_fds", "File descriptors that are open.", false},
    [MAX_FDS] = {"process_max_fds", "File descriptors that may be open.", false},
    [RESIDENT] = {"process_resident_memory_bytes", "Resident memory, in bytes.", false},
    [VIRTUAL] = {"process_virtual_memory_bytes", "Virtual memory, in bytes.", false},
    [START] = {"process_start_time_seconds", "When the process began, in seconds since the Unix epoch.", false},
    [THREADS] = {"process_threads", "Threads of the process.", false},
};

const struct gri_process_stat *gri_process_stat(size_t index) {
    GRI_ASSERT(index < GRI_PROCESS_STATS);
    return &STATS[index];
}

/* The first `size - 1` bytes of a small file as text; "" if it can't be read. */
static void read_text(const char *path, char *text, size_t size) {
    text[0] = '\0';
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return;
    size_t len = 0;
    ssize_t n;
    while (len < size - 1 && (n = read(fd, text + len, size - 1 - len)) > 0)
        len += (size_t)n;
    text[len] = '\0';
    close(fd);
}

static double boot_time(void) {
    char text[16384];
    read_text("/proc/stat", text, sizeof text);
    const char *line = strstr(text, "\nbtime ");
    /* A machine of many CPUs has a longer file: then the clocks tell it as well. */
    if (line) return strtod(line + 7, NULL);
    char uptime[64];
    read_text("/proc/uptime", uptime, sizeof uptime);
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return uptime[0] ? (double)now.tv_sec - strtod(uptime, NULL) : NAN;
}

static double open_fds(void) {
    DIR *dir = opendir("/proc/self/fd");
    if (!dir) return NAN;
    double count = -1; /* the directory's own */
    for (struct dirent *entry = readdir(dir); entry; entry = readdir(dir)) {
        if (entry->d_name[0] != '.') count++;
    }
    closedir(dir);
    return count;
}

/* Field `number` (from 1, past the command's closing parenthesis) of /proc/self/stat. */
static double stat_field(const char *stat, int number) {
    const char *at = strrchr(stat, ')');
    if (!at) return NAN;
    at++;
    for (int field = 3; field < number; field++) {
        at += strspn(at, " ");
        at += strcspn(at, " ");
    }
    char *end = NULL;
    double value = strtod(at, &end);
    return end == at ? NAN : value;
}

void gri_process_stats_read(double values[GRI_PROCESS_STATS]) {
    char stat[2048];
    read_text("/proc/self/stat", stat, sizeof stat);
    double tick = (double)sysconf(_SC_CLK_TCK), page = (double)sysconf(_SC_PAGESIZE);
    struct rlimit files;
    values[CPU] = (stat_field(stat, 14) + stat_field(stat, 15)) / tick;
    values[THREADS] = stat_field(stat, 20);
    values[START] = boot_time() + stat_field(stat, 22) / tick;
    values[VIRTUAL] = stat_field(stat, 23);
    values[RESIDENT] = stat_field(stat, 24) * page;
    values[OPEN_FDS] = open_fds();
    values[MAX_FDS] = getrlimit(RLIMIT_NOFILE, &files) == 0 ? (double)files.rlim_cur : NAN;
}
