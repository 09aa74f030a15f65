#include "format.h"
#include "values.h"

/*
 * From so many parameters on, each coded frame has codes of its own: they take some 100 bytes, and 1
 * microsecond to set up when decoding, and save 1 % of a frame. Smaller differences share those of the chunk.
 */
enum { OWN_CODES_PARAMETERS = 4096 };

/* Frames in which each has one frame in the middle to build on; more would be too far from it. */
enum { WINDOW = 32 };

/*
 * From so many frames on, the one in the middle of a window is raw: readers would spend a quarter of their time on it
 * otherwise, and it would save 1 % of the window.
 */
enum { RAW_MIDDLE_FRAMES = 16 };

/* Where contexts begin, below the average of reference exponent + bits of the difference; measured. */
enum { CONTEXT_OFFSET = 24 };

/* What one call of the encoder works on. */
struct encoder {
    cdelta_context *context;
    const float *values;
    uint32_t frames, parameters;
    struct codes common;
    struct table common_table;
};

size_t cdelta_bound(uint32_t frames, uint32_t parameters) {
    if (frames == 0 || frames > CDELTA_MAX_FRAMES) return 0;
    if (parameters == 0 || parameters > CDELTA_MAX_PARAMETERS) return 0;
    size_t entry = entry_bytes(parameters);
    /* The encoder writes a frame, 8 bytes at a time, before it knows that raw would be shorter. */
    size_t overshoot = MAX_CODES_BYTES + STREAMS + (size_t)parameters * MAX_VALUE_BITS / 8 + sizeof(uint64_t);
    return HEADER_BYTES + MAX_CODES_BYTES + (size_t)frames * (entry + sizeof(float) * (size_t)parameters)
        + overshoot;
}

static const float *frame_values(const struct encoder *encoder, uint32_t frame) {
    return encoder->values + (size_t)frame * encoder->parameters;
}

static int is_zero(const void *bytes, size_t size) {
    const uint8_t *at = bytes;
    return at[0] == 0 && memcmp(at, at + 1, size - 1) == 0;
}

/* What the frame at a place of a window is built from. */
static uint32_t parent_place(uint32_t place, uint32_t count, uint32_t middle) {
    switch (place % 3) {
    case 0: return place + 1 < count ? place + 1 : place > 1 ? place - 2 : middle;
    case 1: return middle;
    default: return place - 1;
    }
}

/*
 * Chooses what each frame is built from. Of three successive frames the middle one is the neighbour of the
 * other two, and all middle ones are built from the one in the middle of the chunk, which has no parent. So a
 * frame is at most two others away from itself, and most differences are between neighbours.
 *
 * Frames of zeros, which pad the end of a run, take no part.
 */
static void choose_parents(const struct encoder *encoder, struct frame *frames) {
    size_t bytes = sizeof(float) * (size_t)encoder->parameters;
    for (uint32_t f = 0; f < encoder->frames;) {
        uint32_t window[WINDOW], n = 0;
        for (; f < encoder->frames && n < WINDOW; f++) {
            frames[f].kind = KIND_SAME;
            frames[f].parent = NO_PARENT;
            if (!is_zero(frame_values(encoder, f), bytes)) window[n++] = f;
        }
        if (n == 0) continue;
        uint32_t middle = n > 1 ? n / 6 * 3 + 1 : 0;
        for (uint32_t i = 0; i < n; i++) {
            struct frame *frame = &frames[window[i]];
            frame->kind = i != middle ? KIND_DIFFERENCE : n >= RAW_MIDDLE_FRAMES ? KIND_RAW : KIND_ALONE;
            if (i != middle) frame->parent = (uint16_t)window[parent_place(i, n, middle)];
        }
    }
}

/* Computes what a difference codes: the context's `coded`, `symbols` and `contexts`, and the frame's base. */
static void prepare_difference(const struct encoder *encoder, struct frame *frame, uint32_t index) {
    cdelta_context *context = encoder->context;
    uint32_t count = encoder->parameters;
    const float_bits *values = (const float_bits *)frame_values(encoder, index);
    const float_bits *reference = (const float_bits *)frame_values(encoder, frame->parent);
    cdelta_subtract(values, reference, context->coded.memory, count);
    uint64_t sum = cdelta_count_bits(context->coded.memory, reference, context->symbols.memory, count);
    uint64_t mean = (sum + count / 2) / count;
    uint64_t base = mean < CONTEXT_OFFSET ? 0 : mean - CONTEXT_OFFSET;
    frame->base = (uint8_t)(base > 255 ? 255 : base);
    cdelta_find_contexts(reference, frame->base, context->contexts.memory, count);
}

/* The same for a value alone, which has the one context 0. */
static void prepare_alone(const struct encoder *encoder, struct frame *frame, uint32_t index) {
    cdelta_context *context = encoder->context;
    uint32_t count = encoder->parameters;
    cdelta_rotate((const float_bits *)frame_values(encoder, index), context->coded.memory, count);
    frame->base = cdelta_largest_exponent(context->coded.memory, count);
    cdelta_alone_symbols(context->coded.memory, frame->base, context->symbols.memory, count);
    memset(context->contexts.memory, 0, sizeof(uint16_t) * (size_t)count);
}

static void prepare(const struct encoder *encoder, struct frame *frame, uint32_t index) {
    if (frame->kind == KIND_DIFFERENCE) {
        prepare_difference(encoder, frame, index);
    } else {
        prepare_alone(encoder, frame, index);
    }
}

static void count_symbols(const struct encoder *encoder, struct histogram *histogram) {
    const uint8_t *symbols = encoder->context->symbols.memory;
    const uint16_t *contexts = encoder->context->contexts.memory;
    for (uint32_t i = 0; i < encoder->parameters; i++)
        histogram->count[i % COUNTS][contexts[i] + symbols[i]]++;
}

/* Writes one stream, and up to 8 bytes more; returns the stream's end. */
static uint8_t *put_stream(const struct encoder *encoder, const struct table *table, uint32_t stream,
                           uint8_t *out) {
    const uint8_t *symbols = encoder->context->symbols.memory;
    const uint16_t *contexts = encoder->context->contexts.memory;
    const uint32_t *coded = encoder->context->coded.memory;
    uint64_t held = 0;
    uint32_t bits = 0;
    for (uint32_t i = stream; i < encoder->parameters; i += STREAMS) {
        uint32_t entry = table->entry[contexts[i] + symbols[i]];
        uint32_t length = entry & 0xFF, rest = entry >> 8 & 0xFF;
        uint64_t low = coded[i] & ((UINT64_C(1) << rest) - 1);
        /* At most 7 bits are left over, and MAX_VALUE_BITS come: they fit. */
        held |= (entry >> 16 | low << length) << bits;
        bits += length + rest;
        memcpy(out, &held, sizeof held);
        out += bits / 8;
        held >>= bits / 8 * 8;
        bits %= 8;
    }
    return out + (bits > 0);
}

/* Codes for a frame of its own, which are written at `out`; returns what follows them. */
static uint8_t *put_codes(const struct encoder *encoder, struct frame *frame, uint8_t *out) {
    struct histogram histogram = {0};
    struct codes codes;
    count_symbols(encoder, &histogram);
    cdelta_make_codes(&histogram, &codes);
    cdelta_encoding_table(&codes, frame->kind == KIND_DIFFERENCE, &encoder->context->table);
    frame->codes_size = (uint32_t)cdelta_write_codes(&codes, out);
    return out + frame->codes_size;
}

/* Writes the body of a coded frame; returns what follows it. */
static uint8_t *put_body(const struct encoder *encoder, struct frame *frame, uint32_t index, uint8_t *out) {
    const struct table *table = &encoder->common_table;
    prepare(encoder, frame, index);
    if (frame->kind == KIND_ALONE || encoder->parameters >= OWN_CODES_PARAMETERS) {
        out = put_codes(encoder, frame, out);
        table = &encoder->context->table;
    }
    for (uint32_t s = 0; s < STREAMS; s++) {
        uint8_t *end = put_stream(encoder, table, s, out);
        frame->size[s] = (uint32_t)(end - out);
        out = end;
    }
    return out;
}

/* The codes that small differences share; none are used where each has its own. */
static void make_common_codes(struct encoder *encoder, struct frame *frames) {
    memset(&encoder->common, 0, sizeof encoder->common);
    if (encoder->parameters >= OWN_CODES_PARAMETERS) return;
    struct histogram histogram = {0};
    for (uint32_t f = 0; f < encoder->frames; f++) {
        if (frames[f].kind != KIND_DIFFERENCE) continue;
        prepare(encoder, &frames[f], f);
        count_symbols(encoder, &histogram);
    }
    cdelta_make_codes(&histogram, &encoder->common);
    cdelta_encoding_table(&encoder->common, 1, &encoder->common_table);
}

/* Writes a frame's body, the shortest way; returns what follows it. */
static uint8_t *put_frame(const struct encoder *encoder, struct frame *frame, uint32_t index, uint8_t *out) {
    size_t raw = sizeof(float) * (size_t)encoder->parameters;
    const float *values = frame_values(encoder, index);
    if (frame->kind == KIND_SAME) return out;
    if (frame->parent != NO_PARENT && memcmp(values, frame_values(encoder, frame->parent), raw) == 0) {
        frame->kind = KIND_SAME;
        return out;
    }
    if (frame->kind != KIND_RAW) {
        uint8_t *end = put_body(encoder, frame, index, out);
        if ((size_t)(end - out) < raw) return end;
    }
    *frame = (struct frame){.kind = KIND_RAW, .parent = NO_PARENT};
    memcpy(out, values, raw);
    return out + raw;
}

static void put_entry(const struct encoder *encoder, const struct frame *frame, uint32_t index,
                      uint8_t *out) {
    uint32_t checksum = frame_checksum(frame_values(encoder, index), encoder->parameters);
    uint16_t codes_size = (uint16_t)frame->codes_size;
    out[0] = frame->kind;
    out[1] = frame->base;
    memcpy(out + 2, &frame->parent, 2);
    memcpy(out + 4, &checksum, 4);
    memcpy(out + 8, &frame->body_size, 4);
    memcpy(out + 12, &codes_size, 2);
    size_t bytes = size_bytes(encoder->parameters);
    out += FIXED_ENTRY_BYTES;
    for (uint32_t s = 0; s < STREAMS - 1; s++) memcpy(out + s * bytes, &frame->size[s], bytes);
}

int64_t cdelta_encode(cdelta_context *context, const float *values, uint32_t frames, uint32_t parameters,
                      void *out, size_t capacity) {
    size_t bound = cdelta_bound(frames, parameters);
    if (bound == 0) return CDELTA_ERROR_ARGUMENT;
    if (capacity < bound) return CDELTA_ERROR_CAPACITY;
    if (cdelta_reserve(&context->frames, frames * sizeof(struct frame)) != 0
        || cdelta_reserve(&context->contexts, sizeof(uint16_t) * (size_t)parameters) != 0
        || cdelta_reserve(&context->symbols, parameters) != 0
        || cdelta_reserve(&context->coded, sizeof(uint32_t) * (size_t)parameters) != 0)
        return CDELTA_ERROR_MEMORY;

    struct encoder encoder = {
        .context = context, .values = values, .frames = frames, .parameters = parameters};
    struct frame *all = context->frames.memory;
    memset(all, 0, frames * sizeof *all);
    choose_parents(&encoder, all);
    make_common_codes(&encoder, all);

    uint8_t *header = out, *at = header + HEADER_BYTES;
    uint16_t common = (uint16_t)cdelta_write_codes(&encoder.common, at);
    memcpy(header, CHUNK_MAGIC, sizeof CHUNK_MAGIC);
    memcpy(header + 4, &parameters, 4);
    memcpy(header + 8, &(uint16_t){(uint16_t)frames}, 2);
    memcpy(header + 10, &common, 2);
    at += common;

    uint8_t *body = at + frames * entry_bytes(parameters);
    for (uint32_t f = 0; f < frames; f++, at += entry_bytes(parameters)) {
        uint8_t *end = put_frame(&encoder, &all[f], f, body);
        all[f].body_size = (uint32_t)(end - body);
        put_entry(&encoder, &all[f], f, at);
        body = end;
    }
    return body - (uint8_t *)out;
}
