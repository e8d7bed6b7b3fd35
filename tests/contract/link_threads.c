#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <time.h>

#include "engine/base/clock.h"
#include "tests/contract/link_suite.h"

#define POSTERS      3
#define POSTS        200
#define KNOCKS       9
#define FAR_NS       (10 * SS_NS_PER_S)
#define PROMPT_NS    (2 * SS_NS_PER_S)
#define KNOCK_NS_MAX (20 * SS_NS_PER_MS)

static void barrier(struct ss_link *link)
{
    CHECK(link->table->barrier(link) == SS_OK, "rank %d: barrier", link->rank);
}

/* --- posts from other threads --------------------------------------------------------------- */

struct poster {
    struct ss_link *link;
    uint32_t number;
    _Atomic int done;
};

struct note {
    uint32_t poster, seq;
};

static void *post_all(void *argument)
{
    struct poster *poster = argument;
    struct ss_link *link = poster->link;
    for (uint32_t seq = 0; seq < POSTS; seq++)
        for (int peer = 0; peer < link->ranks; peer++) {
            struct note note = {poster->number, seq};
            enum ss_status status;
            while ((status = link->table->post(link, peer, &note, sizeof note)) == SS_FULL)
                ss_sleep_until_ns(ss_now_ns() + 100 * SS_NS_PER_US);
            CHECK(status == SS_OK, "rank %d: post", link->rank);
        }
    poster->done = 1;
    link->table->wake(link);
    return 0;
}

static void test_posters(struct ss_link *link, const struct ss_link_options *options)
{
    pthread_t threads[POSTERS];
    struct poster posters[POSTERS];
    uint32_t *expected = calloc((size_t)link->ranks * POSTERS, sizeof *expected);
    unsigned char *buffer = malloc(options->message_bytes_max);
    CHECK(expected && buffer, "memory");
    for (uint32_t i = 0; i < POSTERS; i++) {
        posters[i].link = link;
        posters[i].number = i;
        posters[i].done = 0;
        CHECK(pthread_create(&threads[i], 0, post_all, &posters[i]) == 0, "thread");
    }
    for (int left = link->ranks * POSTERS * POSTS; left != 0; left--) {
        int from;
        size_t bytes;
        struct note note;
        link_take(link, &from, buffer, &bytes);
        CHECK(bytes == sizeof note, "%zu bytes", bytes);
        memcpy(&note, buffer, sizeof note);
        CHECK(note.poster < POSTERS, "poster %u", note.poster);
        uint32_t *next = &expected[(uint32_t)from * POSTERS + note.poster];
        CHECK(note.seq == *next, "rank %d, from %d, poster %u: %u instead of %u", link->rank, from,
              note.poster, note.seq, *next);
        ++*next;
    }
    /* A post needs the link thread until its message has left. */
    for (int i = 0; i < POSTERS; i++) {
        uint64_t deadline_ns = ss_now_ns() + FAR_NS;
        while (!posters[i].done) {
            CHECK(ss_now_ns() < deadline_ns, "rank %d: a poster hangs", link->rank);
            link->table->wait(link, deadline_ns);
        }
        pthread_join(threads[i], 0);
    }
    free(expected);
    free(buffer);
    CHECK(link->table->flush(link, FAR_NS) == SS_OK, "flush");
    barrier(link);
}

/* --- wake ------------------------------------------------------------------------------------ */

/* Waits until woken; early returns are allowed, so FLAG says what the waker did. */
static void wait_for(struct ss_link *link, _Atomic int *flag)
{
    uint64_t start_ns = ss_now_ns();
    while (!*flag)
        link->table->wait(link, start_ns + FAR_NS);
    CHECK(ss_now_ns() - start_ns < PROMPT_NS, "rank %d: woken late", link->rank);
}

struct waker {
    struct ss_link *link;
    _Atomic int flag;
};

static void *wake_later(void *argument)
{
    struct waker *waker = argument;
    ss_sleep_until_ns(ss_now_ns() + 50 * SS_NS_PER_MS);
    waker->flag = 1;
    waker->link->table->wake(waker->link);
    return 0;
}

static _Thread_local struct ss_link *signalled;

static void on_signal(int number)
{
    (void)number;
    signalled->table->wake(signalled);
}

static void test_wake(struct ss_link *link)
{
    struct waker waker = {.link = link};
    pthread_t thread;
    CHECK(pthread_create(&thread, 0, wake_later, &waker) == 0, "thread");
    wait_for(link, &waker.flag);
    pthread_join(thread, 0);

    /* A wake before the wait ends it, from this thread or from a signal handler. */
    uint64_t start_ns = ss_now_ns();
    link->table->wake(link);
    link->table->wait(link, start_ns + FAR_NS);
    signalled = link;
    struct sigaction action = {.sa_handler = on_signal};
    CHECK(sigaction(SIGUSR2, &action, 0) == 0, "sigaction");
    raise(SIGUSR2);
    link->table->wait(link, start_ns + FAR_NS);
    CHECK(ss_now_ns() - start_ns < PROMPT_NS, "rank %d: a wake was lost", link->rank);
    link->table->wait(link, 0); /* a time that is past */
    barrier(link);
}

/* --- sleep ------------------------------------------------------------------------------------ */

static int compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a;
    uint64_t y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

/* Rank 0 knocks at each rank some time after it fell asleep: a delay far below a probe's period
 * shows that the doorbell was heard. */
static void test_knock(struct ss_link *link, const struct ss_link_options *options)
{
    uint64_t *delays = calloc(KNOCKS, sizeof *delays);
    unsigned char *buffer = malloc(options->message_bytes_max);
    CHECK(delays && buffer, "memory");
    for (int knock = 0; knock < KNOCKS; knock++) {
        if (link->rank == 0) {
            ss_sleep_until_ns(ss_now_ns() + 13 * SS_NS_PER_MS);
            for (int peer = 1; peer < link->ranks; peer++) {
                uint64_t now_ns = ss_now_ns();
                link_post(link, peer, &now_ns, sizeof now_ns);
            }
            CHECK(link->table->flush(link, FAR_NS) == SS_OK, "flush");
        } else {
            int from;
            size_t bytes;
            uint64_t sent_ns;
            link_take(link, &from, buffer, &bytes);
            uint64_t now_ns = ss_now_ns();
            CHECK(from == 0 && bytes == sizeof sent_ns, "what is this?");
            memcpy(&sent_ns, buffer, sizeof sent_ns);
            delays[knock] = now_ns - sent_ns;
        }
    }
    qsort(delays, KNOCKS, sizeof *delays, compare);
    CHECK(link->rank == 0 || delays[0] < KNOCK_NS_MAX, "rank %d: the shortest delay is %.3f ms",
          link->rank, (double)delays[0] * 1e-6);
    free(delays);
    free(buffer);
    barrier(link);
}

static uint64_t processor_ns(void)
{
    struct timespec used;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
    return (uint64_t)used.tv_sec * SS_NS_PER_S + (uint64_t)used.tv_nsec;
}

/* The whole process, so with ranks as threads all of them together. */
static void test_rest(struct ss_link *link)
{
    uint64_t end_ns = ss_now_ns() + 500 * SS_NS_PER_MS;
    uint64_t before_ns = processor_ns();
    while (ss_now_ns() < end_ns)
        link->table->wait(link, end_ns);
    uint64_t used_ns = processor_ns() - before_ns;
    CHECK(used_ns < 50 * SS_NS_PER_MS, "rank %d: %.1f ms of processor time in 500 ms at rest",
          link->rank, (double)used_ns * 1e-6);
    barrier(link);
}

void link_suite_threads(struct ss_link *link, const struct ss_link_options *options)
{
    test_wake(link);
    if (options->message_bytes_max >= sizeof(struct note))
        test_posters(link, options);
    test_knock(link, options);
    test_rest(link);
}
