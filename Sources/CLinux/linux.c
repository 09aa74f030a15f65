#define _GNU_SOURCE
#include "CLinux.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

int clinux_reserve(int fd, int64_t bytes) { return fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, bytes); }

int clinux_rename(const char *from, const char *to, int replacing) {
  if (replacing) return rename(from, to);
  if (renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE) == 0) return 0;
  if (errno != EINVAL && errno != ENOSYS) return -1;
  return link(from, to) == 0 ? unlink(from) : -1;
}

static struct flock one_byte(short type, int64_t offset) {
  return (struct flock){.l_type = type, .l_whence = SEEK_SET, .l_start = offset, .l_len = 1};
}

int clinux_lock(int fd, int64_t offset) {
  struct flock lock = one_byte(F_WRLCK, offset);
  return fcntl(fd, F_OFD_SETLK, &lock);
}

int clinux_lock_shared(int fd, int64_t offset) {
  struct flock lock = one_byte(F_RDLCK, offset);
  return fcntl(fd, F_OFD_SETLK, &lock);
}

int clinux_unlock(int fd, int64_t offset) {
  struct flock lock = one_byte(F_UNLCK, offset);
  return fcntl(fd, F_OFD_SETLK, &lock);
}

int clinux_unlock_all(int fd) {
  struct flock lock = {.l_type = F_UNLCK, .l_whence = SEEK_SET};
  return fcntl(fd, F_OFD_SETLK, &lock);
}

int clinux_is_ignored(int signal) {
  struct sigaction action;
  return sigaction(signal, NULL, &action) == 0 && action.sa_handler == SIG_IGN;
}

int clinux_is_locked(int fd, int64_t offset) {
  struct flock lock = one_byte(F_WRLCK, offset);
  if (fcntl(fd, F_OFD_GETLK, &lock) != 0) return -1;
  return lock.l_type != F_UNLCK;
}
