// Preloaded: flips one bit of one read or write of the files below a directory, as failing memory, a cable or a disk does.
// FLIP_BELOW names the directory, FLIP_CALL=read or write, FLIP_NUMBER the call, counted from 1, and FLIP_PERMILLE the
// byte. FLIP_MARK names a file that is made when the bit is flipped.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static atomic_long calls;

// Whether this call is the one, and which byte of it; -1 where it is not.
static ssize_t chosen(const char *kind, int fd, ssize_t count) {
  const char *wanted = getenv("FLIP_CALL"), *below = getenv("FLIP_BELOW"), *number = getenv("FLIP_NUMBER");
  if (!wanted || !below || !number || count <= 0 || strcmp(wanted, kind) != 0) return -1;
  char link[64], path[4096];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t length = readlink(link, path, sizeof path - 1);
  if (length < 0) return -1;
  path[length] = 0;
  if (strncmp(path, below, strlen(below)) != 0 || !strstr(path, ".h5")) return -1;
  if (atomic_fetch_add(&calls, 1) + 1 != atol(number)) return -1;
  const char *mark = getenv("FLIP_MARK");
  if (mark) close(open(mark, O_CREAT | O_WRONLY, 0600));
  return count * atol(getenv("FLIP_PERMILLE")) / 1000;
}

ssize_t pread(int fd, void *buffer, size_t count, off_t offset) {
  ssize_t (*next)(int, void *, size_t, off_t) = dlsym(RTLD_NEXT, "pread");
  ssize_t result = next(fd, buffer, count, offset);
  ssize_t byte = chosen("read", fd, result);
  if (byte >= 0) ((char *)buffer)[byte] ^= 4;
  return result;
}

ssize_t pwrite(int fd, const void *buffer, size_t count, off_t offset) {
  ssize_t (*next)(int, const void *, size_t, off_t) = dlsym(RTLD_NEXT, "pwrite");
  ssize_t byte = chosen("write", fd, (ssize_t)count);
  if (byte < 0) return next(fd, buffer, count, offset);
  char *copy = malloc(count);
  memcpy(copy, buffer, count);
  copy[byte] ^= 4;
  ssize_t result = next(fd, copy, count, offset);
  free(copy);
  return result;
}

ssize_t pread64(int fd, void *buffer, size_t count, off64_t offset) { return pread(fd, buffer, count, offset); }
ssize_t pwrite64(int fd, const void *buffer, size_t count, off64_t offset) { return pwrite(fd, buffer, count, offset); }
