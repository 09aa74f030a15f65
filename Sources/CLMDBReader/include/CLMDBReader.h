#ifndef CLMDB_READER_H
#define CLMDB_READER_H

#include <stdint.h>

// liblmdb trusts its files: on damaged ones it reads outside the map, or goes round for ever. So one is read in a process of
// its own, which may die of it. It is forked and calls nothing but C: the threads of its parent are not there.

/// What is asked of the process; the key's bytes follow.
struct clmdb_request {
  uint32_t key_size;
  /// Values of more bytes are not sent.
  uint32_t limit;
};

/// What it says; unless the value is longer than the limit, its bytes follow.
struct clmdb_answer {
  /// As liblmdb returns it: 0, MDB_NOTFOUND, an errno, or another of its own.
  int32_t code;
  int32_t padding;
  uint64_t size;
};

/// Seconds of computing that it may take over one answer.
enum { CLMDB_SECONDS = 2 };

/// Starts a process that reads the environment in a directory, whose `data.mdb` has so many bytes. Its first answer, which
/// nobody asks for, has for a size the bytes that the environment says of itself; then it answers requests in their order
/// until the socket is closed.
///
/// Returns the process, with the parent's end of the socket in `connection`; or -1 and errno.
int clmdb_start(const char *path, uint64_t size, int *connection);

#endif
