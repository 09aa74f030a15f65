#define _GNU_SOURCE
#include <dlfcn.h>
#include <oneapi/dnnl/dnnl.h>

/// Makes products that the calling thread asks for run on that thread alone.
///
/// oneDNN shares products out by OpenMP, whose library comes with it and has no module of its own.
static inline void cdnnl_use_calling_thread(void) {
  void (*set_threads)(int) = (void (*)(int))dlsym(RTLD_DEFAULT, "omp_set_num_threads");
  if (set_threads) set_threads(1);
}
