// Permutations of hidden units, for the pair stream: whole rows are copied, columns are picked in blocks.

// Sixteen floats at any address.
typedef float vf_anywhere __attribute__((ext_vector_type(CK_LANES), aligned(4)));

INLINE void scaled_copy(float scale, size_t count, const float *in, float *out) {
  size_t i = 0;
  for (; i + CK_LANES <= count; i += CK_LANES)
    *(vf_anywhere *)(out + i) = scale * *(const vf_anywhere *)(in + i);
  for (; i < count; i++) out[i] = scale * in[i];
}

INLINE void scaled_pick(float scale, size_t columns, const uint32_t *order, size_t block, const float *in,
                        float *out) {
  for (size_t c = 0; c < columns; c++, out += block) {
    const float *from = in + order[c] * block;
    for (size_t i = 0; i < block; i++) out[i] = scale * from[i];
  }
}

// Single numbers: one by one, as the gathering instructions of most processors are slower than that.
INLINE void scaled_pick_numbers(float scale, size_t columns, const uint32_t *order, const float *in, float *out) {
#pragma clang loop vectorize(disable) unroll_count(8)
  for (size_t c = 0; c < columns; c++) {
    float number = in[order[c]];
    __asm__("" : "+x"(number));
    out[c] = scale * number;
  }
}

static void permute(float scale, size_t rows, const uint32_t *row_order, size_t columns,
                    const uint32_t *column_order, size_t block, const float *in, float *out) {
  size_t length = columns * block;
  // A matrix that is picked apart in any order is fetched from far memory in order first.
  float near[2048];
  if (column_order && block == 1 && rows * columns <= sizeof near / sizeof *near) {
    scaled_copy(1, rows * columns, in, near);
    in = near;
  }
  for (size_t r = 0; r < rows; r++, out += length) {
    const float *from = in + (row_order ? row_order[r] : r) * length;
    if (!column_order)
      scaled_copy(scale, length, from, out);
    else if (block == 1)
      scaled_pick_numbers(scale, columns, column_order, from, out);
    else if (block == 9) // the taps of a 3x3 convolution
      scaled_pick(scale, columns, column_order, 9, from, out);
    else
      scaled_pick(scale, columns, column_order, block, from, out);
  }
}
