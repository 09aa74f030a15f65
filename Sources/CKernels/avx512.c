#if defined(__x86_64__)

#include "paths.h"

#include <immintrin.h>

#define CK_NAME "avx512"
// Two registers are permuted as one, and parts of them loaded and stored.
#define CK_PICKS_FROM_TWO
#define CK_TABLE ck_avx512
// 8 rows of 2 registers and their operands: 18 of the 32 registers, and enough chains to hide the latency.
#define CK_ROWS 8
#define CK_COLUMNS 4
// All sums of the first convolution's gradient at once: a divisor of their number.
#define CK_TAPS 27

// Without the minimum width, the compiler splits every vector into halves, as it does for processors that
// slow down under full ones.
#pragma clang attribute push(__attribute__((target("arch=x86-64-v4"), min_vector_width(512))), \
                             apply_to = function)
#include "body.h"
#pragma clang attribute pop

#endif
