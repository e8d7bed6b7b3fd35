#include "rpc/server/zap.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <zmq.h>

#include "engine/base/log.h"
#include "engine/base/memory.h"

#define ENDPOINT   "inproc://zeromq.zap.01"
#define FRAMES_MAX 7 /* version, request id, domain, address, identity, mechanism, credentials */

enum { FRAME_VERSION, FRAME_REQUEST, FRAME_DOMAIN, FRAME_ADDRESS, FRAME_MECHANISM = 5, FRAME_KEY };

struct frame {
    uint8_t bytes[256];
    size_t size;
};

enum ss_status ss_curve_key_decode(const char *text, const char *what,
                                   uint8_t out[SS_CURVE_KEY_BYTES])
{
    if (strlen(text) != SS_CURVE_KEY_CHARS)
        return ss_fail(SS_INVALID, "%s: found a key of %zu characters, want %d of Z85", what,
                       strlen(text), SS_CURVE_KEY_CHARS);
    if (!zmq_z85_decode(out, text))
        return ss_fail(SS_INVALID, "%s: the key is not Z85", what);
    return SS_OK;
}

enum ss_status ss_zap_create(struct ss_zap *zap, void *context, const char *const *keys,
                             size_t key_count)
{
    struct ss_zap made = {.key_count = key_count};
    int linger = 0;
    enum ss_status status = ss_alloc(&made.keys, key_count, sizeof made.keys[0], "client keys");
    for (size_t i = 0; !status && i < key_count; i++)
        status = ss_curve_key_decode(keys[i], "a client's public key", made.keys[i]);
    if (status)
        goto fail;
    made.socket = zmq_socket(context, ZMQ_REP);
    if (!made.socket || zmq_setsockopt(made.socket, ZMQ_LINGER, &linger, sizeof linger) ||
        zmq_bind(made.socket, ENDPOINT)) {
        status = ss_fail(SS_IO, "authentication handler: %s", zmq_strerror(errno));
        goto fail;
    }
    *zap = made;
    return SS_OK;
fail:
    ss_zap_destroy(&made);
    return status;
}

void ss_zap_destroy(struct ss_zap *zap)
{
    if (zap->socket)
        zmq_close(zap->socket);
    ss_free(zap->keys);
    *zap = (struct ss_zap){0};
}

static bool frame_is(const struct frame *frame, const char *text)
{
    return frame->size == strlen(text) && memcmp(frame->bytes, text, frame->size) == 0;
}

static bool allowed(const struct ss_zap *zap, const struct frame *frames, int count)
{
    if (count != FRAMES_MAX || !frame_is(&frames[FRAME_MECHANISM], "CURVE") ||
        !frame_is(&frames[FRAME_DOMAIN], SS_ZAP_DOMAIN) ||
        frames[FRAME_KEY].size != SS_CURVE_KEY_BYTES)
        return false;
    for (size_t i = 0; i < zap->key_count; i++)
        if (memcmp(zap->keys[i], frames[FRAME_KEY].bytes, SS_CURVE_KEY_BYTES) == 0)
            return true;
    return false;
}

/* The number of frames read, of which FRAMES holds the first FRAMES_MAX; 0 if none waits. */
static int receive(void *socket, struct frame *frames)
{
    int count = 0;
    int more = 1;
    while (more) {
        struct frame spare;
        struct frame *frame = count < FRAMES_MAX ? &frames[count] : &spare;
        size_t more_bytes = sizeof more;
        int size = zmq_recv(socket, frame->bytes, sizeof frame->bytes, ZMQ_DONTWAIT);
        if (size < 0)
            return 0;
        frame->size = (size_t)size < sizeof frame->bytes ? (size_t)size : sizeof frame->bytes;
        count++;
        if (zmq_getsockopt(socket, ZMQ_RCVMORE, &more, &more_bytes))
            return 0;
    }
    return count;
}

static void answer(void *socket, const struct frame *request, bool yes)
{
    const char *code = yes ? "200" : "400";
    const char *text = yes ? "OK" : "this public key is not listed";
    bool sent = zmq_send(socket, "1.0", 3, ZMQ_SNDMORE) >= 0 &&
                zmq_send(socket, request->bytes, request->size, ZMQ_SNDMORE) >= 0 &&
                zmq_send(socket, code, 3, ZMQ_SNDMORE) >= 0 &&
                zmq_send(socket, text, strlen(text), ZMQ_SNDMORE) >= 0 &&
                zmq_send(socket, "", 0, ZMQ_SNDMORE) >= 0 && zmq_send(socket, "", 0, 0) >= 0;
    if (!sent)
        SS_WARNING("authentication handler: %s", zmq_strerror(errno));
}

void ss_zap_process(struct ss_zap *zap)
{
    struct frame frames[FRAMES_MAX] = {0};
    int count;
    while ((count = receive(zap->socket, frames)) > 0) {
        bool yes = allowed(zap, frames, count);
        if (!yes)
            SS_WARNING("refused a client at %.*s: its key is not listed",
                       (int)frames[FRAME_ADDRESS].size, (const char *)frames[FRAME_ADDRESS].bytes);
        answer(zap->socket, &frames[FRAME_REQUEST], yes);
    }
}
