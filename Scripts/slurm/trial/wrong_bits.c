// Preloaded: a machine whose memory loses a bit now and then, where parameter vectors of Cartpole or MNIST are copied.
// WRONG_AFTER=30: it is sound until the process has run for 30 seconds.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static time_t began;
static int after;
static void *(*copy)(void *, const void *, size_t);

__attribute__((constructor)) static void begin(void) {
  const char *text = getenv("WRONG_AFTER");
  began = time(NULL);
  after = text ? atoi(text) : 0;
  copy = dlsym(RTLD_NEXT, "memmove");
}

static void *copied(void *target, const void *source, size_t bytes) {
  if (!copy) {
    // Before the constructor, for the dynamic linker itself.
    for (size_t i = 0; i < bytes; i++) ((volatile char *)target)[i] = ((const char *)source)[i];
    return target;
  }
  copy(target, source, bytes);
  if ((bytes == 4 * 1250 || bytes == 4 * 7960) && time(NULL) - began >= after) ((char *)target)[bytes / 2] ^= 1;
  return target;
}

void *memcpy(void *target, const void *source, size_t bytes) { return copied(target, source, bytes); }
void *memmove(void *target, const void *source, size_t bytes) { return copied(target, source, bytes); }
