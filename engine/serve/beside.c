#include "engine/serve/beside.h"

#include <stdio.h>

static void *run(void *argument)
{
    struct ss_beside *beside = argument;
    beside->status = beside->work(beside->user);
    if (beside->status)
        snprintf(beside->message, sizeof beside->message, "%s", ss_status_message());
    return 0;
}

void ss_beside_begin(struct ss_beside *beside, enum ss_status (*work)(void *user), void *user)
{
    *beside = (struct ss_beside){.work = work, .user = user};
    beside->running = pthread_create(&beside->thread, 0, run, beside) == 0;
    if (!beside->running)
        run(beside);
}

enum ss_status ss_beside_end(struct ss_beside *beside, enum ss_status meanwhile)
{
    if (beside->running)
        pthread_join(beside->thread, 0);
    beside->running = false;
    if (meanwhile)
        return meanwhile;
    return beside->status ? ss_fail(beside->status, "%s", beside->message) : SS_OK;
}
