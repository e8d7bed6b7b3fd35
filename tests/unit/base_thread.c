/* Threads of ours: no signal reaches them, they have names, and a planted fault starts none. */
#include <criterion/criterion.h>
#include <signal.h>
#include <string.h>

#include "engine/base/fault.h"
#include "engine/base/thread.h"

static void *look(void *argument)
{
    pthread_sigmask(SIG_SETMASK, 0, argument);
    return 0;
}

static bool blocks(const sigset_t *set, int signal)
{
    return sigismember(set, signal) == 1;
}

Test(base_thread, signals_are_blocked_there_and_nowhere_else)
{
    sigset_t mine, there;
    pthread_t thread;
    sigemptyset(&mine);
    sigaddset(&mine, SIGUSR1);
    pthread_sigmask(SIG_SETMASK, &mine, 0);
    cr_assert_eq(ss_thread_start(&thread, "ss-look", look, &there), SS_OK);
    pthread_join(thread, 0);
    static const int signals[] = {SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGUSR2, SIGCHLD, SIGALRM};
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++)
        cr_assert(blocks(&there, signals[i]), "signal %d", signals[i]);
    pthread_sigmask(SIG_SETMASK, 0, &mine);
    cr_assert(blocks(&mine, SIGUSR1));
    cr_assert(!blocks(&mine, SIGTERM));
}

static void *stay(void *argument)
{
    pthread_barrier_wait(argument);
    return 0;
}

Test(base_thread, name_is_shown)
{
    pthread_barrier_t named;
    pthread_t thread;
    char name[16];
    pthread_barrier_init(&named, 0, 2);
    cr_assert_eq(ss_thread_start(&thread, "ss-name", stay, &named), SS_OK);
    cr_assert_eq(pthread_getname_np(thread, name, sizeof name), 0);
    cr_assert_str_eq(name, "ss-name");
    pthread_barrier_wait(&named);
    pthread_join(thread, 0);
    pthread_barrier_destroy(&named);
}

Test(base_thread, planted_fault_starts_none)
{
    sigset_t there, mine;
    pthread_t thread;
    ss_fault_arm(SS_FAULT_THREAD, 2);
    cr_assert_eq(ss_thread_start(&thread, "ss-first", look, &there), SS_OK);
    pthread_join(thread, 0);
    cr_assert_eq(ss_thread_start(&thread, "ss-second", look, &there), SS_NO_MEMORY);
    cr_assert(strstr(ss_status_message(), "ss-second"), "%s", ss_status_message());
    pthread_sigmask(SIG_SETMASK, 0, &mine);
    cr_assert(!blocks(&mine, SIGTERM));
    cr_assert_eq(ss_thread_start(&thread, "ss-third", look, &there), SS_OK);
    pthread_join(thread, 0);
}
