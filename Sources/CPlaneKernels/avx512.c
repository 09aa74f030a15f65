#if defined(__x86_64__)

#include "tables.h"

#define CK_NAME "avx512"
#define CK_TABLE ck_plane_avx512

// As in CKernels: without the minimum width, the compiler splits every vector into halves.
#pragma clang attribute push(__attribute__((target("arch=x86-64-v4"), min_vector_width(512))), \
                             apply_to = function)
#include "body.h"
#pragma clang attribute pop

#endif
