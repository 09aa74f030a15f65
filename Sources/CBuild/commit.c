#include "CBuild.h"

#if __has_include("commit.h")
#include "commit.h"
#else
#define CORPUS_COMMIT ""
#endif

const char *cbuild_commit(void) { return CORPUS_COMMIT; }
