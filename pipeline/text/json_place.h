/* Reading a parsed JSON file by member, so that every complaint says where in which file it is:
 *     tokenizer.json: at model.type: found "Unigram"; this can be "BPE"
 *
 * A place borrows the value and the file's name; it is copied freely and freed never. */
#ifndef SS_PIPELINE_TEXT_JSON_PLACE_H
#define SS_PIPELINE_TEXT_JSON_PLACE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/status.h"

#define SS_JSON_PATH_BYTES 192

struct ss_json_place {
    const char *file;
    json_t *value; /* null for a member that is absent or null */
    char path[SS_JSON_PATH_BYTES];
};

/* Goes to member KEY of *OBJECT; absent and null members give a null value. SS_INVALID if *OBJECT
 * is no object. */
SS_MUST_CHECK enum ss_status ss_json_member(const struct ss_json_place *object, const char *key,
                                            struct ss_json_place *out);

/* Goes to element INDEX, which exists, of the array at *ARRAY. */
void ss_json_element(const struct ss_json_place *array, size_t index, struct ss_json_place *out);

/* The number of elements of the array at *PLACE. SS_INVALID if it is none. */
SS_MUST_CHECK enum ss_status ss_json_array(const struct ss_json_place *place, size_t *count);

/* The value at *PLACE. SS_INVALID if it is of another type, or absent. */
SS_MUST_CHECK enum ss_status ss_json_string(const struct ss_json_place *place, const char **text);
SS_MUST_CHECK enum ss_status ss_json_bool(const struct ss_json_place *place, bool *flag);
SS_MUST_CHECK enum ss_status ss_json_id(const struct ss_json_place *place, uint32_t *id);

/* The bool in member KEY of *OBJECT, or OTHERWISE where it is absent. */
SS_MUST_CHECK enum ss_status ss_json_bool_or(const struct ss_json_place *object, const char *key,
                                             bool otherwise, bool *flag);

/* The string in member "type" of *OBJECT. */
SS_MUST_CHECK enum ss_status ss_json_type(const struct ss_json_place *object, const char **type);

/* Fails with STATUS and "FILE: at PATH: found VALUE; RIGHT". A long value is cut. */
enum ss_status ss_json_refuse(enum ss_status status, const struct ss_json_place *place,
                              const char *right);

/* Fails with STATUS and "FILE: at PATH: MESSAGE". */
enum ss_status ss_json_fail(enum ss_status status, const struct ss_json_place *place,
                            const char *format, ...) __attribute__((format(printf, 3, 4)));

#endif
