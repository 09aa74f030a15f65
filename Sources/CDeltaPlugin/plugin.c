#include "CDeltaPlugin.h"

#include "CDeltaCodec.h"

int H5PLget_plugin_type(void) { return H5PL_TYPE_FILTER; }

const void *H5PLget_plugin_info(void) { return cdelta_hdf5_filter(); }
