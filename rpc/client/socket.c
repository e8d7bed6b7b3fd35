/* The connection: a DEALER socket, and a monitor that tells what becomes of it. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "engine/base/assert.h"
#include "rpc/client/client.h"

#define EVENTS                                                                    \
    (ZMQ_EVENT_HANDSHAKE_SUCCEEDED | ZMQ_EVENT_DISCONNECTED |                     \
     ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL | ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL | \
     ZMQ_EVENT_HANDSHAKE_FAILED_AUTH)

static int set_options(struct swapclient *client)
{
    int64_t bytes_max = (int64_t)client->reply_bytes_max;
    const struct {
        int option;
        int value;
    } options[] = {
        {ZMQ_LINGER, 0},
        {ZMQ_SNDHWM, 1000},
        {ZMQ_RCVHWM, 1000},
        /* Only for addresses: a name like localhost must not mean ::1 alone. */
        {ZMQ_IPV6, strncmp(client->endpoint, "tcp://[", 7) == 0},
        /* Long enough that the I/O thread sees a lost connection and gives this socket up before
         * libzmq reconnects and sends what is left in it. */
        {ZMQ_RECONNECT_IVL, 200},
        {ZMQ_RECONNECT_IVL_MAX, 2000},
        {ZMQ_HEARTBEAT_IVL, 5000},
        {ZMQ_HEARTBEAT_TIMEOUT, 15000},
    };
    for (size_t i = 0; i < sizeof options / sizeof options[0]; i++)
        if (zmq_setsockopt(client->dealer, options[i].option, &options[i].value, sizeof(int)))
            return -1;
    if (zmq_setsockopt(client->dealer, ZMQ_MAXMSGSIZE, &bytes_max, sizeof bytes_max))
        return -1;
    if (!client->keys[0])
        return 0;
    return zmq_setsockopt(client->dealer, ZMQ_CURVE_SERVERKEY, client->keys[0], 40) ||
           zmq_setsockopt(client->dealer, ZMQ_CURVE_PUBLICKEY, client->keys[1], 40) ||
           zmq_setsockopt(client->dealer, ZMQ_CURVE_SECRETKEY, client->keys[2], 40);
}

int client_connect(struct swapclient *client)
{
    char name[64];
    int linger = 0;
    snprintf(name, sizeof name, "inproc://monitor-%u", client->monitor_count++);
    client->dealer = zmq_socket(client->context, ZMQ_DEALER);
    client->monitor = zmq_socket(client->context, ZMQ_PAIR);
    if (client->dealer && client->monitor && !set_options(client) &&
        !zmq_setsockopt(client->monitor, ZMQ_LINGER, &linger, sizeof linger) &&
        !zmq_socket_monitor(client->dealer, name, EVENTS) && !zmq_connect(client->monitor, name) &&
        !zmq_connect(client->dealer, client->endpoint))
        return SWAPCLIENT_OK;
    int error = errno;
    client_disconnect(client, 0);
    return client_fail(error == EINVAL || error == EPROTONOSUPPORT ? SWAPCLIENT_E_INVALID
                                                                   : SWAPCLIENT_E_NO_MEMORY,
                       "%s: %s; want an endpoint like tcp://127.0.0.1:5555 or ipc:///path",
                       client->endpoint, zmq_strerror(error));
}

void client_disconnect(struct swapclient *client, int linger_ms)
{
    if (client->dealer) {
        zmq_socket_monitor(client->dealer, 0, 0);
        zmq_setsockopt(client->dealer, ZMQ_LINGER, &linger_ms, sizeof linger_ms);
        zmq_close(client->dealer);
    }
    if (client->monitor)
        zmq_close(client->monitor);
    client->dealer = 0;
    client->monitor = 0;
    client->connected = false;
}

static void note_trouble(struct swapclient *client, uint16_t event)
{
    const char *text = "";
    if (event == ZMQ_EVENT_HANDSHAKE_FAILED_AUTH)
        text = "the server refused this client's key";
    else if (event == ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL)
        text = "what listens there speaks no ZeroMQ, or has other keys";
    else if (event == ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL)
        text = "something listens there, but ended the handshake";
    pthread_mutex_lock(&client->mutex);
    snprintf(client->trouble, sizeof client->trouble, "%s", text);
    pthread_mutex_unlock(&client->mutex);
}

void client_watch(struct swapclient *client)
{
    uint8_t header[6];
    char address[256];
    /* Two frames: event and value; address. */
    while (client->monitor && zmq_recv(client->monitor, header, sizeof header, ZMQ_DONTWAIT) >= 0) {
        uint16_t event;
        memcpy(&event, header, sizeof event);
        zmq_recv(client->monitor, address, sizeof address, ZMQ_DONTWAIT);
        if (event == ZMQ_EVENT_HANDSHAKE_SUCCEEDED) {
            client->connected = true;
            note_trouble(client, 0);
        } else if (event == ZMQ_EVENT_DISCONNECTED) {
            client->lost |= client->connected;
            client->connected = false;
        } else {
            note_trouble(client, event);
        }
    }
}
