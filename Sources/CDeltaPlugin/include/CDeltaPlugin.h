/*
 * What HDF5 looks up in each library on HDF5_PLUGIN_PATH (its H5PLextern.h). A target of its own, so that
 * only the plugin, and no program that uses the codec, exports these names.
 */
#ifndef CDELTA_PLUGIN_H
#define CDELTA_PLUGIN_H

/** The only kind of plugin that every HDF5 since 1.8.11 knows (H5PL_type_t in H5PLpublic.h). */
enum { H5PL_TYPE_FILTER = 0 };

/** H5PL_TYPE_FILTER: this library holds a filter. */
int H5PLget_plugin_type(void);

/** The filter, a `const H5Z_class2_t *`. */
const void *H5PLget_plugin_info(void);

#endif
