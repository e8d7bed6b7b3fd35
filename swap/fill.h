/* Fills a shard's image in the arena: from a checkpoint folder, or with seeded random weights. */
#ifndef SS_SWAP_FILL_H
#define SS_SWAP_FILL_H

#include <stdint.h>

#include "engine/base/status.h"
#include "swap/image.h"

struct ss_checkpoint;

/* Opens FOLDER/model.safetensors, or the shards that FOLDER/model.safetensors.index.json names, and
 * checks every header (see safetensors.h for what a header must keep to). The files stay mapped or
 * open until close. */
SS_MUST_CHECK enum ss_status ss_checkpoint_open(const char *folder, struct ss_checkpoint **out);
void ss_checkpoint_close(struct ss_checkpoint *checkpoint);

/* The dtype and shape (rows, columns; a vector has one row) of tensor NAME; SS_NOT_FOUND names the
 * folder and the tensor. */
SS_MUST_CHECK enum ss_status ss_checkpoint_find(const struct ss_checkpoint *checkpoint,
                                                const char *name, enum ss_dtype *dtype,
                                                uint32_t *rows, uint32_t *columns);

/* Called as bytes are filled, from a filling thread, by one at a time. */
typedef void ss_fill_progress(void *user, size_t bytes);

/* Whether CHECKPOINT has every part of IMAGE, with the stated shape, in a dtype that can be served;
 * the first that it has not is named. Reads headers only. */
SS_MUST_CHECK enum ss_status ss_image_check(const struct ss_image *image,
                                            const struct ss_checkpoint *checkpoint);

/* Copies every part of IMAGE to BASE. All parts must exist with the stated shape and the tensor's
 * dtype (converting where a checkpoint mixes dtypes, from F32 to narrower by round-to-nearest-even
 * or from narrower to F32 exactly); missing tensors and wrong shapes are named. THREADS (1 at
 * least) share the chunks between them; the bytes do not depend on it. */
SS_MUST_CHECK enum ss_status ss_image_fill(const struct ss_image *image,
                                           const struct ss_checkpoint *checkpoint, void *base,
                                           int threads, ss_fill_progress *progress, void *user);

/* Seeded weights of plausible size, at memory speed: each element depends on SEED and the name and
 * position in the *whole* checkpoint tensor only, so that every (tp, pp) holds the same model.
 * Vectors of one row that scale (named "*norm*weight") are near 1, biases near 0, matrices have
 * standard deviation SCALE (0.02 is usual). THREADS as in ss_image_fill(). */
SS_MUST_CHECK enum ss_status ss_image_fill_random(const struct ss_image *image, uint64_t seed,
                                                  float scale, void *base, int threads,
                                                  ss_fill_progress *progress, void *user);

#endif
