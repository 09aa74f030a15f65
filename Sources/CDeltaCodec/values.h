/* Between floats and what is coded of them: the loops over every value that a compiler makes vectors of. */
#ifndef CDELTA_VALUES_H
#define CDELTA_VALUES_H

#include <stdint.h>

/* Floats arrive as float *, as bytes from HDF5, and from any byte of a chunk; here their bits are all that matters. */
typedef uint32_t __attribute__((may_alias, aligned(1))) float_bits;

/* One clone per width of vector. */
#if defined(__x86_64__) && defined(__linux__)
#define VECTOR_CLONES __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define VECTOR_CLONES
#endif

/* An integer that orders as the float does, with +0 at 0; its own inverse. */
static inline uint32_t ordered(uint32_t bits) { return bits ^ ((uint32_t)((int32_t)bits >> 31) >> 1); }

/* Small differences of either sign to small numbers. */
static inline uint32_t zigzag(uint32_t difference) {
    return (difference << 1) ^ (uint32_t)((int32_t)difference >> 31);
}

static inline uint32_t unzigzag(uint32_t coded) { return (coded >> 1) ^ (0u - (coded & 1)); }

/* coded = zigzag(ordered(value) - ordered(reference)) + 1, modulo 2^32. */
void cdelta_subtract(const float_bits *values, const float_bits *reference, uint32_t *coded, uint32_t count);

/* The symbols of what is coded: its bits below the highest. Returns the sum of them and of all exponents. */
uint64_t cdelta_count_bits(const uint32_t *coded, const float_bits *reference, uint8_t *symbols,
                           uint32_t count);

/* The context of each value, times CODE_VALUES: its reference's exponent less `base`, clamped to 0 to 15. */
void cdelta_find_contexts(const float_bits *reference, uint8_t base, uint16_t *contexts, uint32_t count);

/* The symbols of rotated values, which are alone, below the largest exponent. */
void cdelta_alone_symbols(const uint32_t *rotated, uint8_t top, uint8_t *symbols, uint32_t count);

/* The largest exponent of rotated values. */
uint8_t cdelta_largest_exponent(const uint32_t *rotated, uint32_t count);

/* exponent, mantissa, sign from high to low bits, and back. */
void cdelta_rotate(const float_bits *values, uint32_t *rotated, uint32_t count);
void cdelta_unrotate(const uint32_t *rotated, float_bits *values, uint32_t count);

#endif
