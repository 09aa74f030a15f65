#include "format.h"
#include "planes.h"

#include <stdlib.h>

int64_t cdelta_header(const void *chunk, size_t size, uint32_t *frames, uint32_t *parameters) {
    const uint8_t *at = chunk;
    if (size < HEADER_BYTES) return CDELTA_ERROR_LENGTH;
    if (memcmp(at, CHUNK_MAGIC, sizeof CHUNK_MAGIC) != 0) return CDELTA_ERROR_FORMAT;
    uint32_t width;
    uint16_t count;
    memcpy(&width, at + 4, 4);
    memcpy(&count, at + 8, 2);
    if (cdelta_bound(count, width) == 0) return CDELTA_ERROR_CORRUPT;
    *frames = count;
    *parameters = width;
    return 0;
}

/* Reads a number of up to 28 bits; returns what follows it, or NULL. */
static const uint8_t *get_varint(const uint8_t *at, const uint8_t *end, uint32_t *value) {
    *value = 0;
    for (int shift = 0; shift < 28 && at < end; shift += 7) {
        uint8_t byte = *at++;
        *value |= (uint32_t)(byte & 0x7F) << shift;
        if (byte < 0x80) return at;
    }
    return NULL;
}

/* Reads one entry; returns what follows it, or NULL when it breaks the rules. */
static const uint8_t *get_block(const uint8_t *at, const uint8_t *end, uint32_t remaining,
                                uint32_t parameters, struct block *block) {
    if (end - at < ENTRY_BYTES) return NULL;
    block->keyframe = at[0] & KEYFRAME;
    block->frames = at[0] & BLOCK_FRAMES;
    block->modes = at[1];
    at += ENTRY_BYTES;
    if (block->frames == 0 || block->frames > remaining) return NULL;
    uint64_t values = (uint64_t)block->frames * parameters;
    if (block->frames > 1 && values > MAX_BLOCK_VALUES) return NULL;
    for (int p = 0; p < PLANES; p++) {
        switch (block->modes >> 2 * p & 3) {
        case MODE_ZERO: block->size[p] = 0; break;
        case MODE_RAW: block->size[p] = (uint32_t)values; break;
        case MODE_ZSTD:
            at = get_varint(at, end, &block->size[p]);
            if (at == NULL || block->size[p] > values) return NULL;
            break;
        default: return NULL;
        }
    }
    if ((size_t)(end - at) / CHECKSUM_BYTES < block->frames) return NULL;
    block->checksums = at;
    return at + (size_t)block->frames * CHECKSUM_BYTES;
}

/* Fills context->blocks, with every plane inside the chunk. */
static int64_t read_directory(cdelta_context *context, const uint8_t *chunk, size_t size, uint32_t frames) {
    const uint8_t *at = chunk + HEADER_BYTES, *end = chunk + size;
    if ((size_t)(end - at) / CHECKSUM_BYTES < frames) return CDELTA_ERROR_LENGTH;
    if (context->block_capacity < frames) {
        struct block *blocks = realloc(context->blocks, frames * sizeof *blocks);
        if (blocks == NULL) return CDELTA_ERROR_MEMORY;
        context->blocks = blocks;
        context->block_capacity = frames;
    }
    struct block *block = context->blocks;
    for (uint32_t f = 0; f < frames; f += block++->frames) {
        at = get_block(at, end, frames - f, context->parameters, block);
        if (at == NULL || (f == 0 && !block->keyframe)) return CDELTA_ERROR_CORRUPT;
    }
    for (struct block *b = context->blocks; b < block; b++) {
        b->body = at;
        for (int p = 0; p < PLANES; p++) {
            if ((size_t)(end - at) < b->size[p]) return CDELTA_ERROR_LENGTH;
            at += b->size[p];
        }
    }
    return at == end ? 0 : CDELTA_ERROR_LENGTH;
}

/* Points `planes` at a block's planes, in the chunk or decompressed; `step` is their bytes per frame. */
static int64_t open_block(cdelta_context *context, const struct block *block, const uint8_t *planes[PLANES],
                          size_t step[PLANES]) {
    const uint8_t *body = block->body;
    size_t values = (size_t)block->frames * context->parameters;
    for (int p = 0; p < PLANES; p++) {
        uint32_t size = block->size[p];
        step[p] = context->parameters;
        switch (block->modes >> 2 * p & 3) {
        case MODE_ZERO:
            planes[p] = context->zeros;
            step[p] = 0;
            break;
        case MODE_RAW: planes[p] = body; break;
        default:
            memcpy(context->packed + MAGIC_BYTES, body, size);
            planes[p] = context->planes[p];
            if (ZSTD_decompressDCtx(context->decompressor, context->planes[p], values, context->packed,
                                    size + MAGIC_BYTES) != values)
                return CDELTA_ERROR_CORRUPT;
        }
        body += size;
    }
    return 0;
}

int64_t cdelta_decode(cdelta_context *context, const void *chunk, size_t size, uint32_t parameters,
                      uint32_t first, uint32_t count, float *out) {
    uint32_t frames, width;
    int64_t status = cdelta_header(chunk, size, &frames, &width);
    if (status != 0) return status;
    if (width != parameters) return CDELTA_ERROR_PARAMETERS;
    if (count == 0 || first >= frames || count > frames - first) return CDELTA_ERROR_ARGUMENT;
    status = cdelta_reserve(context, parameters);
    if (status == 0) status = read_directory(context, chunk, size, frames);
    if (status != 0) return status;

    /* The wanted frames are built from the last keyframe that is not behind the first of them. */
    const struct block *block = context->blocks;
    uint32_t f = 0;
    for (uint32_t at = 0, b = 0; at <= first; at += context->blocks[b++].frames) {
        if (!context->blocks[b].keyframe) continue;
        block = &context->blocks[b];
        f = at;
    }
    const void *previous = NULL;
    for (; f < first + count; block++) {
        const uint8_t *planes[PLANES];
        size_t step[PLANES];
        status = open_block(context, block, planes, step);
        if (status != 0) return status;
        if (block->keyframe) previous = context->zeros;
        for (uint32_t i = 0; i < block->frames && f < first + count; i++, f++) {
            void *values = context->held[f & 1];
            if (f >= first) values = out + (size_t)(f - first) * parameters;
            cdelta_merge(planes, previous, values, parameters);
            for (int p = 0; p < PLANES; p++) planes[p] += step[p];
            previous = values;
            if (f < first) continue;
            uint32_t checksum;
            memcpy(&checksum, block->checksums + (size_t)i * CHECKSUM_BYTES, CHECKSUM_BYTES);
            if (checksum != frame_checksum(values, parameters)) return CDELTA_ERROR_CHECKSUM;
        }
    }
    return count;
}
