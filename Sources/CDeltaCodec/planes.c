#include "planes.h"

VECTOR_CLONES
void cdelta_split(const float_bits *restrict values, const float_bits *restrict reference,
                  uint8_t *const planes[4], uint32_t count) {
    uint8_t *restrict plane0 = planes[0], *restrict plane1 = planes[1];
    uint8_t *restrict plane2 = planes[2], *restrict plane3 = planes[3];
    for (uint32_t i = 0; i < count; i++) {
        uint32_t coded = zigzag(ordered(values[i]) - ordered(reference[i]));
        plane0[i] = (uint8_t)coded;
        plane1[i] = (uint8_t)(coded >> 8);
        plane2[i] = (uint8_t)(coded >> 16);
        plane3[i] = (uint8_t)(coded >> 24);
    }
}

VECTOR_CLONES
void cdelta_merge(const uint8_t *const planes[4], const float_bits *restrict reference,
                  float_bits *restrict values, uint32_t count) {
    const uint8_t *restrict plane0 = planes[0], *restrict plane1 = planes[1];
    const uint8_t *restrict plane2 = planes[2], *restrict plane3 = planes[3];
    for (uint32_t i = 0; i < count; i++) {
        uint32_t low = plane0[i] | (uint32_t)plane1[i] << 8;
        uint32_t coded = low | (uint32_t)plane2[i] << 16 | (uint32_t)plane3[i] << 24;
        values[i] = ordered(ordered(reference[i]) + unzigzag(coded));
    }
}
