#ifndef CLINUX_H
#define CLINUX_H

#include <stdint.h>

// The Linux calls that glibc shows to `_GNU_SOURCE` only, and Swift's Glibc module therefore not.

/// fallocate(2) with FALLOC_FL_KEEP_SIZE: takes disk space without changing the file's size.
int clinux_reserve(int fd, int64_t bytes);

/// rename(2), or renameat2(2) with RENAME_NOREPLACE: -1 and errno EEXIST where the name is taken. File systems
/// without the latter get the same from link(2).
int clinux_rename(const char *from, const char *to, int replacing);

/// fcntl(2) with F_OFD_SETLK on one byte: 0, or -1 and errno EAGAIN where another description holds it.
int clinux_lock(int fd, int64_t offset);
int clinux_unlock(int fd, int64_t offset);

/// Whether a signal is ignored, as by nohup(1): 1 or 0.
int clinux_is_ignored(int signal);

/// fcntl(2) with F_OFD_GETLK on one byte: 1 if another description holds it, 0 if not, -1 and errno.
int clinux_is_locked(int fd, int64_t offset);

#endif
