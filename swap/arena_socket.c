#include <errno.h>
#include <poll.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "engine/base/clock.h"
#include "engine/base/fault.h"
#include "swap/arena.h"

#define RETRY_NS (5 * SS_NS_PER_MS)

static enum ss_status set_address(const char *name, struct sockaddr_un *address, socklen_t *length)
{
    size_t bytes = strlen(name);
    if (bytes == 0 || bytes > sizeof address->sun_path - 1)
        return ss_fail(SS_INVALID, "host arena: socket name \"%s\" must have 1 to %zu bytes", name,
                       sizeof address->sun_path - 1);
    memset(address, 0, sizeof *address);
    address->sun_family = AF_UNIX;
    /* A leading zero byte: the name is not in any folder and goes with the last socket. */
    memcpy(address->sun_path + 1, name, bytes);
    *length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + bytes);
    return SS_OK;
}

static enum ss_status open_socket(int *out)
{
    int made = ss_fault(SS_FAULT_FILE)
                   ? -1
                   : socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (made < 0)
        return ss_fail_errno(SS_IO, errno, "host arena: socket");
    *out = made;
    return SS_OK;
}

/* Abstract names have no permissions: anybody may listen under one or connect to it. */
static bool same_user(int socket_fd)
{
    struct ucred peer;
    socklen_t length = sizeof peer;
    return getsockopt(socket_fd, SOL_SOCKET, SO_PEERCRED, &peer, &length) == 0 &&
           peer.uid == geteuid();
}

static bool wait_readable(int socket_fd, uint64_t deadline_ns)
{
    for (;;) {
        uint64_t now_ns = ss_now_ns();
        uint64_t left_ms = now_ns < deadline_ns ? (deadline_ns - now_ns) / SS_NS_PER_MS + 1 : 0;
        struct pollfd poll_fd = {.fd = socket_fd, .events = POLLIN};
        int ready = poll(&poll_fd, 1, (int)left_ms);
        if (ready > 0)
            return true;
        if (left_ms == 0 || (ready < 0 && errno != EINTR))
            return false;
    }
}

union control {
    struct cmsghdr header;
    char bytes[CMSG_SPACE(sizeof(int))];
};

static bool give(int connection, int fd)
{
    char byte = 'a';
    union control control = {0};
    struct iovec part = {.iov_base = &byte, .iov_len = 1};
    struct msghdr message = {.msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = control.bytes,
                             .msg_controllen = sizeof control.bytes};
    control.header = (struct cmsghdr){
        .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(sizeof fd)};
    memcpy(CMSG_DATA(&control.header), &fd, sizeof fd);
    return sendmsg(connection, &message, MSG_NOSIGNAL) == 1;
}

/* The descriptor that came, or -1. */
static int take(int connection)
{
    char byte;
    int fd = -1;
    union control control = {0};
    struct iovec part = {.iov_base = &byte, .iov_len = 1};
    struct msghdr message = {.msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = control.bytes,
                             .msg_controllen = sizeof control.bytes};
    if (recvmsg(connection, &message, MSG_CMSG_CLOEXEC) != 1)
        return -1;
    const struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    if (header && header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_RIGHTS &&
        header->cmsg_len == CMSG_LEN(sizeof fd))
        memcpy(&fd, CMSG_DATA(header), sizeof fd);
    return fd;
}

enum ss_status ss_arena_send_fd(int fd, const char *name, int receivers, int timeout_ms)
{
    struct sockaddr_un address;
    socklen_t length;
    int listener;
    uint64_t deadline_ns = ss_now_ns() + (uint64_t)timeout_ms * SS_NS_PER_MS;
    enum ss_status status = set_address(name, &address, &length);
    if (!status)
        status = open_socket(&listener);
    if (status)
        return status;
    if (bind(listener, (struct sockaddr *)&address, length) || listen(listener, receivers + 1)) {
        status = ss_fail_errno(SS_IO, errno, "host arena: cannot listen under \"%s\"", name);
        goto close_listener;
    }
    for (int given = 0; given < receivers;) {
        if (!wait_readable(listener, deadline_ns)) {
            status = ss_fail(SS_TIMEOUT, "host arena: %d of %d ranks came to \"%s\" within %d ms",
                             given, receivers, name, timeout_ms);
            break;
        }
        int connection = accept4(listener, 0, 0, SOCK_CLOEXEC);
        if (connection < 0)
            continue;
        given += same_user(connection) && give(connection, fd);
        close(connection);
    }
close_listener:
    close(listener);
    return status;
}

/* One try: SS_EMPTY if nobody listens yet or the sender went without giving. */
static enum ss_status try_receive(const struct sockaddr_un *address, socklen_t length,
                                  uint64_t deadline_ns, int *fd)
{
    int connection;
    enum ss_status status = open_socket(&connection);
    if (status)
        return status;
    status = SS_EMPTY;
    if (connect(connection, (const struct sockaddr *)address, length) == 0 &&
        same_user(connection) && wait_readable(connection, deadline_ns)) {
        int taken = take(connection);
        if (taken >= 0) {
            *fd = taken;
            status = SS_OK;
        }
    }
    close(connection);
    return status;
}

enum ss_status ss_arena_receive_fd(const char *name, int timeout_ms, int *fd)
{
    struct sockaddr_un address;
    socklen_t length;
    uint64_t deadline_ns = ss_now_ns() + (uint64_t)timeout_ms * SS_NS_PER_MS;
    enum ss_status status = set_address(name, &address, &length);
    if (status)
        return status;
    for (;;) {
        status = try_receive(&address, length, deadline_ns, fd);
        if (status != SS_EMPTY)
            return status;
        if (ss_now_ns() >= deadline_ns)
            return ss_fail(SS_TIMEOUT, "host arena: nobody passed it under \"%s\" within %d ms",
                           name, timeout_ms);
        ss_sleep_until_ns(ss_now_ns() + RETRY_NS);
    }
}
