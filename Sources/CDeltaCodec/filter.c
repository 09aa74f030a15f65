#include "CDeltaCodec.h"
#include "hdf5_abi.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <zstd.h>

/* HDF5 calls filters one at a time but from any thread: one context waits here between the calls. */
static _Atomic(cdelta_context *) spare;

static cdelta_context *take_context(void) {
    cdelta_context *context = atomic_exchange(&spare, NULL);
    return context != NULL ? context : cdelta_create();
}

static void give_context(cdelta_context *context) { cdelta_free(atomic_exchange(&spare, context)); }

/* Puts a filter's result in the place of its input. */
static size_t replace(void **buffer, size_t *buffer_size, void *result, size_t capacity, size_t size) {
    free(*buffer);
    *buffer = result;
    *buffer_size = capacity;
    return size;
}

static size_t delta_filter(unsigned flags, size_t count, const unsigned values[], size_t size,
                           size_t *buffer_size, void **buffer) {
    if (count < 3 || values[0] != CDELTA_VERSION) return 0;
    uint32_t frames, width, parameters = values[1];
    int reading = (flags & H5Z_FLAG_REVERSE) != 0;
    size_t frame = (size_t)parameters * sizeof(float);
    if (reading) {
        if (cdelta_header(*buffer, size, &frames, &width) != 0 || width != parameters) return 0;
    } else {
        if (frame == 0 || size % frame != 0 || size / frame > CDELTA_MAX_FRAMES) return 0;
        frames = (uint32_t)(size / frame);
    }
    /* HDF5 does not look at the length of what it gets, and would read past the end of a shorter chunk. */
    if (frames != values[2]) return 0;
    size_t capacity = reading ? frames * frame : cdelta_bound(frames, parameters);
    cdelta_context *context = take_context();
    void *result = capacity == 0 ? NULL : malloc(capacity);
    int64_t length = CDELTA_ERROR_MEMORY;
    if (context != NULL && result != NULL) {
        length = reading ? cdelta_decode(context, *buffer, size, parameters, 0, frames, result)
                         : cdelta_encode(context, *buffer, frames, parameters, result, capacity);
    }
    if (context != NULL) give_context(context);
    if (length < 0) {
        free(result);
        return 0;
    }
    return replace(buffer, buffer_size, result, capacity, reading ? capacity : (size_t)length);
}

static size_t zstd_expand(size_t size, size_t *buffer_size, void **buffer) {
    unsigned long long content = ZSTD_getFrameContentSize(*buffer, size);
    if (content == 0 || content >= ZSTD_CONTENTSIZE_ERROR || content > SIZE_MAX / 2) return 0;
    void *result = malloc((size_t)content);
    if (result == NULL) return 0;
    size_t length = ZSTD_decompress(result, (size_t)content, *buffer, size);
    if (!ZSTD_isError(length) && length == content)
        return replace(buffer, buffer_size, result, (size_t)content, length);
    free(result);
    return 0;
}

static size_t zstd_pack(int level, size_t size, size_t *buffer_size, void **buffer) {
    size_t capacity = ZSTD_compressBound(size), length = 0;
    ZSTD_CCtx *context = ZSTD_createCCtx();
    void *result = malloc(capacity);
    if (context != NULL && result != NULL) {
        ZSTD_CCtx_setParameter(context, ZSTD_c_compressionLevel, level);
        ZSTD_CCtx_setParameter(context, ZSTD_c_checksumFlag, 1);
        length = ZSTD_compress2(context, result, capacity, *buffer, size);
    }
    ZSTD_freeCCtx(context);
    if (length != 0 && !ZSTD_isError(length)) return replace(buffer, buffer_size, result, capacity, length);
    free(result);
    return 0;
}

static size_t zstd_filter(unsigned flags, size_t count, const unsigned values[], size_t size,
                          size_t *buffer_size, void **buffer) {
    if (flags & H5Z_FLAG_REVERSE) return zstd_expand(size, buffer_size, buffer);
    return zstd_pack(count > 0 ? (int)values[0] : ZSTD_CLEVEL_DEFAULT, size, buffer_size, buffer);
}

static const H5Z_class2_t delta_class = {
    .version = H5Z_CLASS_T_VERS,
    .id = CDELTA_HDF5_FILTER,
    .encoder_present = 1,
    .decoder_present = 1,
    .name = "checkpoint-corpus delta",
    .filter = delta_filter,
};

static const H5Z_class2_t zstd_class = {
    .version = H5Z_CLASS_T_VERS,
    .id = CDELTA_HDF5_ZSTD_FILTER,
    .encoder_present = 1,
    .decoder_present = 1,
    .name = "Zstandard compression: http://www.zstd.net",
    .filter = zstd_filter,
};

const void *cdelta_hdf5_filter(void) { return &delta_class; }

const void *cdelta_hdf5_zstd_filter(void) { return &zstd_class; }
