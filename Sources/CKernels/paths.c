#include "paths.h"

#include <string.h>

typedef struct path {
  const ck_kernels *table;
  int available;
} path;

#if defined(__x86_64__)
#define PATHS                                                     \
  {{&ck_avx512, __builtin_cpu_supports("x86-64-v4") != 0},        \
   {&ck_avx2, __builtin_cpu_supports("x86-64-v3") != 0},          \
   {&ck_portable, 1}}
#else
#define PATHS {{&ck_portable, 1}}
#endif

const ck_kernels *ck_kernels_named(const char *name) {
  const path paths[] = PATHS;
  for (size_t i = 0; i < sizeof paths / sizeof *paths; i++)
    if (paths[i].available && strcmp(paths[i].table->name, name) == 0) return paths[i].table;
  return NULL;
}

const ck_kernels *ck_kernels_best(void) {
  const path paths[] = PATHS;
  size_t i = 0;
  while (!paths[i].available) i++;
  return paths[i].table;
}
