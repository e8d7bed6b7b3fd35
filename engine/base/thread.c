#include "engine/base/thread.h"

#include <errno.h>
#include <signal.h>

#include "engine/base/fault.h"

enum ss_status ss_thread_start(pthread_t *thread, const char *name, void *(*run)(void *argument),
                               void *argument)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before); /* a thread has what its maker blocks */
    int error = ss_fault(SS_FAULT_THREAD) ? EAGAIN : pthread_create(thread, 0, run, argument);
    pthread_sigmask(SIG_SETMASK, &before, 0);
    if (error)
        return ss_fail_errno(SS_NO_MEMORY, error, "starting the thread %s", name);
    pthread_setname_np(*thread, name);
    return SS_OK;
}
