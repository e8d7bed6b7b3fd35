#include "rpc/wire/writer.h"

#include <string.h>

#include "engine/base/assert.h"

void ss_writer_open(struct ss_writer *writer)
{
    msgpack_sbuffer_init(&writer->buffer);
    msgpack_packer_init(&writer->packer, &writer->buffer, msgpack_sbuffer_write);
    writer->keys = 0;
    writer->failed = false;
}

void ss_writer_close(struct ss_writer *writer)
{
    msgpack_sbuffer_destroy(&writer->buffer);
}

enum ss_status ss_writer_check(const struct ss_writer *writer)
{
    if (writer->failed)
        return ss_fail(SS_NO_MEMORY, "out of host memory: a message of more than %zu bytes",
                       writer->buffer.size);
    return SS_OK;
}

void ss_writer_release(struct ss_writer *writer, void **bytes, size_t *size)
{
    *size = writer->buffer.size;
    *bytes = msgpack_sbuffer_release(&writer->buffer);
}

static void note(struct ss_writer *writer, int result)
{
    if (result != 0)
        writer->failed = true;
}

struct ss_map_mark ss_write_map_begin(struct ss_writer *writer)
{
    struct ss_map_mark mark = {.offset = writer->buffer.size, .keys = writer->keys};
    static const char header[3] = {(char)0xde, 0, 0};
    note(writer, msgpack_sbuffer_write(&writer->buffer, header, sizeof header));
    writer->keys = 0;
    return mark;
}

void ss_write_map_end(struct ss_writer *writer, struct ss_map_mark mark)
{
    SS_ASSERT(writer->keys <= UINT16_MAX);
    if (!writer->failed) {
        writer->buffer.data[mark.offset + 1] = (char)(writer->keys >> 8);
        writer->buffer.data[mark.offset + 2] = (char)(writer->keys & 0xff);
    }
    writer->keys = mark.keys;
}

void ss_write_array(struct ss_writer *writer, size_t count)
{
    note(writer, msgpack_pack_array(&writer->packer, count));
}

void ss_write_key(struct ss_writer *writer, const char *key)
{
    writer->keys++;
    ss_write_string(writer, key);
}

void ss_write_u64(struct ss_writer *writer, uint64_t value)
{
    note(writer, msgpack_pack_uint64(&writer->packer, value));
}

void ss_write_fixed_u32(struct ss_writer *writer, uint32_t value)
{
    note(writer, msgpack_pack_fix_uint32(&writer->packer, value));
}

void ss_write_double(struct ss_writer *writer, double value)
{
    note(writer, msgpack_pack_double(&writer->packer, value));
}

void ss_write_bool(struct ss_writer *writer, bool value)
{
    note(writer, value ? msgpack_pack_true(&writer->packer) : msgpack_pack_false(&writer->packer));
}

void ss_write_nil(struct ss_writer *writer)
{
    note(writer, msgpack_pack_nil(&writer->packer));
}

void ss_write_text(struct ss_writer *writer, struct ss_text text)
{
    note(writer, msgpack_pack_str(&writer->packer, text.bytes));
    if (text.bytes > 0)
        note(writer, msgpack_pack_str_body(&writer->packer, text.data, text.bytes));
}

void ss_write_string(struct ss_writer *writer, const char *string)
{
    ss_write_text(writer, (struct ss_text){string, strlen(string)});
}

void ss_write_tokens(struct ss_writer *writer, const uint32_t *tokens, size_t count)
{
    ss_write_array(writer, count);
    for (size_t i = 0; i < count; i++)
        note(writer, msgpack_pack_uint32(&writer->packer, tokens[i]));
}
