#include "paths.h"

#define CK_NAME "portable"
#define CK_TABLE ck_portable
#define CK_ROWS 2
#define CK_COLUMNS 2
#define CK_TAPS 3

#include "body.h"
