/*
 * The `delta` codec: checkpoints of one training run, packed without loss.
 *
 * Consecutive checkpoints of a run are close together, but float32 hides it: sign, exponent and mantissa
 * share bytes, and the low bits of the mantissa are noise that no compressor can shrink. The codec maps each
 * float to an integer that orders as the float does, and subtracts that of the same parameter in a
 * neighbouring checkpoint. Of the difference only the number of its bits has structure: it gets a prefix
 * code, chosen by the exponent of the neighbour's value, and the bits themselves follow as they are. Every
 * checkpoint is built from at most two others of its chunk, so that a reader who wants one of them decodes
 * three. Decoding gives back every bit: NaN payloads, -0, infinities, denormals.
 *
 * A chunk holds `frames` checkpoints (frames) of `parameters` floats each. The format is described, with a
 * small reader in Python, in Schemas/delta-codec.md; it is version 2. Version 1 was never published.
 *
 * Threads: the functions share nothing. One context serves one thread at a time.
 *
 * Foreign bytes: cdelta_header, cdelta_decode and cdelta_decode_rows accept anything. They never read outside
 * the chunk, never write outside the outputs, and allocate in proportion to these and to the chunk's real size,
 * whatever the chunk says.
 */
#ifndef CDELTA_CODEC_H
#define CDELTA_CODEC_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/** The most frames that a chunk can hold. */
#define CDELTA_MAX_FRAMES 65535u
/** The most parameters that a frame can have: 2^27, half a gigabyte. */
#define CDELTA_MAX_PARAMETERS 134217728u
/** The version of the format that cdelta_encode writes: the first of the HDF5 filter's values. */
#define CDELTA_VERSION 2u

/**
 * What went wrong. Every function below that returns an int64_t returns one of these when it fails; they are
 * all negative. cdelta_error() words them.
 */
enum cdelta_status {
    CDELTA_ERROR_MEMORY = -1,     /**< malloc failed. */
    CDELTA_ERROR_ARGUMENT = -2,   /**< Zero or too many frames or parameters, or a range outside the chunk. */
    CDELTA_ERROR_CAPACITY = -3,   /**< The output is smaller than cdelta_bound(). */
    CDELTA_ERROR_FORMAT = -4,     /**< Not a delta chunk, or a version that this build does not know. */
    CDELTA_ERROR_PARAMETERS = -5, /**< The chunk's frames have another number of parameters. */
    CDELTA_ERROR_LENGTH = -6,     /**< The chunk is shorter or longer than its directory says. */
    CDELTA_ERROR_CORRUPT = -7,    /**< A field of the directory, a code or a stream makes no sense. */
    CDELTA_ERROR_CHECKSUM = -8,   /**< A frame decoded, but not to the values that were encoded. */
};

/** Working memory; grows to the largest frame seen. */
typedef struct cdelta_context cdelta_context;

/** A new context, or NULL when memory is short. */
cdelta_context *cdelta_create(void);

/** Frees a context; NULL is fine. */
void cdelta_free(cdelta_context *context);

/** The most bytes that cdelta_encode() needs to work in; 0 when the shape is outside the limits above. */
size_t cdelta_bound(uint32_t frames, uint32_t parameters);

/**
 * Packs `frames` checkpoints.
 *
 * values      frames x parameters floats, one checkpoint after the other.
 * out         the chunk; its bytes depend on `values` alone.
 * capacity    the bytes at `out`: at least cdelta_bound(frames, parameters).
 *
 * Returns the size of the chunk in bytes. Frames of zeros (padding after the end of a run) take 28 bytes.
 */
int64_t cdelta_encode(cdelta_context *context, const float *values, uint32_t frames, uint32_t parameters,
                      void *out, size_t capacity);

/**
 * Unpacks the frames `first` ..< `first + count` into `out` (count x parameters floats).
 *
 * `parameters` is what the caller made room for: a chunk with another number is refused. Other frames are
 * decoded only where the wanted ones are built from them. Every frame handed out is checked against the
 * checksum of its values, which proves all the frames it was built from as well.
 *
 * Returns `count`. After an error the contents of `out` are undefined.
 */
int64_t cdelta_decode(cdelta_context *context, const void *chunk, size_t size, uint32_t parameters,
                      uint32_t first, uint32_t count, float *out);

/**
 * Unpacks any frames of a chunk, as cdelta_decode() does: frame `wanted[i]` to `outputs[i]`, for i < count,
 * in any order; each output has room of its own. What several of them are built from is decoded once.
 *
 * Returns `count`. After an error the contents of the outputs are undefined.
 */
int64_t cdelta_decode_rows(cdelta_context *context, const void *chunk, size_t size, uint32_t parameters,
                           uint32_t count, const uint32_t *wanted, float *const *outputs);

/** The shape of a chunk, from its first 12 bytes. Returns 0, or an error that leaves the outputs alone. */
int64_t cdelta_header(const void *chunk, size_t size, uint32_t *frames, uint32_t *parameters);

/**
 * How many bytes of a chunk lie before the bodies of its frames: the common codes, and the directory with the checksum of
 * each frame. They tell the chunk from all others. `size` where the chunk is no chunk.
 */
size_t cdelta_directory_end(const void *chunk, size_t size);

/** The XXH3 64-bit hash, seed 0, of any bytes. */
uint64_t cdelta_hash(const void *bytes, size_t size);

/** An English sentence about a negative return value; never NULL. The text is static. */
const char *cdelta_error(int64_t code);

/*
 * HDF5 filters. The classes below are `const H5Z_class2_t *`, ready for H5Zregister(); they are declared
 * `const void *` so that this header needs no HDF5, and the filters themselves call none of it. That is why
 * the same code, built as a shared library, loads into any HDF5 (h5py carries its own): set HDF5_PLUGIN_PATH.
 */

/** The delta filter's id: 0xCC01, in the range that HDF5 leaves to unregistered filters (32768 ..< 65536). */
#define CDELTA_HDF5_FILTER 52225
/** The registered id of the public Zstandard filter. */
#define CDELTA_HDF5_ZSTD_FILTER 32015

/**
 * The delta filter. Its client values are { CDELTA_VERSION, parameters, frames }; a chunk of the dataset must
 * be (frames, parameters) little-endian float32.
 */
const void *cdelta_hdf5_filter(void);

/**
 * The public Zstandard filter, byte for byte what hdf5plugin reads and writes, with Zstandard's own checksum
 * added. Its one client value is the level (3 where it is missing).
 */
const void *cdelta_hdf5_zstd_filter(void);

#ifdef __cplusplus
}
#endif

#endif
