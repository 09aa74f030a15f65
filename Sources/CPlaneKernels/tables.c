#include "tables.h"

#include <string.h>

const ck_plane_kernels *ck_plane_kernels_of(const ck_kernels *kernels) {
#if defined(__x86_64__)
  if (strcmp(kernels->name, ck_plane_avx512.name) == 0) return &ck_plane_avx512;
  if (strcmp(kernels->name, ck_plane_avx2.name) == 0) return &ck_plane_avx2;
#endif
  return &ck_plane_portable;
}
