/* Who may come in: the ZeroMQ authentication protocol (https://rfc.zeromq.org/spec/27/).
 *
 * CURVE without this encrypts, but lets anyone in. The handler allows the listed client keys. */
#ifndef SS_RPC_SERVER_ZAP_H
#define SS_RPC_SERVER_ZAP_H

#include <stddef.h>
#include <stdint.h>

#include "engine/base/status.h"

#define SS_ZAP_DOMAIN      "swapserve"
#define SS_CURVE_KEY_BYTES 32
#define SS_CURVE_KEY_CHARS 40

struct ss_zap {
    void *socket;
    uint8_t (*keys)[SS_CURVE_KEY_BYTES];
    size_t key_count;
};

/* Decodes 40 characters of Z85; SS_INVALID names WHAT, but not the key. */
SS_MUST_CHECK enum ss_status ss_curve_key_decode(const char *text, const char *what,
                                                 uint8_t out[SS_CURVE_KEY_BYTES]);

/* Binds the context's handler, to be done before a socket with SS_ZAP_DOMAIN is bound. */
SS_MUST_CHECK enum ss_status ss_zap_create(struct ss_zap *zap, void *context,
                                           const char *const *keys, size_t key_count);
/* Closes the socket, without lingering; a zeroed one is allowed. */
void ss_zap_destroy(struct ss_zap *zap);

/* Answers every question that waits on the socket; never blocks. */
void ss_zap_process(struct ss_zap *zap);

#endif
