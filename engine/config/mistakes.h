/* Mistakes of one file, collected so that all of them are reported at once, in the file's order. */
#ifndef SS_CONFIG_MISTAKES_H
#define SS_CONFIG_MISTAKES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "engine/base/status.h"

/* Enough for any file that people write; what a broken one has beyond these is only counted. */
#define SS_MISTAKES_MAX 1000

struct ss_mistake {
    int line, column; /* from 1; 0: the file as a whole */
    size_t order;
    char *text;
};

struct ss_mistakes {
    size_t count; /* noted */
    struct ss_mistake items[SS_MISTAKES_MAX];
};

SS_MUST_CHECK enum ss_status ss_mistakes_create(struct ss_mistakes **out);
void ss_mistakes_destroy(struct ss_mistakes *mistakes);

/* Notes that KEY (null: none) at LINE and COLUMN is wrong. A mistake beyond the limit, or one for
 * whose text there is no memory, is only counted. */
void ss_mistakes_add(struct ss_mistakes *mistakes, int line, int column, const char *key,
                     const char *format, ...) __attribute__((format(printf, 5, 6)));

/* True when no more can be noted: a reader may stop. */
bool ss_mistakes_full(const struct ss_mistakes *mistakes);

/* Writes "FILE:LINE:COLUMN: KEY: ..." lines to STREAM, in the order of the file. */
void ss_mistakes_print(struct ss_mistakes *mistakes, const char *file, FILE *stream);

#endif
