/* Between floats and byte planes: the two loops that touch every value, in integers only. */
#ifndef CDELTA_PLANES_H
#define CDELTA_PLANES_H

#include <stdint.h>

/* Floats arrive as float *, and as bytes from HDF5; here their bits are all that matters. */
typedef uint32_t __attribute__((may_alias)) float_bits;

/* The loops are plain and the compiler's vectoriser does well on them: one clone per width of vector. */
#if defined(__x86_64__) && defined(__linux__)
#define VECTOR_CLONES __attribute__((target_clones("arch=x86-64-v4", "avx2", "default")))
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

/* The four byte planes of the coded differences `values` - `reference`. */
void cdelta_split(const float_bits *values, const float_bits *reference, uint8_t *const planes[4],
                  uint32_t count);

/* `values` = `reference` + the differences in `planes`. Nothing overlaps. */
void cdelta_merge(const uint8_t *const planes[4], const float_bits *reference, float_bits *values,
                  uint32_t count);

#endif
