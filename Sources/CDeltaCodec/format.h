/* The format's numbers and the context, shared by the encoder and the decoder. */
#ifndef CDELTA_FORMAT_H
#define CDELTA_FORMAT_H

#include "CDeltaCodec.h"

#include <string.h>
#define XXH_INLINE_ALL
#include <xxhash.h>
#include <zstd.h>

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "Planes and checksums are defined over little-endian floats; this machine would need byte swaps."
#endif

enum { PLANES = 4, HEADER_BYTES = 10, MAGIC_BYTES = 4, CHECKSUM_BYTES = 4 };

/* A block's directory entry: its frames and keyframe flag, its planes' modes, sizes and the checksums. */
enum { ENTRY_BYTES = 2, VARINT_BYTES = 4, MAX_ENTRY_BYTES = ENTRY_BYTES + PLANES * VARINT_BYTES };
enum { KEYFRAME = 0x80, BLOCK_FRAMES = 0x7F };

/* A block of more than one frame has at most so many values, which bounds a reader's memory. */
enum { MAX_BLOCK_VALUES = 65536 };

/* How a plane is stored: two bits each in a block's mode byte, plane 0 (the low bytes) lowest. */
enum { MODE_ZERO = 0, MODE_RAW = 1, MODE_ZSTD = 2 };

static const uint8_t CHUNK_MAGIC[4] = {'C', 'C', 'D', CDELTA_VERSION};

/* Every Zstandard frame starts with these, so a plane does not store them. */
static const uint8_t ZSTD_MAGIC[MAGIC_BYTES] = {0x28, 0xB5, 0x2F, 0xFD};

/* A block's directory entry, read. */
struct block {
    const uint8_t *checksums;
    const uint8_t *body;
    uint32_t size[PLANES];
    uint32_t frames;
    uint8_t keyframe;
    uint8_t modes;
};

struct cdelta_context {
    ZSTD_CCtx *compressor;
    ZSTD_DCtx *decompressor;
    uint32_t parameters; /* what `memory` is laid out for */
    uint8_t *memory;
    uint8_t *planes[PLANES]; /* of the largest block */
    uint8_t *packed;         /* a compressed plane with its magic */
    uint8_t *zeros;          /* a frame of zeros: what keyframes are differences from */
    uint8_t *held[2];        /* the two latest frames before the wanted ones */
    struct block *blocks;
    uint32_t block_capacity;
};

/* Lays the working memory out for frames of this size. 0, or CDELTA_ERROR_MEMORY. */
int64_t cdelta_reserve(cdelta_context *context, uint32_t parameters);

static inline uint32_t frame_checksum(const void *values, uint32_t parameters) {
    return (uint32_t)XXH3_64bits(values, (size_t)parameters * sizeof(float));
}

#endif
