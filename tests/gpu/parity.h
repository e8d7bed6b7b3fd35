/* The same call on the CPU's operations, which are the reference, and on a CUDA instance.
 *
 * Inputs are random and exact in the CUDA instance's activation type, so that both see the same
 * values. Outputs are poisoned with NaN before each call. */
#ifndef SS_TESTS_GPU_PARITY_H
#define SS_TESTS_GPU_PARITY_H

#include "engine/base/random.h"
#include "pipeline/ops/ops.h"
#include "swap/device/device.h"
#include "tests/contract/check.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

enum { CPU, GPU, SIDES };

struct side {
    struct ss_device *device;
    struct ss_ops *ops;
    const struct ss_ops_table *table;
    struct ss_stream *stream;
    struct ss_timeline *timeline;
    uint64_t value;
    enum ss_dtype type;
    ss_device_address memory;
    size_t used;
};

struct pair {
    struct side sides[SIDES];
    double tolerance;
    uint64_t seed;
    double worst;
    int compared, failed; /* failed: since pair_open() */
    bool invariant;       /* the CUDA instance */
    bool brief;           /* each kernel, but few shapes: for tools that slow kernels down */
};

/* A block of memory on both sides. */
struct both {
    ss_device_address at[SIDES];
    size_t count;       /* elements */
    enum ss_dtype type; /* of activations and sums, on the CUDA side */
};

/* The statement that follows runs on each side in turn. */
#define ON_BOTH(pair, s) for (struct side *s = (pair)->sides; s < (pair)->sides + SIDES; s++)

static inline int index_of(const struct pair *pair, const struct side *side)
{
    return (int)(side - pair->sides);
}

/* KIND and INVARIANT: of the CUDA operations. */
void pair_open(struct pair *pair, const char *kind, bool invariant);
/* Returns how many comparisons failed. */
int pair_close(struct pair *pair);
/* Frees all blocks. */
void pair_forget(struct pair *pair);
/* The same, and prints what CASE compared. */
void pair_end(struct pair *pair, const char *name);

/* Activations; and unfinished products. */
struct both put_random(struct pair *pair, size_t count, float scale);
struct both put_poison(struct pair *pair, size_t count);
struct both put_random_sums(struct pair *pair, size_t count, float scale);
struct both put_poison_sums(struct pair *pair, size_t count);
struct both put_bytes(struct pair *pair, const void *bytes, size_t count);
struct both put_ints(struct pair *pair, const int32_t *values, size_t count);
/* Random weights of a type, ROWS of 0 giving none. */
struct both put_weights(struct pair *pair, uint32_t rows, uint32_t columns, enum ss_dtype dtype);
/* The weight of SIDE at BLOCK in *OUT; null where there are none. */
const struct ss_weight *weight_at(const struct both *block, int side, uint32_t rows,
                                  uint32_t columns, enum ss_dtype dtype, struct ss_weight *out);

/* Activations or sums of both sides: relative distance within the tolerance, every element written.
 */
void compare(struct pair *pair, const struct both *block, size_t offset, size_t count,
             const char *what);
/* Integers of both sides: equal. */
void compare_ints(struct pair *pair, const struct both *block, size_t count, const char *what);
/* COUNT activations or sums of the CUDA side, from elements A and B of their blocks on: the same
 * bits. */
void compare_bits(struct pair *pair, const struct both *a, size_t a_at, const struct both *b,
                  size_t b_at, size_t count, const char *what);

/* parity_dense.c */
void parity_dense(struct pair *pair);

#endif
