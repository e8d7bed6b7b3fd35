/* The host arena: limits, reserving, and its descriptor's way between processes. */
#include <criterion/criterion.h>

#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "engine/base/clock.h"
#include "engine/base/fault.h"
#include "swap/arena.h"

#define MIB ((size_t)1 << 20)

TestSuite(arena, .timeout = 60);

Test(arena, is_rounded_aligned_and_zero)
{
    struct ss_arena *arena;
    cr_assert_eq(ss_arena_create(5 * MIB, 0, &arena), SS_OK, "%s", ss_status_message());
    cr_assert_eq(ss_arena_bytes(arena), 6 * MIB);
    unsigned char *base = ss_arena_at(arena, 0);
    cr_assert_eq((uintptr_t)base % SS_ARENA_ALIGN, 0);
    cr_assert_eq(ss_arena_reserve(arena, 0, 6 * MIB, 1), SS_OK, "%s", ss_status_message());
    cr_assert_eq(base[0] | base[6 * MIB - 1], 0);
    base[6 * MIB - 1] = 9;
    cr_assert_eq(*(unsigned char *)ss_arena_at(arena, 6 * MIB - 1), 9);
    /* What is there is left alone. */
    cr_assert_eq(ss_arena_reserve(arena, 3 * MIB + 5, 2 * MIB, 1), SS_OK);
    cr_assert_eq(base[6 * MIB - 1], 9);
    ss_arena_destroy(arena);
}

Test(arena, is_reserved_by_several_threads)
{
    struct ss_arena *arena;
    struct stat file;
    cr_assert_eq(ss_arena_create(41 * MIB, 0, &arena), SS_OK, "%s", ss_status_message());
    cr_assert_eq(ss_arena_reserve(arena, 3 * MIB, 30 * MIB + 5, 5), SS_OK, "%s",
                 ss_status_message());
    cr_assert_eq(fstat(ss_arena_fd(arena), &file), 0);
    /* A huge page may reach out on both sides. */
    cr_assert_geq((size_t)file.st_blocks * 512, 30 * MIB + 4096);
    cr_assert_leq((size_t)file.st_blocks * 512, 34 * MIB);
    ss_arena_destroy(arena);
}

Test(arena, what_cannot_be_is_refused_with_the_numbers)
{
    struct ss_arena *arena = 0;
    cr_assert_eq(ss_arena_create(0, 0, &arena), SS_INVALID);
    cr_assert_eq(ss_arena_create(SIZE_MAX, 0, &arena), SS_INVALID);
    cr_assert_eq(ss_arena_create(10 * MIB, 9 * MIB, &arena), SS_NO_MEMORY);
    cr_assert(strstr(ss_status_message(), "10485760") && strstr(ss_status_message(), "9437184"));
    cr_assert_eq(ss_arena_create((size_t)1 << 55, 0, &arena), SS_NO_MEMORY);
    cr_assert(strstr(ss_status_message(), "36028797018963968"));
    cr_assert_null(arena);
    cr_assert_eq(ss_arena_create(4 * MIB, 4 * MIB, &arena), SS_OK);
    cr_assert_eq(ss_arena_reserve(arena, 3 * MIB, MIB + 1, 1), SS_INVALID);
    cr_assert_eq(ss_arena_reserve(arena, 5 * MIB, 0, 1), SS_INVALID);
    cr_assert_eq(ss_arena_reserve(arena, 4 * MIB, 0, 1), SS_OK);
    ss_arena_destroy(arena);
}

Test(arena, cannot_be_shrunk_by_anybody)
{
    struct ss_arena *arena;
    cr_assert_eq(ss_arena_create(4 * MIB, 0, &arena), SS_OK);
    cr_assert_neq(ftruncate(ss_arena_fd(arena), 0), 0);
    cr_assert_neq(ftruncate(ss_arena_fd(arena), (off_t)(8 * MIB)), 0);
    cr_assert(fcntl(ss_arena_fd(arena), F_GETFD) & FD_CLOEXEC);
    ss_arena_destroy(arena);
}

Test(arena, only_an_arena_can_be_attached)
{
    struct ss_arena *arena = 0, *made;
    int plain = memfd_create("test", MFD_CLOEXEC);
    cr_assert_eq(ftruncate(plain, (off_t)(4 * MIB)), 0);
    /* It could be cut off under our feet. */
    cr_assert_eq(ss_arena_attach(plain, 4 * MIB, &arena), SS_INVALID);
    cr_assert(strstr(ss_status_message(), "sealed"));
    cr_assert_eq(ss_arena_create(4 * MIB, 0, &made), SS_OK);
    cr_assert_eq(ss_arena_attach(ss_arena_fd(made), 6 * MIB, &arena), SS_INVALID);
    cr_assert(strstr(ss_status_message(), "4194304") && strstr(ss_status_message(), "6291456"));
    cr_assert_null(arena);
    close(plain);
    ss_arena_destroy(made);
}

static void socket_name(char *name, size_t size, const char *test)
{
    snprintf(name, size, "swapserve-test-%s-%d", test, (int)getpid());
}

/* A receiver's life; its exit status says where it failed. */
static int receive_and_answer(const char *name, size_t bytes, size_t offset)
{
    struct ss_arena *arena;
    int fd;
    if (ss_arena_receive_fd(name, 20000, &fd))
        return 2;
    if (ss_arena_attach(fd, bytes, &arena))
        return 3;
    if (ss_arena_reserve(arena, offset, MIB, 1))
        return 4;
    if (strcmp(ss_arena_at(arena, 100), "from the sender") != 0)
        return 5;
    memcpy(ss_arena_at(arena, offset), "answer", 7);
    ss_arena_destroy(arena);
    return 0;
}

Test(arena, passes_between_processes)
{
    enum { RECEIVERS = 3 };
    struct ss_arena *arena;
    char name[64];
    pid_t children[RECEIVERS];
    socket_name(name, sizeof name, "pass");
    /* The receivers come before the sender: they wait. */
    for (int i = 0; i < RECEIVERS; i++) {
        children[i] = fork();
        cr_assert_geq(children[i], 0);
        if (children[i] == 0)
            _exit(receive_and_answer(name, 8 * MIB, (size_t)(i + 1) * 2 * MIB));
    }
    usleep(30000);
    cr_assert_eq(ss_arena_create(8 * MIB, 0, &arena), SS_OK);
    snprintf(ss_arena_at(arena, 100), 32, "from the sender");
    cr_assert_eq(ss_arena_send_fd(ss_arena_fd(arena), name, RECEIVERS, 20000), SS_OK, "%s",
                 ss_status_message());
    for (int i = 0; i < RECEIVERS; i++) {
        int status;
        cr_assert_eq(waitpid(children[i], &status, 0), children[i]);
        cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0, "receiver %d: %d", i, status);
        cr_assert_str_eq(ss_arena_at(arena, (size_t)(i + 1) * 2 * MIB), "answer");
    }
    ss_arena_destroy(arena);
}

Test(arena, both_ends_give_up_in_time)
{
    char name[64], long_name[200];
    int fd = -7;
    socket_name(name, sizeof name, "give-up");
    uint64_t begin_ns = ss_now_ns();
    cr_assert_eq(ss_arena_receive_fd(name, 60, &fd), SS_TIMEOUT);
    cr_assert_eq(ss_arena_send_fd(0, name, 1, 60), SS_TIMEOUT);
    cr_assert(strstr(ss_status_message(), "0 of 1"));
    cr_assert_geq(ss_now_ns() - begin_ns, 120 * SS_NS_PER_MS);
    memset(long_name, 'x', sizeof long_name - 1);
    long_name[sizeof long_name - 1] = 0;
    cr_assert_eq(ss_arena_send_fd(0, long_name, 1, 60), SS_INVALID);
    cr_assert_eq(ss_arena_receive_fd("", 60, &fd), SS_INVALID);
    cr_assert_eq(fd, -7);
}

Test(arena, planted_faults_are_clean)
{
    static const enum ss_fault_kind kinds[] = {SS_FAULT_ALLOC, SS_FAULT_FILE};
    for (int k = 0; k < 2; k++) {
        bool done = false;
        uint64_t nth = 1;
        for (; !done; nth++) {
            struct ss_arena *arena = 0, *other = 0;
            ss_fault_arm(kinds[k], nth);
            enum ss_status status = ss_arena_create(2 * MIB, 0, &arena);
            if (!status)
                status = ss_arena_reserve(arena, 0, 2 * MIB, 1);
            int fd = arena ? dup(ss_arena_fd(arena)) : -1;
            if (!status)
                status = ss_arena_attach(fd, 2 * MIB, &other);
            done = ss_fault_count(kinds[k]) < nth;
            ss_fault_arm(kinds[k], 0);
            cr_assert_eq(status == SS_OK, done, "%s", ss_status_message());
            if (other)
                ss_arena_destroy(other);
            else if (fd >= 0)
                cr_assert_eq(close(fd), 0);
            if (arena)
                ss_arena_destroy(arena);
        }
        cr_assert_gt(nth, 2);
    }
}
