#include "rpc/ctl/json.h"

#include <inttypes.h>
#include <string.h>

struct json json_open(FILE *stream)
{
    return (struct json){.stream = stream, .first = true};
}

void json_close(struct json *json)
{
    fputc('\n', json->stream);
}

static void write_quoted(FILE *stream, const char *text, size_t bytes)
{
    fputc('"', stream);
    for (size_t i = 0; i < bytes; i++) {
        unsigned char byte = (unsigned char)text[i];
        if (byte == '"' || byte == '\\')
            fprintf(stream, "\\%c", byte);
        else if (byte < 0x20 || byte == 0x7f)
            fprintf(stream, "\\u%04x", byte);
        else
            fputc(byte, stream);
    }
    fputc('"', stream);
}

static void begin_value(struct json *json, const char *name)
{
    if (!json->first)
        fputc(',', json->stream);
    if (json->depth > 0)
        fprintf(json->stream, "\n%*s", 2 * json->depth, "");
    if (name) {
        write_quoted(json->stream, name, strlen(name));
        fputs(": ", json->stream);
    }
    json->first = false;
}

static void begin(struct json *json, const char *name, char bracket)
{
    begin_value(json, name);
    fputc(bracket, json->stream);
    json->depth++;
    json->first = true;
}

static void end(struct json *json, char bracket)
{
    json->depth--;
    if (!json->first)
        fprintf(json->stream, "\n%*s", 2 * json->depth, "");
    fputc(bracket, json->stream);
    json->first = false;
}

void json_object_begin(struct json *json, const char *name)
{
    begin(json, name, '{');
}

void json_object_end(struct json *json)
{
    end(json, '}');
}

void json_array_begin(struct json *json, const char *name)
{
    begin(json, name, '[');
}

void json_array_end(struct json *json)
{
    end(json, ']');
}

void json_text(struct json *json, const char *name, const char *text, size_t bytes)
{
    begin_value(json, name);
    write_quoted(json->stream, text, bytes);
}

void json_string(struct json *json, const char *name, const char *text)
{
    json_text(json, name, text, strlen(text));
}

void json_u64(struct json *json, const char *name, uint64_t value)
{
    begin_value(json, name);
    fprintf(json->stream, "%" PRIu64, value);
}

void json_number(struct json *json, const char *name, double value)
{
    begin_value(json, name);
    fprintf(json->stream, "%.9g", value);
}

void json_bool(struct json *json, const char *name, bool value)
{
    begin_value(json, name);
    fputs(value ? "true" : "false", json->stream);
}
