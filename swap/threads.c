#include "swap/threads.h"

#include <pthread.h>
#include <sched.h>

struct crew {
    void (*work)(void *user);
    void *user;
};

static void *run(void *argument)
{
    struct crew *crew = argument;
    crew->work(crew->user);
    return 0;
}

static int bounded(int count)
{
    return count < 1 ? 1 : count > SS_THREADS_MAX ? SS_THREADS_MAX : count;
}

void ss_threads_run(int count, void (*work)(void *user), void *user)
{
    struct crew crew = {work, user};
    pthread_t helpers[SS_THREADS_MAX];
    int helping = 0;
    while (helping < bounded(count) - 1 && pthread_create(&helpers[helping], 0, run, &crew) == 0)
        helping++;
    work(user);
    while (helping > 0)
        pthread_join(helpers[--helping], 0);
}

int ss_threads_share(int ranks)
{
    cpu_set_t cores;
    int count = sched_getaffinity(0, sizeof cores, &cores) == 0 ? CPU_COUNT(&cores) : 1;
    return bounded(count / (ranks > 0 ? ranks : 1));
}
