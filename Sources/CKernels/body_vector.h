// Vectors of 16 lanes, whatever the width of the registers that hold them.

typedef float vf __attribute__((ext_vector_type(CK_LANES)));
typedef int32_t vi __attribute__((ext_vector_type(CK_LANES)));
typedef uint32_t vu __attribute__((ext_vector_type(CK_LANES)));
typedef uint64_t vl __attribute__((ext_vector_type(CK_LANES)));

// Always inlined: a call would pass vectors through memory, in a way that differs between instruction sets.
#define INLINE static inline __attribute__((always_inline))

INLINE vf splat(float x) { return (vf)x; }
INLINE vf load(const float *p) { return *(const vf *)p; }
INLINE void store(float *p, vf x) { *(vf *)p = x; }
INLINE vf fma_(vf a, vf b, vf c) { return __builtin_elementwise_fma(a, b, c); }

// Comparisons rather than minima and maxima, which differ in what they make of NaN and of signed zeros.
INLINE vf at_most(vf x, vf limit) { return x > limit ? limit : x; }
INLINE vf at_least(vf x, vf limit) { return x < limit ? limit : x; }
INLINE vf absolute(vf x) { return (vf)((vi)x & 0x7FFFFFFF); }

// The nearest integer, as a float plus the number whose last bit is worth 1; needs |x| < 2^22.
#define ROUNDING 0x1.8p+23f

// The sum of all lanes, by halves: lane i with lane i + 8, then with i + 4, and so on.
INLINE float sum(vf x) {
  typedef float v8 __attribute__((ext_vector_type(8)));
  typedef float v4 __attribute__((ext_vector_type(4)));
  v8 a = x.lo + x.hi;
  v4 b = a.lo + a.hi;
  return (b.x + b.z) + (b.y + b.w);
}

// Lane s of the result is sum(x[s]), to the bit. Each level folds two vectors into one, so that 16 sums cost
// 15 additions together.
INLINE vf sum16(const vf x[static CK_LANES]) {
#define PICK __builtin_shufflevector
  vf a[8], b[4], c[2];
#pragma unroll
  for (int i = 0; i < 8; i++)
    a[i] = PICK(x[i], x[i + 8], 0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23) +
           PICK(x[i], x[i + 8], 8, 9, 10, 11, 12, 13, 14, 15, 24, 25, 26, 27, 28, 29, 30, 31);
#pragma unroll
  for (int i = 0; i < 4; i++)
    b[i] = PICK(a[i], a[i + 4], 0, 1, 2, 3, 16, 17, 18, 19, 8, 9, 10, 11, 24, 25, 26, 27) +
           PICK(a[i], a[i + 4], 4, 5, 6, 7, 20, 21, 22, 23, 12, 13, 14, 15, 28, 29, 30, 31);
#pragma unroll
  for (int i = 0; i < 2; i++)
    c[i] = PICK(b[i], b[i + 2], 0, 1, 16, 17, 4, 5, 20, 21, 8, 9, 24, 25, 12, 13, 28, 29) +
           PICK(b[i], b[i + 2], 2, 3, 18, 19, 6, 7, 22, 23, 10, 11, 26, 27, 14, 15, 30, 31);
  return PICK(c[0], c[1], 0, 16, 2, 18, 4, 20, 6, 22, 8, 24, 10, 26, 12, 28, 14, 30) +
         PICK(c[0], c[1], 1, 17, 3, 19, 5, 21, 7, 23, 9, 25, 11, 27, 13, 29, 15, 31);
#undef PICK
}

INLINE vf reversed(vf x) {
  return __builtin_shufflevector(x, x, 15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0);
}

// Transposes a matrix of 16 vectors in place.
INLINE void transpose16(vf x[static CK_LANES]) {
#define PICK __builtin_shufflevector
#define SWAP(distance, low, high)                                \
  _Pragma("unroll") for (int i = 0; i < CK_LANES; i++) if (!(i & distance)) { \
    vf a = x[i], b = x[i + distance];                            \
    x[i] = PICK(a, b, low);                                      \
    x[i + distance] = PICK(a, b, high);                          \
  }
#define LIST(...) __VA_ARGS__
  // Blocks of half the size change places across the diagonal, until they are single numbers.
  SWAP(8, LIST(0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23),
       LIST(8, 9, 10, 11, 12, 13, 14, 15, 24, 25, 26, 27, 28, 29, 30, 31))
  SWAP(4, LIST(0, 1, 2, 3, 16, 17, 18, 19, 8, 9, 10, 11, 24, 25, 26, 27),
       LIST(4, 5, 6, 7, 20, 21, 22, 23, 12, 13, 14, 15, 28, 29, 30, 31))
  SWAP(2, LIST(0, 1, 16, 17, 4, 5, 20, 21, 8, 9, 24, 25, 12, 13, 28, 29),
       LIST(2, 3, 18, 19, 6, 7, 22, 23, 10, 11, 26, 27, 14, 15, 30, 31))
  SWAP(1, LIST(0, 16, 2, 18, 4, 20, 6, 22, 8, 24, 10, 26, 12, 28, 14, 30),
       LIST(1, 17, 3, 19, 5, 21, 7, 23, 9, 25, 11, 27, 13, 29, 15, 31))
#undef LIST
#undef SWAP
#undef PICK
}

// The columns a, b, c, d as 16 rows of 4: 64 floats.
INLINE void store_rows(float *p, vf a, vf b, vf c, vf d) {
  for (int i = 0; i < CK_LANES; i++) {
    p[4 * i] = a[i];
    p[4 * i + 1] = b[i];
    p[4 * i + 2] = c[i];
    p[4 * i + 3] = d[i];
  }
}
