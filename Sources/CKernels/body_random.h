// Philox 4x32-10 (Salmon et al., SC 2011), 16 blocks at once: lane i has the block at the counter + i.

INLINE void philox(uint64_t seed, uint64_t stream, uint64_t block, vu words[static 4]) {
  const vl lane = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
  vl counter = lane + block;
  vu c0 = __builtin_convertvector(counter, vu), c1 = __builtin_convertvector(counter >> 32, vu);
  vu c2 = (vu)(uint32_t)stream, c3 = (vu)(uint32_t)(stream >> 32);
  uint32_t k0 = (uint32_t)seed, k1 = (uint32_t)(seed >> 32);
  for (int round = 0; round < 10; round++) {
    vl a = __builtin_convertvector(c0, vl) * 0xD2511F53u;
    vl b = __builtin_convertvector(c2, vl) * 0xCD9E8D57u;
    c0 = __builtin_convertvector(b >> 32, vu) ^ c1 ^ k0;
    c1 = __builtin_convertvector(b, vu);
    c2 = __builtin_convertvector(a >> 32, vu) ^ c3 ^ k1;
    c3 = __builtin_convertvector(a, vu);
    k0 += 0x9E3779B9u;
    k1 += 0xBB67AE85u;
  }
  words[0] = c0;
  words[1] = c1;
  words[2] = c2;
  words[3] = c3;
}

INLINE vf uniform(vu word) { return __builtin_convertvector((vi)(word >> 8), vf) * 0x1p-24f; }

// Box and Muller's transform: radius sqrt(-2 log u), u in (0, 1], and an angle of v turns, v in [0, 1).
INLINE void normal_pair(vu u, vu v, vf *first, vf *second) {
  vf radius = __builtin_elementwise_sqrt(log_(uniform(u) + 0x1p-24f) * -2);
  // In quarter turns the reduction is exact.
  vf quarters = uniform(v) * 4;
  vf rounded = quarters + ROUNDING;
  vf r = (quarters - (rounded - ROUNDING)) * 0x1.921fb6p+0f;
  vf sine, cosine;
  sincos_reduced((vi)rounded, r, &sine, &cosine);
  *first = radius * cosine;
  *second = radius * sine;
}

typedef enum { WORDS, UNIFORM, NORMAL } distribution;

INLINE void random_fill(distribution kind, uint64_t seed, uint64_t stream, uint64_t block, size_t count,
                        float *out) {
  for (size_t i = 0; i < count; i += 4 * CK_LANES, block += CK_LANES) {
    vu words[4];
    vf values[4];
    _Alignas(64) float rows[4 * CK_LANES];
    philox(seed, stream, block, words);
    if (kind == NORMAL) {
      normal_pair(words[0], words[1], &values[0], &values[1]);
      normal_pair(words[2], words[3], &values[2], &values[3]);
    } else {
      for (int w = 0; w < 4; w++) values[w] = kind == UNIFORM ? uniform(words[w]) : (vf)words[w];
    }
    store_rows(rows, values[0], values[1], values[2], values[3]);
    size_t n = count - i < 4 * CK_LANES ? count - i : 4 * CK_LANES;
    __builtin_memcpy(out + i, rows, n * sizeof(float));
  }
}

static void random_words(uint64_t seed, uint64_t stream, uint64_t block, size_t count, uint32_t *out) {
  random_fill(WORDS, seed, stream, block, count, (float *)out);
}

static void random_uniform(uint64_t seed, uint64_t stream, uint64_t block, size_t count, float *out) {
  random_fill(UNIFORM, seed, stream, block, count, out);
}

static void random_normal(uint64_t seed, uint64_t stream, uint64_t block, size_t count, float *out) {
  random_fill(NORMAL, seed, stream, block, count, out);
}
