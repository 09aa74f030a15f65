#include "CPeak.h"

typedef float lanes __attribute__((ext_vector_type(CPEAK_LANES)));

__attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
float cpeak_multiply_add(uint64_t rounds) {
    lanes sums[CPEAK_CHAINS], factor = (lanes)(0.999f), addend = (lanes)(0.001f);
#pragma unroll
    for (int i = 0; i < CPEAK_CHAINS; i++) sums[i] = (lanes)((float)i);
    for (uint64_t round = 0; round < rounds; round++) {
#pragma unroll
        for (int i = 0; i < CPEAK_CHAINS; i++) sums[i] = __builtin_elementwise_fma(sums[i], factor, addend);
    }
    lanes all = sums[0];
    for (int i = 1; i < CPEAK_CHAINS; i++) all += sums[i];
    float sum = 0;
    for (int i = 0; i < CPEAK_LANES; i++) sum += all[i];
    return sum;
}
