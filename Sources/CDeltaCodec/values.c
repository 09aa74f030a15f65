#include "values.h"

#include "codes.h"

VECTOR_CLONES
void cdelta_subtract(const float_bits *restrict values, const float_bits *restrict reference,
                     uint32_t *restrict coded, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) coded[i] = zigzag(ordered(values[i]) - ordered(reference[i]));
}

VECTOR_CLONES
void cdelta_add(const uint32_t *restrict coded, const float_bits *restrict reference,
                float_bits *restrict values, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) values[i] = ordered(ordered(reference[i]) + unzigzag(coded[i] - 1));
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
