/* The sockets: made, set, bound and closed. */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "engine/base/fault.h"
#include "engine/base/memory.h"
#include "rpc/server/door.h"

#define ENDPOINT_BYTES_MAX 256
/* The kernel would let megabytes of small answers pile up for a slow client: a server that ends
 * could not tell for many seconds whether the client takes them. */
#define SEND_BUFFER_BYTES (256 << 10)

bool ss_door_fault(int error)
{
    if (!ss_fault(SS_FAULT_SOCKET))
        return false;
    errno = error;
    return true;
}

static enum ss_status set_int(void *socket, int option, int value, const char *name)
{
    if (ss_door_fault(ENOMEM) || zmq_setsockopt(socket, option, &value, sizeof value))
        return ss_fail(SS_IO, "server: setting %s to %d: %s", name, value, zmq_strerror(errno));
    return SS_OK;
}

static enum ss_status set_options(void *router, const struct ss_server_config *config)
{
    int heartbeat = (int)config->heartbeat_ms;
    int silence = (int)config->heartbeat_timeout_ms;
    const struct {
        int option;
        int value;
        const char *name;
    } options[] = {
        {ZMQ_ROUTER_MANDATORY, 1, "ROUTER_MANDATORY"},
        {ZMQ_ROUTER_HANDOVER, 1, "ROUTER_HANDOVER"},
        {ZMQ_SNDHWM, config->send_hwm, "SNDHWM"},
        {ZMQ_RCVHWM, config->receive_hwm, "RCVHWM"},
        {ZMQ_LINGER, 0, "LINGER"},
        {ZMQ_SNDBUF, SEND_BUFFER_BYTES, "SNDBUF"},
        {ZMQ_HEARTBEAT_IVL, heartbeat, "HEARTBEAT_IVL"},
        {ZMQ_HEARTBEAT_TIMEOUT, silence, "HEARTBEAT_TIMEOUT"},
    };
    enum ss_status status = SS_OK;
    for (size_t i = 0; !status && i < sizeof options / sizeof options[0]; i++)
        status = set_int(router, options[i].option, options[i].value, options[i].name);
    if (status)
        return status;
    /* Somewhat over the limit a request still gets an answer that says so; far over it, libzmq ends
     * the connection before it receives the bytes. */
    int64_t bytes_max = (int64_t)config->request_bytes_max * 2 + 65536;
    if (ss_door_fault(ENOMEM) ||
        zmq_setsockopt(router, ZMQ_MAXMSGSIZE, &bytes_max, sizeof bytes_max))
        return ss_fail(SS_IO, "server: setting MAXMSGSIZE: %s", zmq_strerror(errno));
    return SS_OK;
}

static enum ss_status set_curve(struct ss_server *server, const struct ss_server_config *config)
{
    if (!config->curve_secret_key)
        return SS_OK;
    enum ss_status status = ss_zap_create(&server->zap, server->context, config->curve_client_keys,
                                          config->curve_client_key_count);
    if (!status)
        status = set_int(server->router, ZMQ_CURVE_SERVER, 1, "CURVE_SERVER");
    if (status)
        return status;
    if (zmq_setsockopt(server->router, ZMQ_CURVE_SECRETKEY, config->curve_secret_key,
                       SS_CURVE_KEY_CHARS) ||
        zmq_setsockopt(server->router, ZMQ_ZAP_DOMAIN, SS_ZAP_DOMAIN, strlen(SS_ZAP_DOMAIN)))
        return ss_fail(SS_IO, "server: setting up CURVE: %s", zmq_strerror(errno));
    return SS_OK;
}

/* libzmq unlinks the path of an ipc endpoint before it binds it: it would take the clients of a
 * server that lives. */
static bool answers(const char *endpoint)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t length = strlen(endpoint);
    if (length < 6 || memcmp(endpoint, "ipc://", 6) != 0 || length - 6 >= sizeof address.sun_path)
        return false;
    memcpy(address.sun_path, endpoint + 6, length - 6);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return false;
    bool connected = connect(fd, (const struct sockaddr *)&address, sizeof address) == 0;
    close(fd);
    return connected;
}

static enum ss_status bind_one(struct ss_server *server, const char *endpoint)
{
    char bound[ENDPOINT_BYTES_MAX];
    size_t bytes = sizeof bound;
    if (answers(endpoint))
        return ss_fail(SS_IO, "server: %s: in use: another server answers there", endpoint);
    /* Of the next bind: with it on, an IPv4 address shows as an IPv6 one. */
    enum ss_status status =
        set_int(server->router, ZMQ_IPV6, strncmp(endpoint, "tcp://[", 7) == 0, "IPV6");
    if (status)
        return status;
    if (ss_door_fault(ENOMEM) || zmq_bind(server->router, endpoint)) {
        status =
            errno == EINVAL || errno == EPROTONOSUPPORT || errno == ENODEV ? SS_INVALID : SS_IO;
        return ss_fail(status,
                       "server: cannot listen on %s: %s; want an endpoint like "
                       "tcp://127.0.0.1:5555 or ipc:///run/swapserve.sock that is free",
                       endpoint, zmq_strerror(errno));
    }
    if (ss_door_fault(ENOMEM) || zmq_getsockopt(server->router, ZMQ_LAST_ENDPOINT, bound, &bytes))
        return ss_fail(SS_IO, "server: %s: %s", endpoint, zmq_strerror(errno));
    return ss_strdup(&server->endpoints[server->endpoint_count++], bound);
}

enum ss_status ss_door_open(struct ss_server *server, const struct ss_server_config *config)
{
    enum ss_status status = ss_alloc(&server->endpoints, config->endpoint_count,
                                     sizeof server->endpoints[0], "endpoints");
    if (status)
        return status;
    server->context = ss_door_fault(ENOMEM) ? 0 : zmq_ctx_new();
    if (!server->context)
        return ss_fail(SS_IO, "server: a ZeroMQ context: %s", zmq_strerror(errno));
    server->router = ss_door_fault(ENOMEM) ? 0 : zmq_socket(server->context, ZMQ_ROUTER);
    if (!server->router)
        return ss_fail(SS_IO, "server: a ZeroMQ socket: %s", zmq_strerror(errno));
    status = set_options(server->router, config);
    if (!status)
        status = set_curve(server, config);
    for (size_t i = 0; !status && i < config->endpoint_count; i++)
        status = bind_one(server, config->endpoints[i]);
    return status;
}

void ss_door_close(struct ss_server *server, int linger_ms)
{
    if (server->router) {
        zmq_setsockopt(server->router, ZMQ_LINGER, &linger_ms, sizeof linger_ms);
        zmq_close(server->router);
        server->router = 0;
    }
    ss_zap_destroy(&server->zap);
    /* Every socket is closed and lingers for a bounded time: this returns. */
    while (server->context && zmq_ctx_term(server->context) && errno == EINTR)
        continue;
    server->context = 0;
}
