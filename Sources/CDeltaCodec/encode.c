#include "format.h"
#include "planes.h"

/*
 * Differences of short frames share a block: a Huffman table costs some 50 bytes, and 2 microseconds to set
 * up when decoding. Much longer blocks lose again, because the differences shrink as training goes on, and
 * because a frame alone costs the decoding of its block.
 */
enum { BLOCK_VALUES = 16384 };

size_t cdelta_bound(uint32_t frames, uint32_t parameters) {
    if (frames == 0 || frames > CDELTA_MAX_FRAMES) return 0;
    if (parameters == 0 || parameters > CDELTA_MAX_PARAMETERS) return 0;
    return HEADER_BYTES + (size_t)frames * (MAX_ENTRY_BYTES + CHECKSUM_BYTES + PLANES * (size_t)parameters);
}

static uint8_t *put_varint(uint8_t *at, uint32_t value) {
    for (; value >= 0x80; value >>= 7) *at++ = (uint8_t)(value | 0x80);
    *at++ = (uint8_t)value;
    return at;
}

/* A plane is worth compressing when it gets shorter by a 32nd: a raw plane is free to decode. */
static size_t worthwhile(uint32_t count) { return count - count / 32; }

static int is_zero(const void *bytes, size_t size) {
    const uint8_t *at = bytes;
    return at[0] == 0 && memcmp(at, at + 1, size - 1) == 0;
}

/*
 * Whether a plane looks like noise, by the chance that two of its bytes are equal: 1/256 for noise, and more
 * than 1/233 where order-0 entropy could save a 60th or so. Integers, so that every machine decides alike.
 */
static int is_noise(const uint8_t *plane, uint32_t count) {
    uint32_t histogram[4][256];
    memset(histogram, 0, sizeof histogram);
    uint32_t i = 0;
    for (; i + 4 <= count; i += 4)
        for (int lane = 0; lane < 4; lane++) histogram[lane][plane[i + lane]]++;
    for (; i < count; i++) histogram[0][plane[i]]++;
    uint64_t equal = 0;
    for (int byte = 0; byte < 256; byte++) {
        uint64_t n = 0;
        for (int lane = 0; lane < 4; lane++) n += histogram[lane][byte];
        equal += n * (n - (n > 0));
    }
    return equal * 233 <= (uint64_t)count * (count - 1);
}

/* Stores a plane the shortest way; returns its mode and moves `body` behind it. */
static int put_plane(cdelta_context *context, const uint8_t *plane, uint32_t count, uint8_t **body,
                     uint32_t *packed) {
    if (is_zero(plane, count)) return MODE_ZERO;
    if (!is_noise(plane, count)) {
        size_t size = ZSTD_compress2(context->compressor, context->packed, worthwhile(count), plane, count);
        if (!ZSTD_isError(size)) {
            *packed = (uint32_t)size - MAGIC_BYTES;
            memcpy(*body, context->packed + MAGIC_BYTES, *packed);
            *body += *packed;
            return MODE_ZSTD;
        }
    }
    memcpy(*body, plane, count);
    *body += count;
    return MODE_RAW;
}

/* The frames of the block that starts at `values`: alike (zeros or not), and few enough for one block. */
static uint32_t block_frames(const float *values, uint32_t remaining, uint32_t parameters, int zero) {
    uint32_t most = (zero ? MAX_BLOCK_VALUES : BLOCK_VALUES) / parameters;
    if (most > BLOCK_FRAMES) most = BLOCK_FRAMES;
    if (most > remaining) most = remaining;
    uint32_t frames = 1;
    while (frames < most && is_zero(values + (size_t)frames * parameters, parameters * sizeof(float)) == zero)
        frames++;
    return frames;
}

int64_t cdelta_encode(cdelta_context *context, const float *values, uint32_t frames, uint32_t parameters,
                      void *out, size_t capacity) {
    size_t bound = cdelta_bound(frames, parameters);
    if (bound == 0) return CDELTA_ERROR_ARGUMENT;
    if (capacity < bound) return CDELTA_ERROR_CAPACITY;
    int64_t status = cdelta_reserve(context, parameters);
    if (status != 0) return status;

    uint8_t *entry = out;
    memcpy(entry, CHUNK_MAGIC, sizeof CHUNK_MAGIC);
    memcpy(entry + 4, &parameters, 4);
    memcpy(entry + 8, &(uint16_t){(uint16_t)frames}, 2);
    entry += HEADER_BYTES;
    /* The planes wait behind the longest directory there can be, then close up to the real one. */
    uint8_t *bodies = entry + (size_t)frames * (MAX_ENTRY_BYTES + CHECKSUM_BYTES), *body = bodies;

    for (uint32_t f = 0, count; f < frames; f += count, values += (size_t)count * parameters) {
        /* Frames of zeros cost nothing as keyframes, but a whole frame as a difference. */
        int zero = is_zero(values, parameters * sizeof(float));
        int keyframe = f == 0 || zero;
        count = keyframe && !zero ? 1 : block_frames(values, frames - f, parameters, zero);
        *entry++ = (uint8_t)(count | (keyframe ? KEYFRAME : 0));
        uint8_t *modes = entry++;
        *modes = 0;
        if (!zero) {
            const void *reference = keyframe ? (const void *)context->zeros : values - parameters;
            cdelta_split((const float_bits *)values, reference, context->planes, count * parameters);
            for (int p = 0; p < PLANES; p++) {
                uint32_t packed = 0;
                int mode = put_plane(context, context->planes[p], count * parameters, &body, &packed);
                *modes |= (uint8_t)(mode << 2 * p);
                if (mode == MODE_ZSTD) entry = put_varint(entry, packed);
            }
        }
        for (uint32_t i = 0; i < count; i++, entry += CHECKSUM_BYTES) {
            uint32_t checksum = frame_checksum(values + (size_t)i * parameters, parameters);
            memcpy(entry, &checksum, CHECKSUM_BYTES);
        }
    }
    memmove(entry, bodies, (size_t)(body - bodies));
    return (entry - (uint8_t *)out) + (body - bodies);
}
