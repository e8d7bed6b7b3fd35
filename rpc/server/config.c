#include "rpc/server/door.h"

#define KIB 1024ull
#define MIB (1024 * KIB)

void ss_server_config_default(struct ss_server_config *config)
{
    *config = (struct ss_server_config){
        .requests_max = 8192,
        .controls_max = 256,
        .clients_max = 1024,
        .request_bytes_max = 1 * MIB,
        .client_buffer_bytes_max = 4 * MIB,
        .reply_queue_max = 65536,
        .send_hwm = 1000,
        .receive_hwm = 64,
        .heartbeat_ms = 5000,
        .heartbeat_timeout_ms = 15000,
        .probe_ms = 1000,
        .linger_ms = 2000,
    };
}

static enum ss_status check_range(const char *key, uint64_t value, uint64_t min, uint64_t max)
{
    if (value < min || value > max)
        return ss_fail(SS_INVALID, "server: %s: found %llu, want %llu to %llu", key,
                       (unsigned long long)value, (unsigned long long)min, (unsigned long long)max);
    return SS_OK;
}

static enum ss_status check_keys(const struct ss_server_config *config)
{
    uint8_t key[SS_CURVE_KEY_BYTES];
    if (!config->curve_secret_key && config->curve_client_key_count > 0)
        return ss_fail(SS_INVALID, "server: client keys without a secret key of the server: "
                                   "connections would be in plain text");
    if (!config->curve_secret_key)
        return SS_OK;
    if (!zmq_has("curve"))
        return ss_fail(SS_UNSUPPORTED, "server: this libzmq was built without CURVE");
    if (config->curve_client_key_count == 0)
        return ss_fail(SS_INVALID, "server: a secret key without client keys would let nobody in");
    enum ss_status status =
        ss_curve_key_decode(config->curve_secret_key, "the server's secret key", key);
    for (size_t i = 0; !status && i < config->curve_client_key_count; i++)
        status = ss_curve_key_decode(config->curve_client_keys[i], "a client's public key", key);
    return status;
}

enum ss_status ss_server_config_check(const struct ss_server_config *config)
{
    const struct {
        const char *key;
        uint64_t value, min, max;
    } ranges[] = {
        {"endpoints", config->endpoint_count, 1, 64},
        {"requests_max", config->requests_max, 1, 1 << 22},
        {"controls_max", config->controls_max, 1, 1 << 16},
        {"clients_max", config->clients_max, 1, 1 << 20},
        {"request_bytes_max", config->request_bytes_max, 256, 1024 * MIB},
        {"client_buffer_bytes_max", config->client_buffer_bytes_max, 4096, 1024 * 1024 * MIB},
        {"reply_queue_max", config->reply_queue_max, 1, 1 << 24},
        {"send_hwm", (uint64_t)config->send_hwm, 1, 1 << 20},
        {"receive_hwm", (uint64_t)config->receive_hwm, 1, 1 << 20},
        {"heartbeat_ms", config->heartbeat_ms, 0, 6553599},
        {"heartbeat_timeout_ms", config->heartbeat_timeout_ms, 0, 6553599},
        {"probe_ms", config->probe_ms, 1, 3600000},
        {"linger_ms", config->linger_ms, 0, 3600000},
    };
    for (size_t i = 0; i < sizeof ranges / sizeof ranges[0]; i++) {
        enum ss_status status =
            check_range(ranges[i].key, ranges[i].value, ranges[i].min, ranges[i].max);
        if (status)
            return status;
    }
    return check_keys(config);
}
