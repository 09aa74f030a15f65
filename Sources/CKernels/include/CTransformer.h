/* The kernels of transformers between matrix products, forward and backward, and of their optimizer.
 *
 * Rows are tokens: a row has `width` floats, the next one begins ck_row(width) floats on, and the rows of an example
 * follow each other. Counts and widths are any, arrays start at any multiple of 4 bytes, and sums run in one fixed
 * order, so that all paths give the same bits here, too. Gradients of vectors (gains, biases) are added to what is
 * there, row by row; gradients of rows are written.
 */
#ifndef CTRANSFORMER_H
#define CTRANSFORMER_H

#include <stddef.h>
#include <stdint.h>

#pragma clang assume_nonnull begin

/* The floats from one row to the next: a few more than `width` where the rows of a matrix would share the cache's sets,
 * which makes products of it several times slower. */
static inline size_t ck_row(size_t width) { return width % 256 == 0 ? width + 16 : width; }

/* What a step of AdamW takes; the names are those of torch.optim.AdamW. */
typedef struct ck_adamw {
  float learning_rate, beta1, beta2, epsilon, weight_decay;
  float correction1, correction2; /* 1 - beta1^t and 1 - beta2^t, at step t, counted from 1 */
  float gradient_scale;           /* what gradients are multiplied by first, for clipping their norm */
  float ema_decay;                /* of the exponential moving average of the parameters */
} ck_adamw;

/* The floats of the whole vectors that `count` floats take: the next multiple of 16. */
static inline size_t ck_padded(size_t count) { return (count + 15) / 16 * 16; }

/* The floats of working memory that attention and attention_gradient need for examples of so many tokens and
 * heads of so many floats. One per thread. */
static inline size_t ck_attention_scratch(size_t tokens, size_t depth) {
  return 12 * ck_padded(tokens) * ck_padded(tokens > depth ? tokens : depth) + 64;
}

typedef struct ck_transformer {
  /* Layer normalisation: y = (x - mean) / sqrt(variance + 1e-5) * gain + bias, of each row; plus, where `positions` are
   * not NULL, row indices[r mod period] of them (…,width). statistics (rows,2) gets the mean and the factor. */
  void (*norm)(size_t rows, size_t width, const float *x, const float *gain, const float *bias,
               const float *_Nullable positions, size_t period, const uint32_t *_Nullable indices, float *y,
               float *statistics);
  /* dx = its gradient, plus `base` (rows,width) where that is not NULL. */
  void (*norm_gradient)(size_t rows, size_t width, const float *x, const float *gain, const float *statistics,
                        const float *dy, const float *_Nullable base, float *dx, float *gain_gradient, float *bias_gradient);
  /* z = gelu(x) = x * (1 + erf(x / sqrt 2)) / 2 of x = y + bias, within 4e-7 of |x|; y becomes its slope, unless it is z. */
  void (*gelu)(size_t rows, size_t width, const float *bias, float *y, float *z);
  /* dz becomes dx in place. */
  void (*gelu_gradient)(size_t rows, size_t width, const float *slopes, float *dz, float *bias_gradient);
  /* x + y + bias. */
  void (*residual)(size_t rows, size_t width, const float *x, const float *y, const float *bias, float *out);
  /* sums += the sum of the rows, row r to row indices[r mod period] of sums (…,width), or all to one where they are NULL. */
  void (*column_sums)(size_t rows, size_t width, size_t period, const uint32_t *_Nullable indices, const float *x,
                      float *sums);
  /* Attention without a mask, of the first `queries` tokens of an example to all. qkv (examples * tokens, 3 * width),
   * queries first, gets `bias` (3 * width) added in place; width = heads * depth. probabilities
   * (examples,heads,tokens * ck_padded(tokens)), filled without gaps, are kept for the gradient; out
   * (examples * queries,width). Where `links` (examples,tokens * ck_padded(tokens)) are not NULL, all heads
   * add them to their probabilities before they multiply the values. */
  void (*attention)(size_t examples, size_t tokens, size_t queries, size_t heads, size_t depth, const float *bias,
                    const float *_Nullable links, float *qkv, float *probabilities, float *out, float *scratch);
  /* dqkv of dout. */
  void (*attention_gradient)(size_t examples, size_t tokens, size_t queries, size_t heads, size_t depth,
                             const float *qkv, const float *probabilities, const float *_Nullable links,
                             const float *dout, float *dqkv, float *bias_gradient, float *scratch);
  /* a * x + b * y; out may be x or y. */
  void (*axpby)(size_t count, float a, const float *x, float b, const float *y, float *out);
  /* gradient = scale * (prediction - target); returns the sum of (prediction - target)^2. */
  double (*squared_error)(size_t count, float scale, const float *prediction, const float *target,
                          float *gradient);
  /* The sum of x^2. */
  double (*sum_of_squares)(size_t count, const float *x);
  /* A step of AdamW, and then ema += (1 - ema_decay) * (parameters - ema). */
  void (*adamw)(const ck_adamw *adamw, size_t count, const float *gradient, float *parameters, float *first_moment,
                float *second_moment, float *ema);
} ck_transformer;

#pragma clang assume_nonnull end

#endif
