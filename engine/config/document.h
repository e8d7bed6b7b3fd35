/* A YAML file read by its schema: configurations, profiles, workloads.
 *
 * BASE is the struct that the schema's offsets are in, cleared by the caller. FINISH (may be null)
 * is called once after the walk, whatever mistakes that found: it may take the list's items
 * (reading->items, which it then sets to null), fills in what depends on several keys and notes
 * what they cannot be together. The result counts only if the status is SS_OK; BASE's texts are the
 * caller's to free either way.
 *
 * Every mistake is written to MISTAKES, one line each, "file:line:col: key: found ..., expected
 * ..."; then the status is SS_INVALID and its message counts them. */
#ifndef SS_CONFIG_DOCUMENT_H
#define SS_CONFIG_DOCUMENT_H

#include <stdio.h>

#include "engine/base/status.h"
#include "engine/config/walk.h"

/* Where a document is: BYTES at TEXT, called PATH in messages, whose relative paths start at FOLDER
 * (absolute); or, without TEXT, in the file PATH. */
struct ss_document_source {
    const char *path, *folder, *text;
    size_t bytes;
};

/* SS_IO and SS_INVALID where there is no file to read: the message says so, MISTAKES nothing. */
SS_MUST_CHECK enum ss_status ss_document_read(const struct ss_schema *schema,
                                              const struct ss_document_source *from, FILE *mistakes,
                                              void *base,
                                              enum ss_status (*finish)(struct ss_reading *));

/* Frees the texts of a struct that was filled; of the items of a list, and the list. */
void ss_document_release(const struct ss_schema *schema, void *base);
void ss_document_release_items(const struct ss_schema *schema, void *items, int item_count);

#endif
