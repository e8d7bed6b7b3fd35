/* Random numbers as a pure function of (seed, index): no state, the same on every machine. */
#ifndef SS_BASE_RANDOM_H
#define SS_BASE_RANDOM_H

#include <stdint.h>

/* 64 well-mixed bits of (SEED, INDEX): SplitMix64's finaliser over both (Steele, Lea, Flood, "Fast
 * splittable pseudorandom number generators", OOPSLA 2014). */
static inline uint64_t ss_random_u64(uint64_t seed, uint64_t index)
{
    uint64_t z = seed + 0x9e3779b97f4a7c15ull * (index + 1);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
    return z ^ (z >> 31);
}

/* Uniform in [0, 1), 53 bits. */
static inline double ss_random_unit(uint64_t seed, uint64_t index)
{
    return (double)(ss_random_u64(seed, index) >> 11) * 0x1.0p-53;
}

#endif
