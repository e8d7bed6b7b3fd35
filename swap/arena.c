#include "swap/arena.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/memfd.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "engine/base/assert.h"
#include "engine/base/fault.h"
#include "engine/base/memory.h"
#include "swap/memory_limit.h"
#include "swap/threads.h"

/* Reserving goes in steps: memory may run out under way, and a step lost to a signal is small. */
#define STEP_BYTES ((size_t)64 << 20)
/* What one of several threads takes at once: a divisor of STEP_BYTES, in whole huge pages. */
#define THREAD_STEP_BYTES ((size_t)4 << 20)
/* Left to everything else on the machine, several ranks taking their steps at once included. */
#define SPARE_BYTES ((uint64_t)64 << 20)
#define SEALS       (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)

struct ss_arena {
    int fd;
    size_t bytes;
    unsigned char *base;
    bool huge; /* of the kernel's pool of huge pages, which mapping has reserved already */
};

static int planted(int result)
{
    if (!ss_fault(SS_FAULT_FILE))
        return result;
    errno = EIO;
    return -1;
}

/* Maps FD at a multiple of SS_ARENA_ALIGN, which huge pages need. */
static enum ss_status map(struct ss_arena *arena)
{
    size_t span = arena->bytes + SS_ARENA_ALIGN;
    unsigned char *space =
        mmap(0, span, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (space == MAP_FAILED || planted(0))
        goto failed;
    size_t before = (SS_ARENA_ALIGN - (uintptr_t)space % SS_ARENA_ALIGN) % SS_ARENA_ALIGN;
    arena->base = mmap(space + before, arena->bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED,
                       arena->fd, 0);
    if (arena->base == MAP_FAILED)
        goto failed;
    if (before)
        munmap(space, before);
    munmap(space + before + arena->bytes, SS_ARENA_ALIGN - before);
    /* Advice: without huge pages it only fills slower. */
    (void)madvise(arena->base, arena->bytes, MADV_HUGEPAGE);
    return SS_OK;

failed:;
    int error = errno;
    if (space != MAP_FAILED)
        munmap(space, span);
    arena->base = 0;
    return ss_fail_errno(SS_NO_MEMORY, error, "host arena: cannot map %zu bytes", arena->bytes);
}

static enum ss_status open_file(struct ss_arena *arena)
{
    unsigned flags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
    if (arena->huge)
        flags |= MFD_HUGETLB | MFD_HUGE_2MB;
    arena->fd = planted(0) ? -1 : memfd_create("swapserve-arena", flags);
    if (arena->fd < 0)
        return ss_fail_errno(SS_NO_MEMORY, errno, "host arena: memfd_create");
    /* Sealed against shrinking: no process can make another's access a SIGBUS. */
    if (planted(ftruncate(arena->fd, (off_t)arena->bytes)) ||
        planted(fcntl(arena->fd, F_ADD_SEALS, SEALS)))
        return ss_fail_errno(SS_NO_MEMORY, errno, "host arena: a memory file of %zu bytes",
                             arena->bytes);
    return map(arena);
}

static void close_file(struct ss_arena *arena)
{
    if (arena->base)
        munmap(arena->base, arena->bytes);
    if (arena->fd >= 0)
        close(arena->fd);
    arena->base = 0;
    arena->fd = -1;
}

static enum ss_status check_limits(size_t bytes, size_t limit_bytes,
                                   const struct ss_memory_limit *limit)
{
    if (limit_bytes && bytes > limit_bytes)
        return ss_fail(SS_NO_MEMORY,
                       "host arena: %zu bytes are needed, the configured limit is %zu", bytes,
                       limit_bytes);
    if (bytes <= limit->huge_bytes)
        return SS_OK;
    if (limit->available_bytes < SPARE_BYTES || bytes > limit->available_bytes - SPARE_BYTES)
        return ss_fail(SS_NO_MEMORY,
                       "host arena: %zu bytes are needed, %s has %llu (and %llu must stay free)",
                       bytes, limit->source, (unsigned long long)limit->available_bytes,
                       (unsigned long long)SPARE_BYTES);
    return SS_OK;
}

enum ss_status ss_arena_create(size_t bytes, size_t limit_bytes, struct ss_arena **out)
{
    struct ss_memory_limit limit;
    struct ss_arena *arena;
    if (bytes == 0 || bytes > PTRDIFF_MAX - SS_ARENA_ALIGN)
        return ss_fail(SS_INVALID, "host arena: %zu bytes cannot be", bytes);
    bytes = (bytes + SS_ARENA_ALIGN - 1) / SS_ARENA_ALIGN * SS_ARENA_ALIGN;
    ss_memory_limit_read("", &limit);
    enum ss_status status = check_limits(bytes, limit_bytes, &limit);
    if (!status)
        status = ss_alloc(&arena, 1, sizeof *arena, "host arena");
    if (status)
        return status;
    *arena = (struct ss_arena){.fd = -1, .bytes = bytes, .huge = bytes <= limit.huge_bytes};
    status = open_file(arena);
    if (status && arena->huge) {
        /* Somebody else took the huge pages meanwhile. */
        close_file(arena);
        arena->huge = false;
        limit.huge_bytes = 0;
        status = check_limits(bytes, limit_bytes, &limit);
        if (!status)
            status = open_file(arena);
    }
    if (status) {
        ss_arena_destroy(arena);
        return status;
    }
    *out = arena;
    return SS_OK;
}

enum ss_status ss_arena_attach(int fd, size_t bytes, struct ss_arena **out)
{
    struct stat file;
    struct statfs system;
    struct ss_arena *arena;
    bytes = (bytes + SS_ARENA_ALIGN - 1) / SS_ARENA_ALIGN * SS_ARENA_ALIGN;
    if (planted(fstat(fd, &file)) || planted(fstatfs(fd, &system)))
        return ss_fail_errno(SS_INVALID, errno, "host arena: descriptor %d", fd);
    if ((size_t)file.st_size != bytes)
        return ss_fail(SS_INVALID, "host arena: the file passed has %lld bytes, expected %zu",
                       (long long)file.st_size, bytes);
    int seals = fcntl(fd, F_GET_SEALS);
    if (seals < 0 || (seals & SEALS) != SEALS)
        return ss_fail(SS_INVALID, "host arena: the file passed is not a sealed memory file");
    enum ss_status status = ss_alloc(&arena, 1, sizeof *arena, "host arena");
    if (status)
        return status;
    *arena = (struct ss_arena){
        .fd = fd, .bytes = bytes, .huge = (unsigned long)system.f_type == HUGETLBFS_MAGIC};
    status = map(arena);
    if (status) {
        ss_free(arena);
        return status;
    }
    *out = arena;
    return SS_OK;
}

int ss_arena_fd(const struct ss_arena *arena)
{
    return arena->fd;
}

size_t ss_arena_bytes(const struct ss_arena *arena)
{
    return arena->bytes;
}

void *ss_arena_at(const struct ss_arena *arena, size_t offset)
{
    SS_ASSERT(offset <= arena->bytes);
    return arena->base + offset;
}

/* Touching through the mapping gets huge pages where fallocate would not; kernels before 5.14 know
 * only the latter. Both report what cannot be had. */
static int back(struct ss_arena *arena, size_t offset, size_t bytes)
{
    int result;
    do
        result = planted(madvise(arena->base + offset, bytes, MADV_POPULATE_WRITE));
    while (result && (errno == EINTR || errno == EAGAIN));
    if (!result || errno != EINVAL)
        return result;
    do
        result = fallocate(arena->fd, 0, (off_t)offset, (off_t)bytes);
    while (result && errno == EINTR);
    return result;
}

struct reserving {
    struct ss_arena *arena;
    size_t begin, end, page;
    pthread_mutex_t lock; /* for what follows */
    size_t next, allowed; /* steps begin at next; memory for all before allowed was there */
    size_t done_bytes;
    enum ss_status status;
    char message[SS_MESSAGE_BYTES];
};

static enum ss_status fail_reserving(const struct reserving *reserving, const char *why)
{
    return ss_fail(SS_NO_MEMORY, "host arena: reserved %zu of %zu bytes at %zu, then %s",
                   reserving->done_bytes, reserving->end - reserving->begin, reserving->begin, why);
}

/* Looks at what is left to take before each STEP_BYTES, however many threads share it. */
static enum ss_status allow(struct reserving *reserving)
{
    struct ss_memory_limit limit;
    char why[sizeof limit.source + 64];
    size_t left = reserving->end - reserving->allowed;
    size_t step = left < STEP_BYTES ? left : STEP_BYTES;
    ss_memory_limit_read("", &limit);
    if (!reserving->arena->huge && limit.available_bytes < step + SPARE_BYTES) {
        snprintf(why, sizeof why, "%s was down to %llu", limit.source,
                 (unsigned long long)limit.available_bytes);
        return fail_reserving(reserving, why);
    }
    reserving->allowed += step;
    return SS_OK;
}

static void keep_failure(struct reserving *reserving, enum ss_status status)
{
    if (!status || reserving->status)
        return;
    reserving->status = status;
    snprintf(reserving->message, sizeof reserving->message, "%s", ss_status_message());
}

/* With the lock held between steps. */
static void reserve_steps(void *user)
{
    struct reserving *reserving = user;
    pthread_mutex_lock(&reserving->lock);
    while (!reserving->status && reserving->next < reserving->end) {
        size_t at = reserving->next, left = reserving->end - at;
        size_t step = left < THREAD_STEP_BYTES ? left : THREAD_STEP_BYTES;
        if (at + step > reserving->allowed)
            keep_failure(reserving, allow(reserving));
        if (reserving->status)
            break;
        reserving->next += step;
        pthread_mutex_unlock(&reserving->lock);
        size_t whole = (step + reserving->page - 1) / reserving->page * reserving->page;
        int error = back(reserving->arena, at, whole) ? errno : 0;
        pthread_mutex_lock(&reserving->lock);
        if (error)
            keep_failure(reserving, fail_reserving(reserving, strerror(error)));
        else
            reserving->done_bytes += step;
    }
    pthread_mutex_unlock(&reserving->lock);
}

enum ss_status ss_arena_reserve(struct ss_arena *arena, size_t offset, size_t bytes, int threads)
{
    struct reserving reserving = {.arena = arena};
    if (offset > arena->bytes || bytes > arena->bytes - offset)
        return ss_fail(SS_INVALID, "host arena: %zu bytes at %zu reach past its end at %zu", bytes,
                       offset, arena->bytes);
    reserving.page = arena->huge ? SS_ARENA_ALIGN : (size_t)sysconf(_SC_PAGESIZE);
    reserving.begin = reserving.next = reserving.allowed = offset / reserving.page * reserving.page;
    reserving.end = offset + bytes;
    pthread_mutex_init(&reserving.lock, 0);
    ss_threads_run(threads, reserve_steps, &reserving);
    pthread_mutex_destroy(&reserving.lock);
    return reserving.status ? ss_fail(reserving.status, "%s", reserving.message) : SS_OK;
}

void ss_arena_destroy(struct ss_arena *arena)
{
    close_file(arena);
    ss_free(arena);
}
