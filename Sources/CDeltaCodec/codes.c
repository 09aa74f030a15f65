#include "codes.h"

#include <string.h>

/* Sorts symbols by count, then symbol: a stable order, so that every machine makes the same codes. */
static void sort_by_count(const uint32_t counts[SYMBOLS], uint8_t symbols[SYMBOLS], int n) {
    for (int i = 1; i < n; i++) {
        uint8_t symbol = symbols[i];
        int j = i;
        for (; j > 0 && counts[symbols[j - 1]] > counts[symbol]; j--) symbols[j] = symbols[j - 1];
        symbols[j] = symbol;
    }
}

/*
 * Adds to `lengths` the best ones of at most CODE_BITS bits, by package-merge (Larmore and Hirschberg 1990).
 * A row is the symbols merged with pairs of the row before, cheapest first. A symbol's length is how often it
 * occurs in the first 2n - 2 places of the last row. As the first places of a row are the first symbols and
 * the first pairs, it is enough to know which of its places are symbols.
 */
static void optimal_lengths(const uint32_t counts[SYMBOLS], const uint8_t sorted[SYMBOLS], int n,
                            uint8_t lengths[SYMBOLS]) {
    uint64_t row[2 * SYMBOLS], next[2 * SYMBOLS];
    uint8_t is_symbol[CODE_BITS][2 * SYMBOLS];
    int size = 0;
    for (int bit = 0; bit < CODE_BITS; bit++) {
        int symbol = 0, pair = 0, made = 0;
        while (symbol < n || pair + 1 < size) {
            uint64_t both = pair + 1 < size ? row[pair] + row[pair + 1] : UINT64_MAX;
            int takes_symbol = symbol < n && counts[sorted[symbol]] <= both;
            next[made] = takes_symbol ? counts[sorted[symbol]] : both;
            symbol += takes_symbol;
            pair += takes_symbol ? 0 : 2;
            is_symbol[bit][made++] = (uint8_t)takes_symbol;
        }
        size = made;
        memcpy(row, next, (size_t)size * sizeof *row);
    }
    int taken = 2 * n - 2;
    for (int bit = CODE_BITS - 1; bit >= 0; bit--) {
        int symbols = 0;
        for (int i = 0; i < taken; i++) symbols += is_symbol[bit][i];
        for (int i = 0; i < symbols; i++) lengths[sorted[i]]++;
        taken = 2 * (taken - symbols);
    }
}

void cdelta_make_codes(const struct histogram *histogram, struct codes *codes) {
    memset(codes, 0, sizeof *codes);
    for (int c = 0; c < CONTEXTS; c++) {
        uint32_t counts[SYMBOLS] = {0};
        uint8_t symbols[SYMBOLS], lengths[SYMBOLS] = {0};
        int n = 0;
        for (int s = 0; s < SYMBOLS; s++) {
            for (int i = 0; i < COUNTS; i++) counts[s] += histogram->count[i][c * CODE_VALUES + s];
            if (counts[s] == 0) continue;
            symbols[n++] = (uint8_t)s;
        }
        sort_by_count(counts, symbols, n);
        if (n > 1) optimal_lengths(counts, symbols, n, lengths);
        for (int i = 0; i < n; i++) codes->symbols[c][lengths[symbols[i]]] |= UINT64_C(1) << symbols[i];
    }
}

/* Each byte with its bits in reverse order. */
#define R2(n) n, n + 128, n + 64, n + 192
#define R4(n) R2(n), R2(n + 32), R2(n + 16), R2(n + 48)
#define R6(n) R4(n), R4(n + 8), R4(n + 4), R4(n + 12)
static const uint8_t reversed[256] = {R6(0), R6(2), R6(1), R6(3)};

/* The lowest symbol of a set. */
static inline uint32_t lowest(uint64_t set) { return (uint32_t)__builtin_ctzll(set); }

/* Writes bits, the first ones lowest. */
struct writer {
    uint8_t *out;
    uint32_t held, count;
};

static void put(struct writer *writer, uint32_t value, uint32_t count) {
    writer->held |= value << writer->count;
    writer->count += count;
    for (; writer->count >= 8; writer->count -= 8, writer->held >>= 8) *writer->out++ = (uint8_t)writer->held;
}

size_t cdelta_write_codes(const struct codes *codes, uint8_t *out) {
    struct writer writer = {.out = out};
    for (int c = 0; c < CONTEXTS; c++) {
        uint8_t length1[SYMBOLS] = {0};
        uint32_t first = SYMBOLS, end = 0;
        for (int length = 0; length <= CODE_BITS; length++)
            for (uint64_t set = codes->symbols[c][length]; set != 0; set &= set - 1) {
                uint32_t symbol = lowest(set);
                length1[symbol] = (uint8_t)(length + 1);
                first = symbol < first ? symbol : first;
                end = symbol >= end ? symbol + 1 : end;
            }
        put(&writer, end > 0 ? end - first : 0, 6);
        if (end == 0) continue;
        put(&writer, first, 6);
        for (uint32_t s = first; s < end; s++) put(&writer, length1[s], 4);
    }
    if (writer.count > 0) *writer.out++ = (uint8_t)writer.held;
    return (size_t)(writer.out - out);
}

/* Reads bits, the first ones lowest. */
struct reader {
    const uint8_t *in;
    size_t at; /* in bits */
};

/* The next bits, at least 57 of them. Needs 8 readable bytes from the place on. */
static uint64_t look(const struct reader *reader) {
    uint64_t window;
    memcpy(&window, reader->in + reader->at / 8, sizeof window);
    return window >> reader->at % 8;
}

static uint32_t get(struct reader *reader, uint32_t count) {
    uint64_t window = look(reader);
    reader->at += count;
    return (uint32_t)window & ((1u << count) - 1);
}

/* How many values of the next bits begin with a code, by its length plus 1; too many for one that is too long. */
static const uint16_t space_of[16] = {0, 128, 64, 32, 16, 8, 4, 2, 1, 999, 999, 999, 999, 999, 999, 999};

int cdelta_read_codes(const uint8_t *at, size_t size, struct codes *codes) {
    /* A copy, with zeros behind it for what is read too far. */
    uint8_t copy[MAX_CODES_BYTES + sizeof(uint64_t)];
    if (size > MAX_CODES_BYTES) return 0;
    memcpy(copy, at, size);
    memset(copy + size, 0, sizeof copy - size);
    struct reader reader = {.in = copy};
    for (int c = 0; c < CONTEXTS; c++) {
        uint64_t sets[16] = {0}; /* by a code's length plus 1, which is 0 where there is none */
        uint32_t space = 0, count = get(&reader, 6);
        uint32_t first = count > 0 ? get(&reader, 6) : 0, end = first + count;
        if (end > SYMBOLS) return 0;
        for (uint32_t s = first; s < end;) {
            uint64_t window = look(&reader);
            uint32_t stop = s + 14 < end ? s + 14 : end;
            reader.at += 4 * (stop - s);
            for (; s < stop; s++, window >>= 4) {
                sets[window & 15] |= UINT64_C(1) << s;
                space += space_of[window & 15];
            }
        }
        /* Each value of the next bits must begin with one code. */
        if (count > 0 && space != CODE_VALUES) return 0;
        memcpy(codes->symbols[c], sets + 1, sizeof codes->symbols[c]);
    }
    return (reader.at + 7) / 8 == size;
}

/*
 * Fills what the next bits mean in one context, from the entry of each symbol but for the length of its code.
 * The shorter codes come first: what they fill is doubled with each bit more, and longer ones take what is
 * left.
 */
static void fill_table(const struct codes *codes, int context, const uint32_t symbols[SYMBOLS],
                       struct table *table) {
    const uint64_t *sets = codes->symbols[context];
    uint32_t code = 0, *entries = table->entry + context * CODE_VALUES;
    uint64_t all = 0;
    for (int length = 0; length <= CODE_BITS; length++) all |= sets[length];
    /* A context without codes is met in damaged streams only; it reads nothing. */
    if (all == 0) memset(entries, 0, CODE_VALUES * sizeof *entries);
#pragma unroll
    for (uint32_t length = 0; length <= CODE_BITS; length++, code *= 2) {
        size_t half = ((size_t)1 << length) / 2;
        memcpy(entries + half, entries, half * sizeof *entries);
        for (uint64_t set = sets[length]; set != 0; set &= set - 1)
            entries[reversed[code++ << (8 - length)]] =
                symbols[lowest(set)] + (length | length << 16);
    }
}

void cdelta_difference_table(const struct codes *codes, struct table *table) {
    uint32_t symbols[SYMBOLS];
    for (uint32_t s = 0; s < SYMBOLS; s++) symbols[s] = difference_rest(s) << 8 | difference_rest(s) << 16;
    for (int c = 0; c < CONTEXTS; c++) fill_table(codes, c, symbols, table);
}

void cdelta_alone_table(const struct codes *codes, uint8_t top, struct table *table) {
    uint32_t symbols[SYMBOLS];
    for (uint32_t s = 0; s < SYMBOLS; s++) {
        uint32_t exponent = s > 0 ? (top - (s - 1)) & 0xFF : 0;
        symbols[s] = alone_rest(s) << 8 | alone_rest(s) << 16 | exponent << 24;
    }
    fill_table(codes, 0, symbols, table);
}

void cdelta_encoding_table(const struct codes *codes, int is_difference, struct table *table) {
    for (int c = 0; c < CONTEXTS; c++) {
        uint32_t code = 0, *entries = table->entry + c * CODE_VALUES;
        for (uint32_t length = 0; length <= CODE_BITS; length++, code *= 2) {
            for (uint64_t set = codes->symbols[c][length]; set != 0; set &= set - 1) {
                uint32_t symbol = lowest(set);
                uint32_t rest = is_difference ? difference_rest(symbol) : alone_rest(symbol);
                uint32_t bits = reversed[code++ << (8 - length)];
                entries[symbol] = length | rest << 8 | bits << 16;
            }
        }
    }
}
