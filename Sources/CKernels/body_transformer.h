// What a transformer does between its matrix products.

// Sixteen floats from any address; of a row's end, only `count`, the others 0.
INLINE vf load_any(const float *p) { return *(const vf_anywhere *)p; }
INLINE void store_any(float *p, vf x) { *(vf_anywhere *)p = x; }

INLINE vf load_part(const float *p, size_t count) {
  if (count >= CK_LANES) return load_any(p);
  vf x = splat(0);
  __builtin_memcpy(&x, p, count * sizeof(float));
  return x;
}

INLINE void store_part(float *p, vf x, size_t count) {
  if (count >= CK_LANES)
    store_any(p, x);
  else
    __builtin_memcpy(p, &x, count * sizeof(float));
}

// The first `count` lanes, the others replaced.
INLINE vf first_lanes(vf x, size_t count, float other) {
  const vi lane = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
  return lane < (vi)((int32_t)(count < CK_LANES ? count : CK_LANES)) ? x : splat(other);
}

INLINE float greatest_lane(vf x) {
#define PICK __builtin_shufflevector
  vf y = PICK(x, x, 8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7);
  x = y > x ? y : x;
  y = PICK(x, x, 4, 5, 6, 7, 0, 1, 2, 3, 12, 13, 14, 15, 8, 9, 10, 11);
  x = y > x ? y : x;
  y = PICK(x, x, 2, 3, 0, 1, 6, 7, 4, 5, 10, 11, 8, 9, 14, 15, 12, 13);
  x = y > x ? y : x;
  return x[1] > x[0] ? x[1] : x[0];
#undef PICK
}

#define EACH_VECTOR(i, width) for (size_t i = 0; i < (width); i += CK_LANES)

static void transformer_norm(size_t rows, size_t width, const float *x, const float *gain, const float *bias,
                             const float *positions, size_t period, const uint32_t *indices, float *y,
                             float *statistics) {
  size_t row = ck_row(width);
  for (size_t r = 0; r < rows; r++, x += row, y += row) {
    vf total = splat(0), squares = splat(0);
    EACH_VECTOR(i, width) total += load_part(x + i, width - i);
    float mean = sum(total) / (float)width;
    EACH_VECTOR(i, width) {
      vf d = first_lanes(load_part(x + i, width - i) - mean, width - i, 0);
      squares = fma_(d, d, squares);
    }
    float factor = 1 / __builtin_elementwise_sqrt(sum(squares) / (float)width + 1e-5f);
    statistics[2 * r] = mean;
    statistics[2 * r + 1] = factor;
    const float *position = positions ? positions + indices[r % period] * width : bias;
    EACH_VECTOR(i, width) {
      size_t n = width - i;
      vf v = (load_part(x + i, n) - mean) * factor;
      v = fma_(v, load_part(gain + i, n), load_part(bias + i, n));
      if (positions) v += load_part(position + i, n);
      store_part(y + i, v, n);
    }
  }
}

static void transformer_norm_gradient(size_t rows, size_t width, const float *x, const float *gain,
                                      const float *statistics, const float *dy, const float *base, float *dx,
                                      float *gain_gradient, float *bias_gradient) {
  size_t row = ck_row(width);
  for (size_t r = 0; r < rows; r++, x += row, dy += row, dx += row) {
    float mean = statistics[2 * r], factor = statistics[2 * r + 1];
    vf total = splat(0), products = splat(0);
    EACH_VECTOR(i, width) {
      size_t n = width - i;
      vf g = load_part(dy + i, n), normal = (load_part(x + i, n) - mean) * factor;
      store_part(gain_gradient + i, fma_(g, normal, load_part(gain_gradient + i, n)), n);
      store_part(bias_gradient + i, g + load_part(bias_gradient + i, n), n);
      g *= load_part(gain + i, n);
      total += g;
      products = fma_(g, normal, products);
    }
    float mean_gradient = sum(total) / (float)width, mean_product = sum(products) / (float)width;
    EACH_VECTOR(i, width) {
      size_t n = width - i;
      vf normal = (load_part(x + i, n) - mean) * factor;
      vf g = load_part(dy + i, n) * load_part(gain + i, n) - mean_gradient;
      g = fma_(normal, splat(-mean_product), g) * factor;
      if (base) g += load_part(base + r * row + i, n);
      store_part(dx + i, g, n);
    }
  }
}

// The normal distribution function and its density, by exp(-x^2 / 2). The polynomial in t = 1 / (1 + 0.3275911 |z|)
// is Abramowitz and Stegun's 7.1.26: erf within 1.5e-7.
INLINE vf normal_distribution(vf x, vf *density) {
  vf bell = exp_(x * x * -0.5f);
  vf z = absolute(x) * 0x1.6a09e6p-1f;
  vf t = 1 / fma_(z, splat(0.3275911f), splat(1));
  vf p = splat(1.061405429f);
  p = fma_(p, t, splat(-1.453152027f));
  p = fma_(p, t, splat(1.421413741f));
  p = fma_(p, t, splat(-0.284496736f));
  p = fma_(p, t, splat(0.254829592f));
  vf tail = p * t * bell * 0.5f;
  *density = bell * 0x1.988454p-2f;
  return x < 0 ? tail : 1 - tail;
}

static void transformer_gelu(size_t rows, size_t width, const float *bias, float *y, float *z) {
  size_t row = ck_row(width);
  for (size_t r = 0; r < rows; r++, y += row, z += row)
    EACH_VECTOR(i, width) {
      size_t n = width - i;
      vf density, v = load_part(y + i, n) + load_part(bias + i, n);
      vf share = normal_distribution(v, &density);
      store_part(y + i, fma_(v, density, share), n);
      store_part(z + i, v * share, n);
    }
}

static void transformer_gelu_gradient(size_t rows, size_t width, const float *slopes, float *dz,
                                      float *bias_gradient) {
  size_t row = ck_row(width);
  for (size_t r = 0; r < rows; r++, slopes += row, dz += row)
    EACH_VECTOR(i, width) {
      size_t n = width - i;
      vf g = load_part(dz + i, n) * load_part(slopes + i, n);
      store_part(dz + i, g, n);
      store_part(bias_gradient + i, g + load_part(bias_gradient + i, n), n);
    }
}

static void transformer_residual(size_t rows, size_t width, const float *x, const float *y, const float *bias,
                                 float *out) {
  size_t row = ck_row(width);
  for (size_t r = 0; r < rows; r++, x += row, y += row, out += row)
    EACH_VECTOR(i, width) {
      size_t n = width - i;
      store_part(out + i, load_part(x + i, n) + (load_part(y + i, n) + load_part(bias + i, n)), n);
    }
}

static void transformer_column_sums(size_t rows, size_t width, size_t period, const uint32_t *indices,
                                    const float *x, float *sums) {
  size_t row = ck_row(width);
  for (size_t r = 0; r < rows; r++, x += row) {
    float *to = indices ? sums + indices[r % period] * width : sums;
    EACH_VECTOR(i, width) store_part(to + i, load_part(to + i, width - i) + load_part(x + i, width - i), width - i);
  }
}

// out (rows,columns) = a b, a's element (r,k) at a[r * row + k * step], b (inner,columns) and out with rows of `stride`
// floats, columns a multiple of 16; four rows at a time.
INLINE void small_product_rows(size_t count, size_t inner, size_t columns, const float *a, size_t row, size_t step,
                               const float *b, size_t stride, float *out, size_t out_stride) {
  EACH_VECTOR(c, columns) {
    vf x[4];
#pragma unroll
    for (size_t i = 0; i < 4; i++) x[i] = splat(0);
    for (size_t k = 0; k < inner; k++) {
      vf v = load_any(b + k * stride + c);
#pragma unroll
      for (size_t i = 0; i < 4; i++)
        if (i < count) x[i] = fma_(splat(a[i * row + k * step]), v, x[i]);
    }
#pragma unroll
    for (size_t i = 0; i < 4; i++)
      if (i < count) store_any(out + i * out_stride + c, x[i]);
  }
}

static void small_product(size_t rows, size_t inner, size_t columns, const float *a, size_t row, size_t step,
                          const float *b, size_t stride, float *out, size_t out_stride) {
  size_t r = 0;
  for (; r + 4 <= rows; r += 4)
    small_product_rows(4, inner, columns, a + r * row, row, step, b, stride, out + r * out_stride, out_stride);
  for (; r < rows; r++)
    small_product_rows(1, inner, columns, a + r * row, row, step, b, stride, out + r * out_stride, out_stride);
}

// A head's (tokens,depth) out of rows of `width` floats into rows of `stride`, times `scale`, the rest of a row 0.
INLINE void gather_head(size_t tokens, size_t depth, size_t width, float scale, const float *from, size_t stride,
                        float *to) {
  for (size_t t = 0; t < tokens; t++)
    for (size_t i = 0; i < stride; i += CK_LANES)
      store_any(to + t * stride + i, i < depth ? load_part(from + t * width + i, depth - i) * scale : splat(0));
}

INLINE void scatter_head(size_t tokens, size_t depth, size_t width, float scale, const float *from, size_t stride,
                         float *to) {
  for (size_t t = 0; t < tokens; t++)
    EACH_VECTOR(i, depth) store_part(to + t * width + i, load_any(from + t * stride + i) * scale, depth - i);
}

// (depth,stride) of a head's (tokens,depth), the rest of a row 0; blocks of 16 x 16 turned in registers.
INLINE void turn_head(size_t tokens, size_t depth, size_t width, const float *from, size_t stride, float *to) {
  for (size_t t = 0; t < stride; t += CK_LANES)
    EACH_VECTOR(i, depth) {
      vf block[CK_LANES];
      for (size_t k = 0; k < CK_LANES; k++)
        block[k] = t + k < tokens ? load_part(from + (t + k) * width + i, depth - i) : splat(0);
      transpose16(block);
      for (size_t k = 0; k < CK_LANES; k++)
        if (i + k < depth) store_any(to + (i + k) * stride + t, block[k]);
    }
}

INLINE size_t whole_vectors(size_t count) { return (count + CK_LANES - 1) / CK_LANES * CK_LANES; }

// What values are multiplied by: probabilities plus links, both (tokens,across).
INLINE const float *with_links(size_t count, const float *probabilities, const float *links, float *sums) {
  if (!links) return probabilities;
  EACH_VECTOR(i, count) store_any(sums + i, load_any(probabilities + i) + load_any(links + i));
  return sums;
}

static void transformer_attention(size_t examples, size_t tokens, size_t queries, size_t heads, size_t depth,
                                  const float *bias, const float *links, float *qkv, float *probabilities,
                                  float *out, float *scratch) {
  size_t width = heads * depth, wide = 3 * width, row = ck_row(wide), out_row = ck_row(width);
  size_t across = whole_vectors(tokens), deep = whole_vectors(depth);
  float scale = 1 / __builtin_elementwise_sqrt((float)depth);
  float *turned = scratch, *near = turned + depth * across, *result = near + tokens * deep;
  float *sums = result + tokens * deep;
  for (size_t e = 0; e < examples; e++, qkv += tokens * row, out += queries * out_row) {
    const float *own = links ? links + e * tokens * across : links;
    for (size_t t = 0; t < tokens; t++)
      EACH_VECTOR(i, wide) {
        float *p = qkv + t * row + i;
        store_part(p, load_part(p, wide - i) + load_part(bias + i, wide - i), wide - i);
      }
    for (size_t h = 0; h < heads; h++, probabilities += queries * across) {
      const float *q = qkv + h * depth;
      turn_head(tokens, depth, row, q + width, across, turned);
      small_product(queries, depth, across, q, row, 1, turned, across, probabilities, across);
      for (size_t t = 0; t < queries; t++) {
        float *shares = probabilities + t * across;
        vf most = splat(-__builtin_inff()), total = splat(0);
        EACH_VECTOR(i, tokens) {
          vf x = first_lanes(load_any(shares + i) * scale, tokens - i, -__builtin_inff());
          store_any(shares + i, x);
          most = x > most ? x : most;
        }
        float greatest = greatest_lane(most);
        EACH_VECTOR(i, tokens) {
          vf x = exp_(load_any(shares + i) - greatest);
          store_any(shares + i, x);
          total += x;
        }
        float factor = 1 / sum(total);
        EACH_VECTOR(i, tokens) store_any(shares + i, load_any(shares + i) * factor);
      }
      gather_head(tokens, depth, row, 1, q + 2 * width, deep, near);
      const float *factors = with_links(queries * across, probabilities, own, sums);
      small_product(queries, tokens, deep, factors, across, 1, near, deep, result, deep);
      scatter_head(queries, depth, out_row, 1, result, deep, out + h * depth);
    }
  }
}

static void transformer_attention_gradient(size_t examples, size_t tokens, size_t queries, size_t heads,
                                           size_t depth, const float *qkv, const float *probabilities,
                                           const float *links, const float *dout, float *dqkv,
                                           float *bias_gradient, float *scratch) {
  size_t width = heads * depth, wide = 3 * width, row = ck_row(wide), out_row = ck_row(width);
  size_t across = whole_vectors(tokens), deep = whole_vectors(depth);
  float scale = 1 / __builtin_elementwise_sqrt((float)depth);
  float *turned = scratch, *near = turned + depth * across, *slopes = near + tokens * deep;
  float *result = slopes + tokens * across;
  float *all = dqkv;
  for (size_t e = 0; e < examples; e++, qkv += tokens * row, dqkv += tokens * row, dout += queries * out_row) {
    const float *own = links ? links + e * tokens * across : links;
    for (size_t t = queries; t < tokens; t++)
      EACH_VECTOR(i, width) store_part(dqkv + t * row + i, splat(0), width - i);
    for (size_t h = 0; h < heads; h++, probabilities += queries * across) {
      const float *q = qkv + h * depth, *d = dout + h * depth;
      float *dq = dqkv + h * depth;
      turn_head(tokens, depth, row, q + 2 * width, across, turned);
      small_product(queries, depth, across, d, out_row, 1, turned, across, slopes, across);
      for (size_t t = 0; t < queries; t++) {
        const float *p = probabilities + t * across;
        float *s = slopes + t * across;
        vf total = splat(0);
        EACH_VECTOR(i, tokens) total = fma_(load_any(p + i), load_any(s + i), total);
        float mean = sum(total);
        EACH_VECTOR(i, tokens) store_any(s + i, load_any(p + i) * (load_any(s + i) - mean));
      }
      gather_head(tokens, depth, row, 1, q + width, deep, near);
      small_product(queries, tokens, deep, slopes, across, 1, near, deep, result, deep);
      scatter_head(queries, depth, row, scale, result, deep, dq);
      gather_head(queries, depth, row, 1, q, deep, near);
      small_product(tokens, queries, deep, slopes, 1, across, near, deep, result, deep);
      scatter_head(tokens, depth, row, scale, result, deep, dq + width);
      gather_head(queries, depth, out_row, 1, d, deep, near);
      const float *factors = with_links(queries * across, probabilities, own, slopes);
      small_product(tokens, queries, deep, factors, 1, across, near, deep, result, deep);
      scatter_head(tokens, depth, row, 1, result, deep, dq + 2 * width);
    }
  }
  transformer_column_sums(examples * tokens, wide, 1, NULL, all, bias_gradient);
}

static void transformer_axpby(size_t count, float a, const float *x, float b, const float *y, float *out) {
  EACH_VECTOR(i, count) {
    size_t n = count - i;
    store_part(out + i, fma_(splat(a), load_part(x + i, n), load_part(y + i, n) * b), n);
  }
}

// A sum in double of what float lanes have summed up over a short stretch.
#define STRETCH 4096

static double transformer_squared_error(size_t count, float scale, const float *prediction, const float *target,
                                        float *gradient) {
  double total = 0;
  for (size_t start = 0; start < count; start += STRETCH) {
    size_t end = start + STRETCH < count ? start + STRETCH : count;
    vf squares = splat(0);
    for (size_t i = start; i < end; i += CK_LANES) {
      size_t n = end - i;
      vf d = load_part(prediction + i, n) - load_part(target + i, n);
      squares = fma_(d, d, squares);
      store_part(gradient + i, d * scale, n);
    }
    total += (double)sum(squares);
  }
  return total;
}

static double transformer_sum_of_squares(size_t count, const float *x) {
  double total = 0;
  for (size_t start = 0; start < count; start += STRETCH) {
    size_t end = start + STRETCH < count ? start + STRETCH : count;
    vf squares = splat(0);
    for (size_t i = start; i < end; i += CK_LANES) {
      vf v = load_part(x + i, end - i);
      squares = fma_(v, v, squares);
    }
    total += (double)sum(squares);
  }
  return total;
}

static void transformer_adamw(const ck_adamw *adamw, size_t count, const float *gradient, float *parameters,
                              float *first_moment, float *second_moment, float *ema) {
  float shrink = 1 - adamw->learning_rate * adamw->weight_decay;
  float rate = adamw->learning_rate / adamw->correction1;
  float root = __builtin_elementwise_sqrt(adamw->correction2);
  vf rest1 = splat(1 - adamw->beta1), rest2 = splat(1 - adamw->beta2), rest = splat(1 - adamw->ema_decay);
  EACH_VECTOR(i, count) {
    size_t n = count - i;
    vf g = load_part(gradient + i, n) * adamw->gradient_scale;
    vf m = load_part(first_moment + i, n), v = load_part(second_moment + i, n);
    m = fma_(g - m, rest1, m);
    v = fma_(g * g, rest2, v * adamw->beta2);
    store_part(first_moment + i, m, n);
    store_part(second_moment + i, v, n);
    vf divisor = __builtin_elementwise_sqrt(v) / root + adamw->epsilon;
    vf w = load_part(parameters + i, n) * shrink;
    w -= rate * (m / divisor);
    store_part(parameters + i, w, n);
    vf mean = load_part(ema + i, n);
    store_part(ema + i, fma_(w - mean, rest, mean), n);
  }
}

#undef STRETCH
#undef EACH_VECTOR

static const ck_transformer transformer = {
    .norm = transformer_norm,
    .norm_gradient = transformer_norm_gradient,
    .gelu = transformer_gelu,
    .gelu_gradient = transformer_gelu_gradient,
    .residual = transformer_residual,
    .column_sums = transformer_column_sums,
    .attention = transformer_attention,
    .attention_gradient = transformer_attention_gradient,
    .axpby = transformer_axpby,
    .squared_error = transformer_squared_error,
    .sum_of_squares = transformer_sum_of_squares,
    .adamw = transformer_adamw,
};
