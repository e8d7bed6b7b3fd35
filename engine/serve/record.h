/* What a run computed, to be computed again: every entry as it was sent, and a hash of the bits of
 * each batch's logits. experiments/exact-swapping/replay.c reads both. */
#ifndef SS_ENGINE_RECORD_H
#define SS_ENGINE_RECORD_H

#include <stddef.h>
#include <stdint.h>

#include "engine/base/status.h"

struct ss_record;

/* A fresh file at PATH; its writer keeps to one of the two kinds below, and to one thread. */
SS_MUST_CHECK enum ss_status ss_record_create(const char *path, struct ss_record **out);

/* Its length as four bytes, then the message. */
void ss_record_entry(struct ss_record *record, const void *message, size_t bytes);

/* Two numbers of eight bytes: the batch's and the hash. */
void ss_record_logits(struct ss_record *record, uint64_t number, uint64_t hash);

/* Of COUNT rows. */
uint64_t ss_record_hash(const float *logits, uint32_t count, uint32_t vocab);

/* Null is fine. SS_IO where something could not be written. */
SS_MUST_CHECK enum ss_status ss_record_close(struct ss_record *record);

/* The file of logits beside the entries' file PATH. */
SS_MUST_CHECK enum ss_status ss_record_logits_path(const char *path, char *out, size_t bytes_max);

#endif
