#if defined(__x86_64__)

#include "tables.h"

#define CK_NAME "avx2"
#define CK_TABLE ck_plane_avx2

#pragma clang attribute push(__attribute__((target("arch=x86-64-v3"))), apply_to = function)
#include "body.h"
#pragma clang attribute pop

#endif
