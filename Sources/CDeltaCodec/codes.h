/* Prefix codes, a set of one for each context: from histograms, to and from bytes, to tables. */
#ifndef CDELTA_CODES_H
#define CDELTA_CODES_H

#include <stddef.h>
#include <stdint.h>

enum { CONTEXTS = 16, SYMBOLS = 33, CODE_BITS = 7, CODE_VALUES = 1 << CODE_BITS };

/* The most bytes that a set of codes takes. */
enum { MAX_CODES_BYTES = (CONTEXTS * (12 + 4 * SYMBOLS) + 7) / 8 };

/*
 * How often symbol s occurs in context c, at c * CODE_VALUES + s: the sum of several counts, as a processor
 * would wait for its own last addition were there one.
 */
enum { COUNTS = 4 };
struct histogram {
    uint32_t count[COUNTS][CONTEXTS * CODE_VALUES];
};

/*
 * For each context and each length, the symbols with a code of that length: symbol s is bit s. A symbol alone in its
 * context has a code of length 0. Codes are canonical: they count up by length, then by symbol.
 */
struct codes {
    uint64_t symbols[CONTEXTS][CODE_BITS + 1];
};

/*
 * What is known of a value, at c * CODE_VALUES + its symbol when encoding, or + the next CODE_BITS bits when
 * decoding.
 *   bits 0-7    the bits of its code
 *   bits 8-15   the bits that follow as they are
 *   bits 16-23  both, when decoding; the code, its first bit lowest, when encoding
 *   bits 24-31  the exponent of a value alone, when decoding
 */
struct table {
    uint32_t entry[CONTEXTS * CODE_VALUES];
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
void cdelta_difference_table(const struct codes *codes, struct table *table);
void cdelta_alone_table(const struct codes *codes, uint8_t top, struct table *table);

/* The table to encode either; entries of symbols without a code are not set. */
void cdelta_encoding_table(const struct codes *codes, int is_difference, struct table *table);

#endif
