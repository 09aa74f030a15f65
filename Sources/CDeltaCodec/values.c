#include "values.h"

#include "codes.h"

#include <string.h>

VECTOR_CLONES
void cdelta_subtract(const float_bits *restrict values, const float_bits *restrict reference,
                     uint32_t *restrict coded, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) coded[i] = zigzag(ordered(values[i]) - ordered(reference[i])) + 1;
}

/*
 * The place of the highest bit, by way of a float's exponent, as not every processor counts zeros in vectors;
 * 32 for 0, which stands for 2^32. Without the bit below the highest it cannot round up to the next power of
 * two.
 */
static inline uint32_t highest_bit(uint32_t coded) {
    float power = (float)(coded & ~(coded >> 1));
    uint32_t bits;
    memcpy(&bits, &power, sizeof bits);
    return coded == 0 ? 32 : (bits >> 23) - 127;
}

VECTOR_CLONES
uint64_t cdelta_count_bits(const uint32_t *restrict coded, const float_bits *restrict reference,
                           uint8_t *restrict symbols, uint32_t count) {
    uint64_t sum = 0;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t symbol = highest_bit(coded[i]);
        symbols[i] = (uint8_t)symbol;
        sum += symbol + (reference[i] >> 23 & 0xFF);
    }
    return sum;
}

VECTOR_CLONES
void cdelta_find_contexts(const float_bits *restrict reference, uint8_t base, uint16_t *restrict contexts,
                          uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        int32_t above = (int32_t)(reference[i] >> 23 & 0xFF) - base;
        int32_t context = above < 0 ? 0 : above > CONTEXTS - 1 ? CONTEXTS - 1 : above;
        contexts[i] = (uint16_t)(context * CODE_VALUES);
    }
}

VECTOR_CLONES
void cdelta_rotate(const float_bits *restrict values, uint32_t *restrict rotated, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) rotated[i] = values[i] << 1 | values[i] >> 31;
}

VECTOR_CLONES
void cdelta_unrotate(const uint32_t *restrict rotated, float_bits *restrict values, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) values[i] = rotated[i] >> 1 | rotated[i] << 31;
}

VECTOR_CLONES
uint8_t cdelta_largest_exponent(const uint32_t *restrict rotated, uint32_t count) {
    uint32_t largest = 0;
    for (uint32_t i = 0; i < count; i++) largest = rotated[i] > largest ? rotated[i] : largest;
    return (uint8_t)(largest >> 24);
}

VECTOR_CLONES
void cdelta_alone_symbols(const uint32_t *restrict rotated, uint8_t top, uint8_t *restrict symbols,
                          uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        uint32_t symbol = top - (rotated[i] >> 24) + 1;
        symbols[i] = (uint8_t)(symbol < SYMBOLS ? symbol : 0);
    }
}
