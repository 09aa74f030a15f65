#include "codes.h"

#include <string.h>

/* A node of the package-merge method: how often it holds each symbol. */
struct package {
    uint64_t weight;
    uint8_t count[SYMBOLS];
};

/*
 * Lengths of at most CODE_BITS bits with the least total, by package-merge (Larmore and Hirschberg 1990): of the
 * cheapest 2n - 2 packages of the last row, a symbol's length is how often it occurs in them.
 */
static void optimal_lengths(const uint32_t counts[SYMBOLS], const uint8_t symbols[SYMBOLS], int n,
                            uint8_t lengths[SYMBOLS]) {
    struct package leaves[SYMBOLS], row[2 * SYMBOLS], next[2 * SYMBOLS];
    for (int i = 0; i < n; i++) {
        leaves[i] = (struct package){.weight = counts[symbols[i]]};
        leaves[i].count[symbols[i]] = 1;
    }
    /* By weight, then symbol: a stable order, so that every machine makes the same codes. */
    for (int i = 1; i < n; i++) {
        struct package leaf = leaves[i];
        int j = i;
        for (; j > 0 && leaves[j - 1].weight > leaf.weight; j--) leaves[j] = leaves[j - 1];
        leaves[j] = leaf;
    }
    int size = n;
    memcpy(row, leaves, (size_t)n * sizeof *row);
    for (int bit = 1; bit < CODE_BITS; bit++) {
        int leaf = 0, pair = 0, made = 0;
        while (leaf < n || pair + 1 < size) {
            uint64_t both = pair + 1 < size ? row[pair].weight + row[pair + 1].weight : UINT64_MAX;
            if (leaf < n && leaves[leaf].weight <= both) {
                next[made++] = leaves[leaf++];
            } else {
                next[made] = row[pair];
                next[made].weight = both;
                for (int s = 0; s < SYMBOLS; s++) next[made].count[s] += row[pair + 1].count[s];
                pair += 2;
                made++;
            }
        }
        size = made;
        memcpy(row, next, (size_t)size * sizeof *row);
    }
    for (int i = 0; i < 2 * n - 2; i++)
        for (int s = 0; s < SYMBOLS; s++) lengths[s] += row[i].count[s];
}

/* Each byte with its bits in the other order. */
#define R2(n) n, n + 128, n + 64, n + 192
#define R4(n) R2(n), R2(n + 32), R2(n + 16), R2(n + 48)
#define R6(n) R4(n), R4(n + 8), R4(n + 4), R4(n + 12)
static const uint8_t reversed[256] = {R6(0), R6(2), R6(1), R6(3)};

/* Canonical codes: by length, then by symbol, counting up; the first bit is the highest of the count.
 * Returns whether the lengths fill all code space. */
static int assign_codes(struct codes *codes, int context) {
    uint32_t next[CODE_BITS + 1] = {0}, count[CODE_BITS + 1] = {0}, code = 0;
    int first = codes->first[context], end = first + codes->count[context];
    for (int s = first; s < end; s++) count[codes->length[context][s]] += codes->has[context][s];
    for (int length = 0; length <= CODE_BITS; length++) {
        next[length] = code;
        code += count[length];
        if (code > 1u << length) return 0;
        if (length < CODE_BITS) code <<= 1;
    }
    for (int s = first; s < end; s++) {
        int length = codes->length[context][s];
        if (codes->has[context][s]) codes->code[context][s] = reversed[next[length]++ << (8 - length)];
    }
    return code == CODE_VALUES;
}

void cdelta_make_codes(const struct histogram *histogram, struct codes *codes) {
    memset(codes, 0, sizeof *codes);
    for (int c = 0; c < CONTEXTS; c++) {
        uint8_t symbols[SYMBOLS];
        int n = 0;
        for (int s = 0; s < SYMBOLS; s++)
            if (histogram->count[c][s] > 0) symbols[n++] = (uint8_t)s;
        if (n == 0) continue;
        codes->first[c] = symbols[0];
        codes->count[c] = (uint8_t)(symbols[n - 1] - symbols[0] + 1);
        for (int i = 0; i < n; i++) codes->has[c][symbols[i]] = 1;
        if (n > 1) optimal_lengths(histogram->count[c], symbols, n, codes->length[c]);
        assign_codes(codes, c);
    }
}

/* Writes or reads bits, the first ones lowest. */
struct bits {
    uint8_t *out;
    const uint8_t *in;
    size_t at; /* in bits */
};

static void put(struct bits *bits, uint32_t value, int count) {
    for (int i = 0; i < count; i++, bits->at++) {
        if (bits->at % 8 == 0) bits->out[bits->at / 8] = 0;
        bits->out[bits->at / 8] |= (uint8_t)((value >> i & 1) << bits->at % 8);
    }
}

/* Needs 4 readable bytes from the place on; counts of at most 8. */
static uint32_t get(struct bits *bits, int count) {
    uint32_t window;
    memcpy(&window, bits->in + bits->at / 8, sizeof window);
    window >>= bits->at % 8;
    bits->at += (size_t)count;
    return window & ((1u << count) - 1);
}

size_t cdelta_write_codes(const struct codes *codes, uint8_t *out) {
    struct bits bits = {.out = out};
    for (int c = 0; c < CONTEXTS; c++) {
        put(&bits, codes->count[c], 6);
        if (codes->count[c] == 0) continue;
        put(&bits, codes->first[c], 6);
        for (int s = codes->first[c]; s < codes->first[c] + codes->count[c]; s++)
            put(&bits, codes->has[c][s] ? codes->length[c][s] + 1u : 0, 4);
    }
    return (bits.at + 7) / 8;
}

int cdelta_read_codes(const uint8_t *at, size_t size, struct codes *codes) {
    /* A copy, with zeros behind it for what is read too far. */
    uint8_t copy[MAX_CODES_BYTES + sizeof(uint32_t)] = {0};
    if (size > MAX_CODES_BYTES) return 0;
    memcpy(copy, at, size);
    struct bits bits = {.in = copy};
    memset(codes, 0, sizeof *codes);
    for (int c = 0; c < CONTEXTS; c++) {
        uint32_t count = get(&bits, 6);
        if (count == 0) continue;
        uint32_t first = get(&bits, 6);
        if (first + count > SYMBOLS) return 0;
        codes->first[c] = (uint8_t)first;
        codes->count[c] = (uint8_t)count;
        for (uint32_t s = first; s < first + count; s++) {
            uint32_t length = get(&bits, 4);
            if (length > CODE_BITS + 1) return 0;
            codes->has[c][s] = length > 0;
            codes->length[c][s] = (uint8_t)(length > 0 ? length - 1 : 0);
        }
        if (!assign_codes(codes, c)) return 0;
    }
    return (bits.at + 7) / 8 == size;
}

static void fill(uint32_t entries[CODE_VALUES], uint8_t code, uint8_t length, uint32_t entry) {
    for (uint32_t value = code; value < CODE_VALUES; value += 1u << length) entries[value] = entry;
}

void cdelta_difference_table(const struct codes *codes, struct decoding_table *table) {
    for (int c = 0; c < CONTEXTS; c++) {
        /* A context without codes is met in damaged streams only; it reads nothing. */
        if (codes->count[c] == 0) memset(table->entry[c], 0, sizeof table->entry[c]);
        for (uint32_t s = codes->first[c]; s < (uint32_t)codes->first[c] + codes->count[c]; s++) {
            if (!codes->has[c][s]) continue;
            uint32_t length = codes->length[c][s], rest = difference_rest(s);
            fill(table->entry[c], codes->code[c][s], codes->length[c][s],
                 length | rest << 8 | (length + rest) << 16);
        }
    }
}

void cdelta_alone_table(const struct codes *codes, uint8_t top, struct decoding_table *table) {
    memset(table->entry[0], 0, sizeof table->entry[0]);
    for (uint32_t s = 0; s < SYMBOLS; s++) {
        if (!codes->has[0][s]) continue;
        uint32_t length = codes->length[0][s], rest = alone_rest(s);
        uint32_t exponent = s > 0 ? (top - (s - 1)) & 0xFF : 0;
        fill(table->entry[0], codes->code[0][s], codes->length[0][s],
             length | rest << 8 | (length + rest) << 16 | exponent << 24);
    }
}
