#include "format.h"

#include <stdlib.h>

cdelta_context *cdelta_create(void) { return calloc(1, sizeof(cdelta_context)); }

void cdelta_free(cdelta_context *context) {
    if (context == NULL) return;
    free(context->frames.memory);
    free(context->ancestors.memory);
    free(context->contexts.memory);
    free(context->symbols.memory);
    free(context->coded.memory);
    free(context->tail.memory);
    free(context);
}

int64_t cdelta_reserve(struct buffer *buffer, size_t size) {
    if (buffer->size >= size) return 0;
    void *memory = malloc(size);
    if (memory == NULL) return CDELTA_ERROR_MEMORY;
    free(buffer->memory);
    *buffer = (struct buffer){memory, size};
    return 0;
}

size_t cdelta_directory_end(const void *chunk, size_t size) {
    uint32_t frames, parameters;
    uint16_t common;
    if (cdelta_header(chunk, size, &frames, &parameters) != 0) return size;
    memcpy(&common, (const uint8_t *)chunk + 10, 2);
    size_t end = HEADER_BYTES + common + frames * entry_bytes(parameters);
    return end < size ? end : size;
}

uint64_t cdelta_hash(const void *bytes, size_t size) { return XXH3_64bits(bytes, size); }

const char *cdelta_error(int64_t code) {
    switch (code) {
    case CDELTA_ERROR_MEMORY: return "there is not enough memory for one frame";
    case CDELTA_ERROR_ARGUMENT: return "the frames or parameters asked for are out of range";
    case CDELTA_ERROR_CAPACITY: return "the output is smaller than cdelta_bound() of the shape";
    case CDELTA_ERROR_FORMAT: return "this is not a delta chunk, or one of another version";
    case CDELTA_ERROR_PARAMETERS: return "the chunk holds frames of another number of parameters";
    case CDELTA_ERROR_LENGTH: return "the chunk is shorter or longer than its directory says";
    case CDELTA_ERROR_CORRUPT: return "the chunk is damaged: a field, a code or a stream makes no sense";
    case CDELTA_ERROR_CHECKSUM: return "the chunk is damaged: a frame's checksum does not match its values";
    default: return code < 0 ? "unknown error" : "no error";
    }
}
