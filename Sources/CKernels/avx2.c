#if defined(__x86_64__)

#include "paths.h"

#define CK_NAME "avx2"
#define CK_TABLE ck_avx2
// 2 rows of 4 registers, 4 operands and a broadcast: 13 of the 16 registers.
#define CK_ROWS 2
#define CK_COLUMNS 2
#define CK_TAPS 3

#pragma clang attribute push(__attribute__((target("arch=x86-64-v3"))), apply_to = function)
#include "body.h"
#pragma clang attribute pop

#endif
