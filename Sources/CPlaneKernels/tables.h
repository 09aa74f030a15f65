#ifndef CK_PLANE_TABLES_H
#define CK_PLANE_TABLES_H

#include "CPlaneKernels.h"

extern const ck_plane_kernels ck_plane_avx512, ck_plane_avx2, ck_plane_portable;

#endif
