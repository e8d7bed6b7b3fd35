/* Random inputs for the tests of operations: reproducible, and known in double precision. */
#ifndef SS_TESTS_UNIT_OPS_DATA_H
#define SS_TESTS_UNIT_OPS_DATA_H

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/random.h"
#include "pipeline/ops/cpu/kernels.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

static const enum ss_dtype dtypes[] = {SS_F32, SS_F16, SS_BF16};

static inline void *test_alloc(size_t bytes)
{
    void *memory = malloc(bytes ? bytes : 1);
    cr_assert(memory);
    return memory;
}

/* Uniform in [-1, 1). */
static inline float random_float(uint64_t seed, uint64_t index)
{
    return (float)(2 * ss_random_unit(seed, index) - 1);
}

static inline float *random_floats(size_t count, uint64_t seed)
{
    float *values = test_alloc(count * sizeof *values);
    for (size_t i = 0; i < count; i++)
        values[i] = random_float(seed, i);
    return values;
}

/* Weights of a stored type, and what they are worth. */
struct test_weights {
    void *data; /* null where there are none */
    enum ss_dtype dtype;
    double *values;
};

/* The value of a half: sign, five bits of exponent, ten of fraction; no infinities here. */
static inline double half_value(uint16_t bits)
{
    int exponent = bits >> 10 & 31, fraction = bits & 1023;
    double magnitude =
        exponent ? ldexp(1024 + fraction, exponent - 25) : ldexp((double)fraction, -24);
    return bits & 0x8000 ? -magnitude : magnitude;
}

static inline double bfloat_value(uint16_t bits)
{
    uint32_t wide = (uint32_t)bits << 16;
    float value;
    memcpy(&value, &wide, sizeof value);
    return value;
}

/* COUNT weights of magnitude about 2^-14 to 1. */
static inline struct test_weights random_weights(size_t count, enum ss_dtype dtype, uint64_t seed)
{
    struct test_weights weights = {.dtype = dtype,
                                   .data = test_alloc(count * 4),
                                   .values = test_alloc(count * sizeof(double))};
    uint16_t *halves = weights.data;
    for (size_t i = 0; i < count; i++) {
        uint64_t bits = ss_random_u64(seed, i);
        if (dtype == SS_F32) {
            ((float *)weights.data)[i] = random_float(seed, i);
            weights.values[i] = ((float *)weights.data)[i];
        } else if (dtype == SS_F16) {
            halves[i] = (uint16_t)(bits & 0xbbff); /* below 1, subnormals too */
            weights.values[i] = half_value(halves[i]);
        } else {
            halves[i] = (uint16_t)((bits & 0x87ff) | 0x3800);
            weights.values[i] = bfloat_value(halves[i]);
        }
    }
    return weights;
}

static inline void free_weights(struct test_weights *weights)
{
    free(weights->data);
    free(weights->values);
}

static inline struct ss_cpu_vector vector_of_weights(const struct test_weights *weights)
{
    return (struct ss_cpu_vector){.data = weights->data, .dtype = weights->dtype};
}

/* Says which instruction sets are compared, and which this machine lacks. */
static inline void print_sets(void)
{
    printf("instruction sets compared:");
    for (int i = 0; ss_cpu_kernels_at(i); i++)
        printf(" %s", ss_cpu_kernels_at(i)->name);
    printf("; any of avx512, avx2, portable not named is missing on this machine\n");
}

/* ||a - b|| / ||b|| */
static inline double distance(const float *a, const double *b, size_t count)
{
    double difference = 0, norm = 0;
    for (size_t i = 0; i < count; i++) {
        difference += (a[i] - b[i]) * (a[i] - b[i]);
        norm += b[i] * b[i];
    }
    return sqrt(difference / norm);
}

static inline void same_bits(const float *a, const float *b, size_t count, const char *what)
{
    for (size_t i = 0; i < count; i++)
        cr_assert_eq(memcmp(&a[i], &b[i], sizeof *a), 0, "%s: element %zu is %a and %a", what, i,
                     (double)a[i], (double)b[i]);
}

#endif
