#define _GNU_SOURCE
#include "CLMDBReader.h"

#include <lmdb.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

static void transfer(int socket, void *bytes, size_t size, int is_sending) {
  while (size > 0) {
    ssize_t count = is_sending ? write(socket, bytes, size) : read(socket, bytes, size);
    // The end of the parent, or of this environment: bytes of a value may lie outside the map.
    if (count <= 0) _exit(0);
    bytes = (char *)bytes + count;
    size -= (size_t)count;
  }
}

static void answer(int socket, int code, uint64_t size) {
  struct clmdb_answer answer = {.code = code, .size = size};
  transfer(socket, &answer, sizeof answer, 1);
}

static void begin_clock(void) {
  struct itimerval clock = {.it_value = {.tv_sec = CLMDB_SECONDS}};
  setitimer(ITIMER_PROF, &clock, NULL);
}

static int open_environment(const char *path, uint64_t size, MDB_txn **transaction, MDB_dbi *database, uint64_t *own) {
  MDB_env *environment;
  MDB_envinfo information;
  MDB_stat statistics;
  int code = mdb_env_create(&environment);
  // Published environments announce a map of 1 TiB; what is there is enough.
  if (code == 0) code = mdb_env_set_mapsize(environment, size);
  if (code == 0) code = mdb_env_open(environment, path, MDB_RDONLY | MDB_NOLOCK, 0644);
  if (code == 0) code = mdb_env_info(environment, &information);
  if (code == 0) code = mdb_env_stat(environment, &statistics);
  if (code == 0) *own = ((uint64_t)information.me_last_pgno + 1) * statistics.ms_psize;
  if (code == 0) code = mdb_txn_begin(environment, NULL, MDB_RDONLY, transaction);
  if (code == 0) code = mdb_dbi_open(*transaction, NULL, 0, database);
  return code;
}

static _Noreturn void serve(const char *path, uint64_t size, int socket) {
  MDB_txn *transaction;
  MDB_dbi database;
  uint64_t own = 0;
  begin_clock();
  int code = open_environment(path, size, &transaction, &database, &own);
  answer(socket, code, own);
  if (code != 0) _exit(0);
  while (1) {
    struct clmdb_request request;
    static char name[1 << 16];
    transfer(socket, &request, sizeof request, 0);
    if (request.key_size > sizeof name) _exit(0);
    transfer(socket, name, request.key_size, 0);
    begin_clock();
    MDB_val key = {.mv_size = request.key_size, .mv_data = name}, value = {0};
    code = mdb_get(transaction, database, &key, &value);
    answer(socket, code, value.mv_size);
    if (code == 0 && value.mv_size <= request.limit) transfer(socket, value.mv_data, value.mv_size, 1);
  }
}

int clmdb_start(const char *path, uint64_t size, int *connection) {
  int sockets[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets) != 0) return -1;
  pid_t process = fork();
  if (process != 0) {
    close(sockets[1]);
    *connection = sockets[0];
    if (process < 0) close(sockets[0]);
    return process;
  }
  // Handlers are its parent's, and say what only a parent should; requests to stop come to it alone.
  for (int number = 1; number < NSIG; number++) signal(number, SIG_DFL);
  for (int i = 0; i < 3; i++) signal((int[]){SIGINT, SIGTERM, SIGHUP}[i], SIG_IGN);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, NULL);
  struct rlimit no_core = {0, 0};
  setrlimit(RLIMIT_CORE, &no_core);
  // Locks of its parent's, among others, would live as long as this. The socket becomes 3.
  int socket = dup2(sockets[1], 3);
  syscall(SYS_close_range, 4u, ~0u, 0u);
  serve(path, size, socket);
}
