/*
 * The part of HDF5's binary interface that a filter has to agree on, under HDF5's own names: the class that
 * H5Zregister() takes, from its H5Zpublic.h.
 *
 * Declared here so that neither the codec nor the plugin needs HDF5 to build, nor can call it by accident: a
 * plugin is loaded into whatever HDF5 the process has, and h5py brings its own. Layout and numbers are those
 * of 1.8.11, where dynamically loaded filters appeared ("HDF5 Dynamically Loaded Filters", The HDF Group,
 * 2013), and of every release up to 1.14; a change would break all the plugins there are.
 */
#ifndef CDELTA_HDF5_ABI_H
#define CDELTA_HDF5_ABI_H

#include <stddef.h>
#include <stdint.h>

typedef int H5Z_filter_t;
typedef int64_t hid_t;
typedef int herr_t;
typedef int htri_t;

typedef htri_t (*H5Z_can_apply_func_t)(hid_t creation, hid_t type, hid_t space);
typedef herr_t (*H5Z_set_local_func_t)(hid_t creation, hid_t type, hid_t space);

/*
 * Takes `nbytes` bytes in `*buf` (of `*buf_size`), leaves its result there, and returns the result's length;
 * 0 is failure. A filter may free() the buffer and put one of its own, from malloc(), in its place.
 */
typedef size_t (*H5Z_func_t)(unsigned int flags, size_t cd_nelmts, const unsigned int cd_values[],
                             size_t nbytes, size_t *buf_size, void **buf);

typedef struct H5Z_class2_t {
    int version; /* H5Z_CLASS_T_VERS */
    H5Z_filter_t id;
    unsigned encoder_present;
    unsigned decoder_present;
    const char *name;
    H5Z_can_apply_func_t can_apply;
    H5Z_set_local_func_t set_local;
    H5Z_func_t filter;
} H5Z_class2_t;

#define H5Z_CLASS_T_VERS 1
/* The direction: set when reading. */
#define H5Z_FLAG_REVERSE 0x0100u

#endif
