#include "engine/base/log.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static _Atomic int level_min = SS_LOG_INFO;
static _Atomic int rank_shown = -1;

void ss_log_set_level(enum ss_log_level level)
{
    level_min = level;
}

void ss_log_set_rank(int rank)
{
    rank_shown = rank;
}

void ss_log(enum ss_log_level level, const char *file, int line, const char *format, ...)
{
    static const char *const names[] = {"DEBUG", "INFO", "WARNING", "ERROR"};
    char text[2048];
    char stamp[32];
    char rank[16] = "";
    if ((int)level < level_min)
        return;
    time_t now = time(0);
    struct tm local;
    localtime_r(&now, &local);
    strftime(stamp, sizeof stamp, "%m-%d %H:%M:%S", &local);
    if (rank_shown >= 0)
        snprintf(rank, sizeof rank, " rank %d", rank_shown);
    const char *slash = strrchr(file, '/');
    int used = snprintf(text, sizeof text, "%s %s%s %s:%d] ", names[level], stamp, rank,
                        slash ? slash + 1 : file, line);
    va_list args;
    va_start(args, format);
    int more = vsnprintf(text + used, sizeof text - (size_t)used - 1, format, args);
    va_end(args);
    size_t length = (size_t)used + (more > 0 ? (size_t)more : 0);
    if (length > sizeof text - 2)
        length = sizeof text - 2;
    text[length] = '\n';
    /* One write keeps the lines of several ranks whole; a failing stderr has nobody to tell. */
    if (write(STDERR_FILENO, text, length + 1) < 0)
        return;
}
