#include "format.h"

#include <stdlib.h>

/*
 * What there is to gain lies in the Huffman code of the bytes, not in matches: noise contains short ones by
 * chance, and each costs more than it saves. So the fastest strategy with long minimal matches and the
 * smallest table to find them in is the fastest and, on short frames, the smallest; on long ones level 7
 * would save another half percent at a fifth of the speed.
 */
enum { ZSTD_LEVEL = 1, ZSTD_MIN_MATCH = 7, ZSTD_HASH_LOG = 6 };

cdelta_context *cdelta_create(void) {
    cdelta_context *context = calloc(1, sizeof *context);
    if (context == NULL) return NULL;
    context->compressor = ZSTD_createCCtx();
    context->decompressor = ZSTD_createDCtx();
    if (context->compressor == NULL || context->decompressor == NULL) {
        cdelta_free(context);
        return NULL;
    }
    ZSTD_CCtx_setParameter(context->compressor, ZSTD_c_compressionLevel, ZSTD_LEVEL);
    ZSTD_CCtx_setParameter(context->compressor, ZSTD_c_minMatch, ZSTD_MIN_MATCH);
    ZSTD_CCtx_setParameter(context->compressor, ZSTD_c_hashLog, ZSTD_HASH_LOG);
    ZSTD_CCtx_setParameter(context->compressor, ZSTD_c_contentSizeFlag, 0);
    ZSTD_CCtx_setParameter(context->compressor, ZSTD_c_checksumFlag, 0);
    ZSTD_CCtx_setParameter(context->compressor, ZSTD_c_dictIDFlag, 0);
    return context;
}

void cdelta_free(cdelta_context *context) {
    if (context == NULL) return;
    ZSTD_freeCCtx(context->compressor);
    ZSTD_freeDCtx(context->decompressor);
    free(context->memory);
    free(context->blocks);
    free(context);
}

int64_t cdelta_reserve(cdelta_context *context, uint32_t parameters) {
    if (context->parameters == parameters) return 0;
    size_t frame = (size_t)parameters * sizeof(float);
    size_t plane = parameters > MAX_BLOCK_VALUES ? parameters : MAX_BLOCK_VALUES;
    size_t aligned = (plane + MAGIC_BYTES + sizeof(float) - 1) / sizeof(float) * sizeof(float);
    uint8_t *memory = malloc(aligned * (PLANES + 1) + 3 * frame);
    if (memory == NULL) return CDELTA_ERROR_MEMORY;
    free(context->memory);
    context->memory = memory;
    context->parameters = parameters;
    for (int p = 0; p < PLANES; p++) context->planes[p] = memory + aligned * (size_t)p;
    context->packed = memory + aligned * PLANES;
    context->zeros = memory + aligned * (PLANES + 1);
    context->held[0] = context->zeros + frame;
    context->held[1] = context->held[0] + frame;
    memset(context->zeros, 0, frame);
    memcpy(context->packed, ZSTD_MAGIC, MAGIC_BYTES);
    return 0;
}

const char *cdelta_error(int64_t code) {
    switch (code) {
    case CDELTA_ERROR_MEMORY: return "there is not enough memory for one frame";
    case CDELTA_ERROR_ARGUMENT: return "the frames or parameters asked for are out of range";
    case CDELTA_ERROR_CAPACITY: return "the output is smaller than cdelta_bound() of the shape";
    case CDELTA_ERROR_FORMAT: return "this is not a delta chunk, or one of a later version";
    case CDELTA_ERROR_PARAMETERS: return "the chunk holds frames of another number of parameters";
    case CDELTA_ERROR_LENGTH: return "the chunk is shorter or longer than its directory says";
    case CDELTA_ERROR_CORRUPT: return "the chunk is damaged: a field or a compressed plane makes no sense";
    case CDELTA_ERROR_CHECKSUM: return "the chunk is damaged: a frame's checksum does not match its values";
    default: return code < 0 ? "unknown error" : "no error";
    }
}
