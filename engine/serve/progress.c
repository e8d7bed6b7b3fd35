#include "engine/serve/progress.h"

#include <stdio.h>
#include <unistd.h>

#include "engine/base/clock.h"
#include "engine/base/log.h"

#define BAR_CELLS 32

void ss_progress_begin(struct ss_progress *progress, const char *what, size_t total_bytes,
                       bool active)
{
    *progress = (struct ss_progress){
        .what = what, .total_bytes = total_bytes, .begun_ns = ss_now_ns(), .active = active};
    progress->shown_ns = progress->begun_ns;
}

static void show(const struct ss_progress *progress, double seconds)
{
    double share =
        progress->total_bytes ? (double)progress->done_bytes / (double)progress->total_bytes : 1;
    double rate = seconds > 0 ? (double)progress->done_bytes / seconds / 1e9 : 0;
    if (!isatty(STDERR_FILENO)) {
        SS_INFO("%s: %.0f%%, %.2f GB/s", progress->what, 100 * share, rate);
        return;
    }
    char bar[BAR_CELLS + 1];
    for (int i = 0; i < BAR_CELLS; i++)
        bar[i] = i < share * BAR_CELLS ? '#' : '.';
    bar[BAR_CELLS] = 0;
    fprintf(stderr, "\r%s [%s] %3.0f%% %.2f GB/s ", progress->what, bar, 100 * share, rate);
}

void ss_progress_add(void *user, size_t bytes)
{
    struct ss_progress *progress = user;
    uint64_t now = ss_now_ns();
    uint64_t pause = isatty(STDERR_FILENO) ? 200 * SS_NS_PER_MS : 5 * SS_NS_PER_S;
    progress->done_bytes += bytes;
    if (!progress->active || now - progress->shown_ns < pause)
        return;
    progress->shown_ns = now;
    progress->shown = true;
    show(progress, (double)(now - progress->begun_ns) / 1e9);
}

void ss_progress_end(struct ss_progress *progress)
{
    double seconds = (double)(ss_now_ns() - progress->begun_ns) / 1e9;
    if (!progress->active)
        return;
    if (progress->shown && isatty(STDERR_FILENO))
        fputc('\n', stderr);
    if (progress->shown || seconds > 1)
        SS_INFO("%s: %.1f MB in %.1f s on each rank", progress->what,
                (double)progress->done_bytes / 1e6, seconds);
}
