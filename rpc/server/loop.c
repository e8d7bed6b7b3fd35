#include "engine/base/clock.h"
#include "engine/base/log.h"
#include "rpc/server/door.h"

#include <errno.h>

/* Requests taken in before answers are looked at again. */
#define RECEIVE_BUDGET 64
/* ZeroMQ does not tell when one certain client of a ROUTER can take more: while answers wait,
 * they are tried again this often. */
#define RETRY_MS 5
/* ZeroMQ's own thread takes this long at most to fill the socket's queue from the connections. */
#define REFILL_MS 20
/* Those who go on sending to a server that ends are cut off after so long. */
#define LAST_CALL_MS 300
/* Those who go on reading are waited for so many times linger_ms, and as long again. */
#define PATIENCE 15

static long poll_timeout_ms(const struct ss_server *server)
{
    if (server->table.waiting_clients > 0)
        return RETRY_MS;
    if (server->table.submit_count + server->table.control_count > 0)
        return (long)server->config.probe_ms;
    return -1;
}

static void wait_for_work(struct ss_server *server, long timeout_ms)
{
    zmq_pollitem_t items[] = {
        {.socket = server->router, .events = ZMQ_POLLIN},
        {.fd = server->outbox.fd, .events = ZMQ_POLLIN},
        {.socket = server->zap.socket, .events = ZMQ_POLLIN},
    };
    int count = server->zap.socket ? 3 : 2;
    if (zmq_poll(items, count, timeout_ms) < 0 && errno != EINTR)
        SS_ERROR("server: polling: %s", zmq_strerror(errno));
}

/* What has come is taken in, as nobody would ever answer it later. */
static void take_in_the_rest(struct ss_server *server)
{
    zmq_pollitem_t item = {.socket = server->router, .events = ZMQ_POLLIN};
    uint64_t deadline_ns = ss_now_ns() + LAST_CALL_MS * SS_NS_PER_MS;
    while (ss_now_ns() < deadline_ns && zmq_poll(&item, 1, REFILL_MS) > 0) {
        ss_door_receive(server, RECEIVE_BUDGET);
        ss_door_deliver(server);
        ss_door_flush(server);
    }
}

/* For as long as clients take something; false if at last they took nothing for linger_ms. */
static bool send_the_rest(struct ss_server *server)
{
    uint64_t linger_ns = server->config.linger_ms * SS_NS_PER_MS, now_ns = ss_now_ns();
    uint64_t end_ns = now_ns + PATIENCE * linger_ns, idle_ns = now_ns + linger_ns;
    uint64_t sent = server->counters.sent;
    while (server->table.waiting_clients > 0 && now_ns < end_ns && now_ns < idle_ns) {
        ss_sleep_until_ns(now_ns + RETRY_MS * SS_NS_PER_MS);
        ss_door_flush(server);
        now_ns = ss_now_ns();
        if (server->counters.sent != sent)
            idle_ns = now_ns + linger_ns;
        sent = server->counters.sent;
    }
    return now_ns < idle_ns;
}

static void wind_up(struct ss_server *server)
{
    int linger_ms = (int)server->config.linger_ms;
    take_in_the_rest(server);
    ss_reply_queue_close(&server->outbox);
    ss_door_deliver(server);
    bool taken = send_the_rest(server);
    if (server->table.waiting_clients > 0) {
        ss_door_give_up(server);
        taken = send_the_rest(server);
    }
    /* What the socket itself holds: ZeroMQ does not tell how it gets on with that. */
    ss_door_close(server, taken ? PATIENCE * linger_ms : linger_ms);
}

void *ss_door_run(void *argument)
{
    struct ss_server *server = argument;
    bool more = false;
    ss_reply_queue_set_reader(&server->outbox);
    while (!server->stopping) {
        wait_for_work(server, more ? 0 : poll_timeout_ms(server));
        if (server->zap.socket)
            ss_zap_process(&server->zap);
        ss_door_deliver(server);
        if (server->table.waiting_clients > 0)
            ss_door_flush(server);
        more = ss_door_receive(server, RECEIVE_BUDGET);
        uint64_t now_ns = ss_now_ns();
        if (now_ns >= server->probe_at_ns) {
            ss_door_probe(server, now_ns);
            server->probe_at_ns = now_ns + server->config.probe_ms * SS_NS_PER_MS / 2;
        }
    }
    wind_up(server);
    return 0;
}
