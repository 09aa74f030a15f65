#ifndef CLINUX_H
#define CLINUX_H

#include <stddef.h>
#include <stdint.h>

// The Linux calls that glibc shows to `_GNU_SOURCE` only, and Swift's Glibc module therefore not.

/// fallocate(2) with FALLOC_FL_KEEP_SIZE: takes disk space without changing the file's size.
int clinux_reserve(int fd, int64_t bytes);

/// rename(2), or renameat2(2) with RENAME_NOREPLACE: -1 and errno EEXIST where the name is taken. File systems
/// without the latter get the same from link(2).
int clinux_rename(const char *from, const char *to, int replacing);

/// fcntl(2) with F_OFD_SETLK on one byte: 0, or -1 and errno EAGAIN where another description holds it.
int clinux_lock(int fd, int64_t offset);
/// Likewise a lock that others may share, for who only reads.
int clinux_lock_shared(int fd, int64_t offset);
int clinux_unlock(int fd, int64_t offset);
int clinux_unlock_all(int fd);

/// Whether a signal is ignored, as by nohup(1): 1 or 0.
int clinux_is_ignored(int signal);

/// fcntl(2) with F_OFD_GETLK on one byte: 1 if another description holds it, 0 if not, -1 and errno.
int clinux_is_locked(int fd, int64_t offset);

/// Pages of a mapped file that are read without ending the process where the file can no longer fill them, as somebody
/// has shortened it or the disk fails: by a handler of SIGBUS they are filled with zeros, and the range is torn. Faults
/// elsewhere stay with the handler that was there before.
typedef struct clinux_guard clinux_guard;

/// Guards a range of pages; NULL where memory is short. The range must be mapped until the guard ends.
clinux_guard *clinux_guard_pages(const void *start, size_t size);
void clinux_end_guard(clinux_guard *guard);

/// Whether a range has had pages filled with zeros, or somebody has said that it is torn.
int clinux_is_torn(const clinux_guard *guard);
void clinux_tear(clinux_guard *guard);

/// Whether any range ever has: the question that costs nothing.
extern int clinux_torn;
static inline int clinux_is_any_torn(void) { return __atomic_load_n(&clinux_torn, __ATOMIC_RELAXED); }

#endif
