/* Prefix codes of at most 8 bits, one for each context: from histograms, to and from bytes, to tables. */
#ifndef CDELTA_CODES_H
#define CDELTA_CODES_H

#include <stddef.h>
#include <stdint.h>

enum { CONTEXTS = 16, SYMBOLS = 33, CODE_BITS = 7, CODE_VALUES = 1 << CODE_BITS };

/* The most bytes that a set of codes takes. */
enum { MAX_CODES_BYTES = (CONTEXTS * (12 + 4 * SYMBOLS) + 7) / 8 };

/* How often each symbol occurs in each context. */
struct histogram {
    uint32_t count[CONTEXTS][SYMBOLS];
};

/* For each context its symbols from `first` on, of which `has` tells those that have a code; its length; and the
 * code, its first bit lowest. `count` is 0 where a context has none. A symbol alone in its context has length 0. */
struct codes {
    uint8_t first[CONTEXTS], count[CONTEXTS];
    uint8_t has[CONTEXTS][SYMBOLS];
    uint8_t length[CONTEXTS][SYMBOLS];
    uint8_t code[CONTEXTS][SYMBOLS];
};

/* What a value's next bits mean, by context and the value of the next CODE_BITS bits.
 *   bits 0-7    the bits of its code
 *   bits 8-15   the bits that follow as they are
 *   bits 16-23  both
 *   bits 24-31  the exponent of a value alone */
struct decoding_table {
    uint32_t entry[CONTEXTS][CODE_VALUES];
};

/* Symbol s of a difference z says that z + 1 has s bits below its highest, which follow as they are. */
static inline uint32_t difference_rest(uint32_t symbol) { return symbol; }

/* Symbol 0 of a value alone is any value, the others its exponent. */
static inline uint32_t alone_rest(uint32_t symbol) { return symbol > 0 ? 24 : 32; }

/* The best codes for a histogram. */
void cdelta_make_codes(const struct histogram *histogram, struct codes *codes);

/* Writes codes at `out`, MAX_CODES_BYTES of room; returns the bytes. */
size_t cdelta_write_codes(const struct codes *codes, uint8_t *out);

/* Reads codes of exactly `size` bytes; returns whether they make sense. */
int cdelta_read_codes(const uint8_t *at, size_t size, struct codes *codes);

/* The tables to decode differences, and values alone whose largest exponent is `top`. */
void cdelta_difference_table(const struct codes *codes, struct decoding_table *table);
void cdelta_alone_table(const struct codes *codes, uint8_t top, struct decoding_table *table);

#endif
