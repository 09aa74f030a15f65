/* The format's numbers and the context, shared by the encoder and the decoder. */
#ifndef CDELTA_FORMAT_H
#define CDELTA_FORMAT_H

#include "CDeltaCodec.h"
#include "codes.h"

#include <string.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "Streams and checksums are defined over little-endian floats; this machine would need byte swaps."
#endif

/* The chunk's header: magic, parameters, frames, bytes of the common codes. */
enum { HEADER_BYTES = 12 };

/* How a frame is stored. */
enum {
    KIND_SAME = 0,       /* as its parent; zeros if it has none */
    KIND_RAW = 1,        /* its floats */
    KIND_ALONE = 2,      /* coded without a parent */
    KIND_DIFFERENCE = 3, /* coded as the difference from its parent */
};

enum { NO_PARENT = 0xFFFF };

/* A frame is built from at most this many others, so that a reader's work and memory are bounded. */
enum { MAX_DEPTH = 8 };

/* Value i of a frame lies in stream i mod 8: a processor decodes several streams at a time. */
enum { STREAMS = 8 };

/* The most bits of a value: a code, and 32 bits as they are. */
enum { MAX_VALUE_BITS = CODE_BITS + 32 };

static const uint8_t CHUNK_MAGIC[4] = {'C', 'C', 'D', CDELTA_VERSION};

/* A stream's size is a uint16 where that is always enough, else a uint32. */
static inline size_t size_bytes(uint32_t parameters) { return parameters <= 65536 ? 2 : 4; }

/*
 * A frame's entry in the directory: kind, base, parent, checksum, bytes of its body, of its own codes (0
 * where it uses the common ones), and of all its streams but the last.
 */
enum { FIXED_ENTRY_BYTES = 14 };
static inline size_t entry_bytes(uint32_t parameters) {
    return FIXED_ENTRY_BYTES + (STREAMS - 1) * size_bytes(parameters);
}

/* A frame's entry, and what the encoder or the decoder knows of it besides. */
struct frame {
    uint8_t kind;
    uint8_t base; /* the exponent of context 0, or the largest of a frame alone */
    uint16_t parent;
    uint32_t checksum;
    uint32_t body_size;
    uint32_t codes_size;

    uint32_t size[STREAMS]; /* encoder: of each stream */

    const uint8_t *sizes; /* decoder: the streams' sizes in the directory */
    const uint8_t *body;
    const void *values;  /* NULL until it is decoded; at any byte of the chunk if it is raw */
    float *output;       /* where it is wanted; NULL if it is not */
    int is_ancestor;     /* of a wanted frame, but not wanted itself */
};

/* Memory that grows when more is asked for. */
struct buffer {
    void *memory;
    size_t size;
};

struct cdelta_context {
    struct buffer frames;     /* struct frame each */
    struct buffer ancestors;  /* float frames that nobody asked for, but others are built on */
    struct buffer contexts;   /* encoder: a frame's contexts, times CODE_VALUES, a uint16 a value */
    struct buffer symbols;    /* encoder: a frame's symbols */
    struct buffer coded;      /* a frame's values before they are floats, or before they are written */
    struct buffer tail;       /* a copy of streams at the end of a chunk, with room behind */
    struct table table;
    const uint8_t *table_codes; /* decoder: whose codes `table` is of; NULL for none */
};

/* Makes room for `size` bytes; what was there may be lost. 0, or CDELTA_ERROR_MEMORY. */
int64_t cdelta_reserve(struct buffer *buffer, size_t size);

static inline uint32_t frame_checksum(const void *values, uint32_t parameters) {
    return (uint32_t)XXH3_64bits(values, (size_t)parameters * sizeof(float));
}

#endif
