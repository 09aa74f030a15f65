/* What a core can do at best, for benchmarks to compare kernels with. */
#ifndef CPEAK_H
#define CPEAK_H

#include <stdint.h>

/* Fused multiply-adds of 16 floats each, between registers, in `rounds` rounds of CPEAK_CHAINS. Returns their sum. */
float cpeak_multiply_add(uint64_t rounds);

/* Independent sums, as many as keep all multipliers busy and fit the registers. */
enum { CPEAK_CHAINS = 6, CPEAK_LANES = 16 };

#endif
