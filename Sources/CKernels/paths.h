#ifndef CK_PATHS_H
#define CK_PATHS_H

#include "CKernels.h"

extern const ck_kernels ck_avx512, ck_avx2, ck_portable;

#endif
