#include "tables.h"

#define CK_NAME "portable"
#define CK_TABLE ck_plane_portable

#include "body.h"
