#include "engine/base/process.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

uint64_t ss_process_begin(void)
{
    struct rlimit files;
    int fd;
    /* The lowest number that is free is taken. */
    do
        fd = open("/dev/null", O_RDWR);
    while (fd >= 0 && fd <= STDERR_FILENO);
    if (fd >= 0)
        close(fd);
    if (getrlimit(RLIMIT_NOFILE, &files))
        return 0;
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    return getrlimit(RLIMIT_NOFILE, &files) ? 0 : files.rlim_cur;
}
