/* Writes JSON to a stream, indented by two spaces. NAME is the key within an object, null within
 * an array. */
#ifndef SS_RPC_CTL_JSON_H
#define SS_RPC_CTL_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct json {
    FILE *stream;
    int depth;
    bool first; /* nothing was written at this depth yet */
};

struct json json_open(FILE *stream);
void json_close(struct json *json); /* ends the line */
void json_object_begin(struct json *json, const char *name);
void json_object_end(struct json *json);
void json_array_begin(struct json *json, const char *name);
void json_array_end(struct json *json);
void json_text(struct json *json, const char *name, const char *text, size_t bytes);
void json_string(struct json *json, const char *name, const char *text);
void json_u64(struct json *json, const char *name, uint64_t value);
void json_number(struct json *json, const char *name, double value);
void json_bool(struct json *json, const char *name, bool value);

#endif
