#define _GNU_SOURCE
#include "CLinux.h"

#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

// A handler may call next to nothing, so what it looks through is only ever added to: blocks that are never freed, whose
// slots are taken and given back by atomic operations.

struct clinux_guard {
  _Atomic int is_taken;
  _Atomic uintptr_t start, end;
  _Atomic int is_torn;
};

enum { SLOTS = 1024 };

struct block {
  struct clinux_guard slots[SLOTS];
  struct block *_Atomic next;
};

static struct block first;

int clinux_torn;

static struct sigaction previous;
static _Atomic int has_given_up;

/// The guarded range that an address lies in, or NULL.
static struct clinux_guard *find(uintptr_t address) {
  for (struct block *block = &first; block != NULL; block = atomic_load(&block->next))
    for (int i = 0; i < SLOTS; i++) {
      struct clinux_guard *slot = &block->slots[i];
      if (atomic_load(&slot->start) <= address && address < atomic_load(&slot->end)) return slot;
    }
  return NULL;
}

void clinux_tear(struct clinux_guard *guard) {
  atomic_store(&guard->is_torn, 1);
  __atomic_store_n(&clinux_torn, 1, __ATOMIC_SEQ_CST);
}

static void handle(int number, siginfo_t *information, void *context) {
  (void)number, (void)context;
  uintptr_t address = (uintptr_t)information->si_addr;
  // Codes of the kernel are above 0; what kill(2) sends has no address.
  struct clinux_guard *guard = information->si_code > 0 ? find(address) : NULL;
  uintptr_t size = (uintptr_t)sysconf(_SC_PAGESIZE);
  if (guard != NULL) {
    // First, so that who sees zeros can see this, too.
    clinux_tear(guard);
    void *page = mmap((void *)(address & ~(size - 1)), size, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    if (page != MAP_FAILED) return;
  }
  // Somebody else's: theirs is the handler when the instruction faults again. Handlers that call each other in turn end here.
  static const struct sigaction standard = {.sa_handler = SIG_DFL};
  sigaction(SIGBUS, atomic_exchange(&has_given_up, 1) ? &standard : &previous, NULL);
}

/// Puts our handler before those of others, who may have put theirs before ours.
static void install(void) {
  struct sigaction now, ours = {.sa_sigaction = handle, .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER};
  if (sigaction(SIGBUS, NULL, &now) != 0 || (now.sa_flags & SA_SIGINFO && now.sa_sigaction == handle)) return;
  previous = now;
  atomic_store(&has_given_up, 0);
  sigaction(SIGBUS, &ours, NULL);
}

struct clinux_guard *clinux_guard_pages(const void *start, size_t size) {
  install();
  struct block *block = &first;
  while (1) {
    for (int i = 0; i < SLOTS; i++) {
      struct clinux_guard *slot = &block->slots[i];
      int is_taken = 0;
      if (atomic_load(&slot->is_taken) || !atomic_compare_exchange_strong(&slot->is_taken, &is_taken, 1)) continue;
      atomic_store(&slot->is_torn, 0);
      atomic_store(&slot->start, (uintptr_t)start);
      atomic_store(&slot->end, (uintptr_t)start + size);
      return slot;
    }
    struct block *next = atomic_load(&block->next);
    if (next == NULL) {
      struct block *made = calloc(1, sizeof *made);
      if (made == NULL) return NULL;
      if (atomic_compare_exchange_strong(&block->next, &next, made)) {
        next = made;
      } else {
        free(made);
      }
    }
    block = next;
  }
}

int clinux_is_torn(const struct clinux_guard *guard) { return atomic_load(&((struct clinux_guard *)guard)->is_torn); }

void clinux_end_guard(struct clinux_guard *guard) {
  atomic_store(&guard->end, 0);
  atomic_store(&guard->is_taken, 0);
}
