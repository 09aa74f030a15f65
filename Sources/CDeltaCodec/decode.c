#include "format.h"
#include "values.h"

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

/* What one call of the decoder works on. */
struct decoder {
    cdelta_context *context;
    const uint8_t *end; /* of the chunk */
    const uint8_t *common;
    size_t common_size;
    struct frame *frames;
    uint32_t count, parameters;
    uint32_t ancestors; /* frames yet to be decoded into context->ancestors */
};

/* Reads one entry; returns whether it keeps the rules. */
static int get_entry(const struct decoder *decoder, const uint8_t *at, uint32_t index) {
    struct frame *frame = &decoder->frames[index];
    uint16_t codes_size;
    frame->kind = at[0];
    frame->base = at[1];
    memcpy(&frame->parent, at + 2, 2);
    memcpy(&frame->checksum, at + 4, 4);
    memcpy(&frame->body_size, at + 8, 4);
    memcpy(&codes_size, at + 12, 2);
    frame->codes_size = codes_size;
    frame->sizes = at + FIXED_ENTRY_BYTES;
    frame->values = NULL;
    frame->output = NULL;
    frame->is_ancestor = 0;
    int has_parent = frame->parent != NO_PARENT;
    if (has_parent && frame->parent >= decoder->count) return 0;
    size_t raw = sizeof(float) * (size_t)decoder->parameters;
    switch (frame->kind) {
    case KIND_SAME: return frame->body_size == 0;
    case KIND_RAW: return frame->body_size == raw && !has_parent;
    case KIND_ALONE: return codes_size <= frame->body_size && !has_parent;
    case KIND_DIFFERENCE: return codes_size <= frame->body_size && has_parent;
    default: return 0;
    }
}

/* Fills decoder->frames, with every body inside the chunk. */
static int64_t read_directory(struct decoder *decoder, const uint8_t *chunk) {
    const uint8_t *at = chunk + HEADER_BYTES;
    uint16_t common;
    size_t entry = entry_bytes(decoder->parameters);
    memcpy(&common, chunk + 10, 2);
    if ((size_t)(decoder->end - at) < common + decoder->count * entry) return CDELTA_ERROR_LENGTH;
    decoder->common = at;
    decoder->common_size = common;
    at += common;
    if (cdelta_reserve(&decoder->context->frames, decoder->count * sizeof(struct frame)) != 0)
        return CDELTA_ERROR_MEMORY;
    decoder->frames = decoder->context->frames.memory;
    const uint8_t *body = at + decoder->count * entry;
    for (uint32_t f = 0; f < decoder->count; f++, at += entry) {
        if (!get_entry(decoder, at, f)) return CDELTA_ERROR_CORRUPT;
        struct frame *frame = &decoder->frames[f];
        if ((size_t)(decoder->end - body) < frame->body_size) return CDELTA_ERROR_LENGTH;
        frame->body = body;
        body += frame->body_size;
    }
    return body == decoder->end ? 0 : CDELTA_ERROR_LENGTH;
}

/* Brings the table of a frame's codes about, unless it is there already. */
static int64_t open_codes(struct decoder *decoder, const struct frame *frame) {
    cdelta_context *context = decoder->context;
    const uint8_t *at = frame->codes_size > 0 ? frame->body : decoder->common;
    size_t size = frame->codes_size > 0 ? frame->codes_size : decoder->common_size;
    if (frame->kind == KIND_DIFFERENCE && context->table_codes == at) return 0;
    context->table_codes = NULL;
    struct codes codes;
    if (!cdelta_read_codes(at, size, &codes)) return CDELTA_ERROR_CORRUPT;
    if (frame->kind == KIND_ALONE) {
        cdelta_alone_table(&codes, frame->base, &context->table);
        return 0;
    }
    cdelta_difference_table(&codes, &context->table);
    context->table_codes = at;
    return 0;
}

/*
 * Where the streams can be read: 8 bytes at a time, and as far as a damaged stream may lead. That is in the
 * chunk itself, or near its end in a copy.
 */
static const uint8_t *open_streams(struct decoder *decoder, const struct frame *frame) {
    const uint8_t *streams = frame->body + frame->codes_size;
    size_t size = frame->body_size - frame->codes_size;
    size_t reach = ((size_t)decoder->parameters / STREAMS + 1) * MAX_VALUE_BITS / 8 + sizeof(uint64_t);
    if ((size_t)(decoder->end - streams) >= size + reach) return streams;
    struct buffer *tail = &decoder->context->tail;
    if (cdelta_reserve(tail, size + reach) != 0) return NULL;
    memcpy(tail->memory, streams, size);
    memset((uint8_t *)tail->memory + size, 0, reach);
    return tail->memory;
}

/* The next bits of a stream, at least 57 of them; the first one is lowest. */
static inline uint64_t peek(const uint8_t *streams, uint64_t at) {
    uint64_t window;
    memcpy(&window, streams + (at >> 3), sizeof window);
    return window >> (at & 7);
}

/*
 * The compiler would put the eight streams' places and values into vectors, and lose more time by moving them
 * there and back than it saves, were it not told here that it wants each in a register.
 */
static inline uint32_t alone_in_register(uint32_t value) {
    __asm__("" : "+r"(value));
    return value;
}

/* Moves a place, in bits. */
static inline void advance(uint64_t *at, uint32_t bits) {
    *at += bits;
    __asm__("" : "+r"(*at));
}

/* The bits of a value that follow its code. */
static inline uint64_t rest_of(uint64_t window, uint32_t entry) {
    return window >> (entry & 0xFF) & ((UINT64_C(1) << (entry >> 8 & 0xFF)) - 1);
}

/* The next value of a stream that stands alone. */
static inline uint32_t take_alone(const uint8_t *streams, uint64_t *at, const uint32_t *entries) {
    uint64_t window = peek(streams, *at);
    uint32_t entry = entries[window & (CODE_VALUES - 1)];
    advance(at, entry >> 16 & 0xFF);
    return alone_in_register((uint32_t)rest_of(window, entry) | entry >> 24 << 24);
}

/*
 * Differences are read in blocks: first the code of each value is found, one after the other in its stream; the values
 * that come of them follow by vectors.
 */
enum { BLOCK = 256 };

struct block {
    uint16_t context[BLOCK];
    uint32_t entry[BLOCK]; /* of each value's code in the table */
    uint32_t rest[BLOCK];  /* the bits that follow the code */
};

/* Finds value i's code, and moves to what follows the value. */
static inline void find_code(struct block *block, size_t i, const uint8_t *streams, uint64_t *at,
                             const uint32_t *entries) {
    uint64_t window = peek(streams, *at);
    uint32_t entry = entries[block->context[i] + (window & (CODE_VALUES - 1))];
    block->entry[i] = entry;
    block->rest[i] = (uint32_t)(window >> (entry & 0xFF));
    advance(at, entry >> 16);
}

VECTOR_CLONES
static void find_codes(struct block *restrict block, const uint8_t *restrict streams,
                       uint64_t places[restrict STREAMS], const uint32_t *restrict entries, size_t count) {
    uint64_t a = places[0], b = places[1], c = places[2], d = places[3];
    uint64_t e = places[4], f = places[5], g = places[6], h = places[7];
    size_t i = 0;
    for (; i + STREAMS <= count; i += STREAMS) {
        find_code(block, i, streams, &a, entries);
        find_code(block, i + 1, streams, &b, entries);
        find_code(block, i + 2, streams, &c, entries);
        find_code(block, i + 3, streams, &d, entries);
        find_code(block, i + 4, streams, &e, entries);
        find_code(block, i + 5, streams, &f, entries);
        find_code(block, i + 6, streams, &g, entries);
        find_code(block, i + 7, streams, &h, entries);
    }
    memcpy(places, (uint64_t[]){a, b, c, d, e, f, g, h}, STREAMS * sizeof *places);
    for (; i < count; i++) find_code(block, i, streams, &places[i % STREAMS], entries);
}

VECTOR_CLONES
static void add_differences(const struct block *restrict block, const float_bits *restrict reference,
                            float_bits *restrict out, size_t count) {
    for (size_t i = 0; i < count; i++) {
        /* The highest bit goes without saying, and is 2^32 of a rest of 32 bits. */
        uint32_t bits = block->entry[i] >> 8 & 0xFF, highest = bits < 32 ? UINT32_C(1) << bits : 0;
        uint32_t coded = highest | (block->rest[i] & (highest - 1));
        out[i] = ordered(ordered(reference[i]) + unzigzag(coded - 1));
    }
}

static void read_differences(const uint8_t *streams, uint64_t places[STREAMS], const uint32_t *entries,
                             uint8_t base, const float_bits *reference, float_bits *out, size_t count) {
    struct block block;
    for (size_t first = 0; first < count; first += BLOCK) {
        size_t n = count - first < BLOCK ? count - first : BLOCK;
        cdelta_find_contexts(reference + first, base, block.context, (uint32_t)n);
        find_codes(&block, streams, places, entries, n);
        add_differences(&block, reference + first, out + first, n);
    }
}

VECTOR_CLONES
static void read_values(const uint8_t *restrict streams, uint64_t places[restrict STREAMS],
                        const uint32_t *restrict entries, uint32_t *restrict out, size_t count) {
    uint64_t a = places[0], b = places[1], c = places[2], d = places[3];
    uint64_t e = places[4], f = places[5], g = places[6], h = places[7];
    size_t i = 0;
    for (; i + STREAMS <= count; i += STREAMS) {
        out[i] = take_alone(streams, &a, entries);
        out[i + 1] = take_alone(streams, &b, entries);
        out[i + 2] = take_alone(streams, &c, entries);
        out[i + 3] = take_alone(streams, &d, entries);
        out[i + 4] = take_alone(streams, &e, entries);
        out[i + 5] = take_alone(streams, &f, entries);
        out[i + 6] = take_alone(streams, &g, entries);
        out[i + 7] = take_alone(streams, &h, entries);
    }
    memcpy(places, (uint64_t[]){a, b, c, d, e, f, g, h}, STREAMS * sizeof *places);
    for (; i < count; i++) out[i] = take_alone(streams, &places[i % STREAMS], entries);
}

/* Where each stream of a frame begins, and the last one ends, in bytes from the first. */
static int find_streams(const struct decoder *decoder, const struct frame *frame, size_t place[STREAMS + 1]) {
    size_t bytes = size_bytes(decoder->parameters), end = 0;
    for (uint32_t s = 0; s < STREAMS - 1; s++) {
        uint32_t size = 0;
        memcpy(&size, frame->sizes + s * bytes, bytes);
        place[s] = end;
        end += size;
    }
    place[STREAMS - 1] = end;
    place[STREAMS] = frame->body_size - frame->codes_size;
    return end <= place[STREAMS];
}

/* Fills a coded frame from its streams and its parent, which is NULL if it is alone. */
static int64_t read_streams(struct decoder *decoder, const struct frame *frame, const float_bits *parent,
                            float_bits *out) {
    cdelta_context *context = decoder->context;
    size_t place[STREAMS + 1];
    uint64_t at[STREAMS];
    int64_t status = open_codes(decoder, frame);
    if (status != 0) return status;
    if (!find_streams(decoder, frame, place)) return CDELTA_ERROR_CORRUPT;
    const uint8_t *streams = open_streams(decoder, frame);
    if (streams == NULL) return CDELTA_ERROR_MEMORY;
    for (uint32_t s = 0; s < STREAMS; s++) at[s] = 8 * place[s];
    if (frame->kind == KIND_DIFFERENCE) {
        read_differences(streams, at, context->table.entry, frame->base, parent, out, decoder->parameters);
    } else {
        read_values(streams, at, context->table.entry, context->coded.memory, decoder->parameters);
        cdelta_unrotate(context->coded.memory, out, decoder->parameters);
    }
    /* Each stream must have been read to its end, and no further. */
    for (uint32_t s = 0; s < STREAMS; s++)
        if ((at[s] + 7) / 8 != place[s + 1]) return CDELTA_ERROR_CORRUPT;
    return 0;
}

/* Whether others are built from what nobody has made room for: raw frames lie in the chunk. */
static int needs_memory(const struct frame *frame) {
    return frame->output == NULL && frame->kind != KIND_RAW;
}

/* Marks and counts the frames that only others are built from. None may be built from too many. */
static int64_t find_ancestors(struct decoder *decoder, uint32_t count, const uint32_t *wanted) {
    for (uint32_t i = 0; i < count; i++) {
        const struct frame *frame = &decoder->frames[wanted[i]];
        for (int depth = 0; frame->parent != NO_PARENT; depth++) {
            if (depth == MAX_DEPTH) return CDELTA_ERROR_CORRUPT;
            struct frame *parent = &decoder->frames[frame->parent];
            decoder->ancestors += needs_memory(parent) && !parent->is_ancestor;
            parent->is_ancestor = needs_memory(parent);
            frame = parent;
        }
    }
    return 0;
}

/* Makes room for what is coded of a frame alone, and for all ancestors. */
static int64_t reserve(const struct decoder *decoder) {
    cdelta_context *context = decoder->context;
    size_t parameters = decoder->parameters;
    if (cdelta_reserve(&context->coded, sizeof(uint32_t) * parameters) != 0
        || cdelta_reserve(&context->ancestors, decoder->ancestors * sizeof(float) * parameters) != 0)
        return CDELTA_ERROR_MEMORY;
    return 0;
}

/* Fills a frame from its body and its parent, which is NULL if it has none. */
static int64_t fill_frame(struct decoder *decoder, const struct frame *frame, const void *parent, float *out) {
    size_t bytes = sizeof(float) * (size_t)decoder->parameters;
    switch (frame->kind) {
    case KIND_SAME:
        if (parent != NULL) {
            memcpy(out, parent, bytes);
        } else {
            memset(out, 0, bytes);
        }
        return 0;
    case KIND_RAW: memcpy(out, frame->body, bytes); return 0;
    default: return read_streams(decoder, frame, parent, (float_bits *)out);
    }
}

/* Frames up to this size are asked of memory as a whole: 8 KiB. */
enum { FETCH_BYTES = 8192, CACHE_LINE = 64 };

/* The streams of a small frame are over before the processor has seen that they go on, so all of it is asked for at
 * once, and before the frames that it is built from are decoded. */
static void fetch(const struct frame *frame) {
    if (frame->body_size > FETCH_BYTES) return;
    for (size_t at = 0; at < frame->body_size; at += CACHE_LINE) __builtin_prefetch(frame->body + at);
}

/* Decodes a frame after those that it is built from, unless it is decoded. */
static int64_t decode_frame(struct decoder *decoder, uint32_t index) {
    struct frame *frame = &decoder->frames[index];
    const void *parent = NULL;
    if (frame->values != NULL) return 0;
    fetch(frame);
    if (frame->parent != NO_PARENT) {
        /* No deeper than MAX_DEPTH, which find_ancestors() has seen to. */
        int64_t status = decode_frame(decoder, frame->parent);
        if (status != 0) return status;
        parent = decoder->frames[frame->parent].values;
    }
    float *out = frame->output, *ancestors = decoder->context->ancestors.memory;
    if (needs_memory(frame)) out = ancestors + (size_t)--decoder->ancestors * decoder->parameters;
    frame->values = out != NULL ? (const void *)out : frame->body;
    if (out == NULL) return 0;
    return fill_frame(decoder, frame, parent, out);
}

int64_t cdelta_decode_rows(cdelta_context *context, const void *chunk, size_t size, uint32_t parameters,
                           uint32_t count, const uint32_t *wanted, float *const *outputs) {
    uint32_t frames, width;
    int64_t status = cdelta_header(chunk, size, &frames, &width);
    if (status != 0) return status;
    if (width != parameters) return CDELTA_ERROR_PARAMETERS;
    for (uint32_t i = 0; i < count; i++)
        if (wanted[i] >= frames) return CDELTA_ERROR_ARGUMENT;
    struct decoder decoder = {
        .context = context, .end = (const uint8_t *)chunk + size, .count = frames, .parameters = parameters};
    context->table_codes = NULL;
    status = read_directory(&decoder, chunk);
    if (status != 0) return status;
    for (uint32_t i = 0; i < count; i++) decoder.frames[wanted[i]].output = outputs[i];
    status = find_ancestors(&decoder, count, wanted);
    if (status == 0) status = reserve(&decoder);
    for (uint32_t i = 0; i < count && status == 0; i++) {
        const struct frame *frame = &decoder.frames[wanted[i]];
        status = decode_frame(&decoder, wanted[i]);
        if (status != 0) break;
        /* A frame that is wanted twice. */
        if (frame->values != outputs[i])
            memcpy(outputs[i], frame->values, sizeof(float) * (size_t)parameters);
        if (frame->checksum != frame_checksum(outputs[i], parameters)) status = CDELTA_ERROR_CHECKSUM;
    }
    return status == 0 ? count : status;
}

int64_t cdelta_decode(cdelta_context *context, const void *chunk, size_t size, uint32_t parameters,
                      uint32_t first, uint32_t count, float *out) {
    if (count == 0 || count > CDELTA_MAX_FRAMES || first > CDELTA_MAX_FRAMES) return CDELTA_ERROR_ARGUMENT;
    uint32_t *wanted = malloc(count * sizeof *wanted);
    float **outputs = malloc(count * sizeof *outputs);
    int64_t status = CDELTA_ERROR_MEMORY;
    if (wanted != NULL && outputs != NULL) {
        for (uint32_t i = 0; i < count; i++) {
            wanted[i] = first + i;
            outputs[i] = out + (size_t)i * parameters;
        }
        status = cdelta_decode_rows(context, chunk, size, parameters, count, wanted, outputs);
    }
    free(wanted);
    free(outputs);
    return status;
}
