#include <hdf5.h>

// HDF5's ids of types and property-list classes are macros that first open the library, so Swift cannot see
// them. Each function below returns one of them under the name that HDF5's manual uses.

static inline hid_t ch5_native_float(void) { return H5T_NATIVE_FLOAT; }
static inline hid_t ch5_native_double(void) { return H5T_NATIVE_DOUBLE; }
static inline hid_t ch5_native_int32(void) { return H5T_NATIVE_INT32; }
static inline hid_t ch5_native_int64(void) { return H5T_NATIVE_INT64; }
static inline hid_t ch5_native_uint8(void) { return H5T_NATIVE_UINT8; }
/// The types on disk are little endian whatever the machine.
static inline hid_t ch5_float32(void) { return H5T_IEEE_F32LE; }
static inline hid_t ch5_float64(void) { return H5T_IEEE_F64LE; }
static inline hid_t ch5_int32(void) { return H5T_STD_I32LE; }
static inline hid_t ch5_int64(void) { return H5T_STD_I64LE; }
static inline hid_t ch5_uint8(void) { return H5T_STD_U8LE; }
static inline hid_t ch5_c_string(void) { return H5T_C_S1; }

static inline hid_t ch5_file_access(void) { return H5P_FILE_ACCESS; }
static inline hid_t ch5_file_create(void) { return H5P_FILE_CREATE; }
static inline hid_t ch5_group_create(void) { return H5P_GROUP_CREATE; }
static inline hid_t ch5_dataset_create(void) { return H5P_DATASET_CREATE; }
static inline hid_t ch5_dataset_access(void) { return H5P_DATASET_ACCESS; }

static herr_t ch5_refuse_link(const char *parent_file, const char *parent_group, const char *file, const char *object,
                              unsigned *flags, hid_t access, void *context) {
  (void)parent_file, (void)parent_group, (void)file, (void)object, (void)flags, (void)access, (void)context;
  return -1;
}

/// Makes an access list for datasets that follows no link into another file.
static inline herr_t ch5_refuse_external_links(hid_t access) { return H5Pset_elink_cb(access, ch5_refuse_link, NULL); }

// Whether the values of a dataset lie in other files, by the external file list in its header: 1, 0, or negative where it
// cannot be read. Asking for the list of its properties takes as long as reading a small dataset does.
static inline int ch5_is_external(hid_t dataset) {
  enum { EXTERNAL_FILE_LIST = 7 };
#if H5_VERSION_GE(1, 12, 0)
  H5O_native_info_t info;
  if (H5Oget_native_info(dataset, &info, H5O_NATIVE_INFO_HDR) < 0) return -1;
#else
  H5O_info_t info;
  if (H5Oget_info2(dataset, &info, H5O_INFO_HDR) < 0) return -1;
#endif
  return info.hdr.mesg.present >> EXTERNAL_FILE_LIST & 1;
}

static inline unsigned ch5_truncate(void) { return H5F_ACC_TRUNC; }
static inline unsigned ch5_read_only(void) { return H5F_ACC_RDONLY; }
static inline haddr_t ch5_undefined_address(void) { return HADDR_UNDEF; }
