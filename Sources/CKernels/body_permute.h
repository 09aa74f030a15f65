// Permutations of hidden units, for the pair stream: whole rows are copied, columns are picked in blocks.

// Sixteen floats at any address.
typedef float vf_anywhere __attribute__((ext_vector_type(CK_LANES), aligned(4)));

INLINE void scaled_copy(float scale, size_t count, const float *in, float *out) {
  size_t i = 0;
  for (; i + CK_LANES <= count; i += CK_LANES)
    *(vf_anywhere *)(out + i) = scale * *(const vf_anywhere *)(in + i);
#ifdef CK_PICKS_FROM_TWO
  __mmask16 rest = (__mmask16)((1u << (count - i)) - 1);
  _mm512_mask_storeu_ps(out + i, rest, scale * _mm512_maskz_loadu_ps(rest, in + i));
#else
  for (; i < count; i++) out[i] = scale * in[i];
#endif
}

#ifdef CK_PICKS_FROM_TWO
// Rows of single numbers, at most 32.
INLINE void scaled_pick_rows(float scale, size_t rows, const uint32_t *row_order, size_t columns,
                             const uint32_t *order, const float *in, float *out) {
  uint32_t all = (uint32_t)((UINT64_C(1) << columns) - 1);
  __mmask16 low = (__mmask16)all, high = (__mmask16)(all >> 16);
  __m512i first = _mm512_maskz_loadu_epi32(low, order), second = _mm512_maskz_loadu_epi32(high, order + 16);
  for (size_t r = 0; r < rows; r++, out += columns) {
    const float *from = in + (row_order ? row_order[r] : r) * columns;
    __m512 a = _mm512_maskz_loadu_ps(low, from), b = _mm512_maskz_loadu_ps(high, from + 16);
    _mm512_mask_storeu_ps(out, low, scale * _mm512_permutex2var_ps(a, first, b));
    if (high) _mm512_mask_storeu_ps(out + 16, high, scale * _mm512_permutex2var_ps(a, second, b));
  }
}
#endif

INLINE void scaled_pick(float scale, size_t columns, const uint32_t *order, size_t block, const float *in,
                        float *out) {
  for (size_t c = 0; c < columns; c++, out += block) {
    const float *from = in + order[c] * block;
    for (size_t i = 0; i < block; i++) out[i] = scale * from[i];
  }
}

// Four floats at any address.
typedef float v4f __attribute__((ext_vector_type(4)));
typedef float v4f_anywhere __attribute__((ext_vector_type(4), aligned(4)));

// Single numbers of four rows at a time, put together in fours, as the gathering instructions of most processors are
// slower, and there are fewer stores than loads.
INLINE void scaled_pick_numbers(float scale, size_t columns, const uint32_t *order, const float *const from[4],
                                float *out) {
  float *to[4] = {out, out + columns, out + 2 * columns, out + 3 * columns};
  size_t c = 0;
  for (; c + 4 <= columns; c += 4) {
    const size_t place[4] = {order[c], order[c + 1], order[c + 2], order[c + 3]};
#pragma unroll
    for (int r = 0; r < 4; r++) {
      v4f numbers = {from[r][place[0]], from[r][place[1]], from[r][place[2]], from[r][place[3]]};
      *(v4f_anywhere *)(to[r] + c) = scale * numbers;
    }
  }
  for (; c < columns; c++)
    for (int r = 0; r < 4; r++) to[r][c] = scale * from[r][order[c]];
}

static void permute(float scale, size_t rows, const uint32_t *row_order, size_t columns,
                    const uint32_t *column_order, size_t block, const float *in, float *out) {
  size_t length = columns * block, r = 0;
#ifdef CK_PICKS_FROM_TWO
  if (column_order && block == 1 && columns <= 32)
    return scaled_pick_rows(scale, rows, row_order, columns, column_order, in, out);
#endif
  // A matrix that is picked apart in any order is fetched from far memory in order first.
  float near[2048];
  if (column_order && block == 1 && rows * columns <= sizeof near / sizeof *near) {
    scaled_copy(1, rows * columns, in, near);
    in = near;
  }
#define ROW(r) (in + (row_order ? row_order[r] : (r)) * length)
  if (column_order && block == 1)
    for (; r + 4 <= rows; r += 4, out += 4 * length) {
      const float *const from[4] = {ROW(r), ROW(r + 1), ROW(r + 2), ROW(r + 3)};
      scaled_pick_numbers(scale, columns, column_order, from, out);
    }
  for (; r < rows; r++, out += length) {
    const float *from = ROW(r);
    if (!column_order)
      scaled_copy(scale, length, from, out);
    else if (block == 9) // the taps of a 3x3 convolution
      scaled_pick(scale, columns, column_order, 9, from, out);
    else
      scaled_pick(scale, columns, column_order, block, from, out);
  }
#undef ROW
}

static void permute_rows_past_caches(float scale, size_t rows, const uint32_t *row_order, size_t length,
                                     const float *in, float *out) {
  for (size_t r = 0; r < rows; r++, out += length) {
    const float *from = in + (row_order ? row_order[r] : r) * length;
    size_t head = -(uintptr_t)out % sizeof(vf) / sizeof *out, i = head < length ? head : length;
    scaled_copy(scale, i, from, out);
    for (; i + CK_LANES <= length; i += CK_LANES)
      __builtin_nontemporal_store(scale * (vf) * (const vf_anywhere *)(from + i), (vf *)(out + i));
    scaled_copy(scale, length - i, from + i, out + i);
  }
}

static size_t count_between(float low, float high, size_t count, const float *in) {
  uint32_t found = 0;
  for (size_t i = 0; i < count; i++) found += (in[i] >= low) & (in[i] <= high);
  return found;
}

static size_t find_between(float low, float high, size_t number, size_t count, const float *in) {
  enum { part = 32 };
  size_t i = 0;
  for (size_t found; i + part < count; i += part, number -= found)
    if ((found = count_between(low, high, part, in + i)) > number) break;
  for (; i < count; i++)
    if (in[i] >= low && in[i] <= high && number-- == 0) return i;
  return count;
}
