// The kernels of one path; each path's file includes this once, under its instruction set.
#pragma STDC FP_CONTRACT OFF
#pragma clang diagnostic ignored "-Wpsabi"

#include "../CKernels/body_vector.h"
// Of what is there for whole arrays nothing is needed here.
#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Wunused-function"
#include "../CKernels/body_math.h"
#pragma clang diagnostic pop

#define UNITS CK_MNIST_UNITS
#define PIXELS CK_MNIST_PIXELS

_Static_assert(CK_PLANE_HEAD == UNITS * (UNITS + 1), "a weight and a bias");

// The networks that a group of images goes through while its sums lie in the first-level cache.
#define POINTS 16
// The groups whose losses are added up in float; what they come to is added in double.
#define GROUPS 32

static void plane_first_layer(const float *parameters, const ck_mnist_scale *scale, const ck_ink *images,
                              size_t count, float *weights, float *sums) {
  const float *weight = parameters, *bias = weight + UNITS * PIXELS;
  // Lanes are units here, of which the last 6 are nothing.
  vf total = splat(0), base = splat(0);
  for (int p = 0; p < PIXELS; p++) {
    for (int j = 0; j < CK_LANES; j++) weights[p * CK_LANES + j] = j < UNITS ? weight[j * PIXELS + p] : 0;
    total += load(weights + p * CK_LANES);
  }
  for (int j = 0; j < UNITS; j++) base[j] = bias[j];
  base = fma_(total, splat(scale->background), base);
  for (size_t i = 0; i < ck_plane_groups(count) * CK_LANES; i++) {
    vf sum = splat(0);
    if (i < count)
      for (uint32_t k = images->starts[i]; k < images->starts[i + 1]; k++)
        sum = fma_(splat((float)images->values[k]), load(weights + images->rows[k]), sum);
    sum = fma_(sum, splat(scale->scale), base);
    float *out = sums + i / CK_LANES * UNITS * CK_LANES + i % CK_LANES;
    for (int j = 0; j < UNITS; j++) out[j * CK_LANES] = sum[j];
  }
}

// exp(x) for x of at most 0, where no power of two is too large for a float; 1e-38 where it is next to nothing.
INLINE vf exp_down(vf x) {
  vi n;
  vf bounded = at_least(x, splat(-87));
  vf r = log2_multiples(bounded, &n);
  r = fma_(r, splat(-LOG2_LOW), fma_(r, splat(-LOG2_HIGH), bounded));
  vf scale = power_of_two(n);
  return fma_(scale, expm1_reduced(r), scale);
}

// Adds what one network makes of 16 images.
INLINE void plane_point(const float *head, const vf units[static UNITS], vi label, int wants_losses, vf *loss,
                        vi *wrong) {
  vf outputs[UNITS];
#pragma unroll
  for (int c = 0; c < UNITS; c++) {
    outputs[c] = splat(head[UNITS * UNITS + c]);
#pragma unroll
    for (int j = 0; j < UNITS; j++) outputs[c] = fma_(splat(head[c * UNITS + j]), units[j], outputs[c]);
  }
  vf best = outputs[0], own = outputs[0];
  vi guess = (vi)0, counts = label >= 0;
#pragma unroll
  for (int c = 1; c < UNITS; c++) {
    vi better = outputs[c] > best;
    best = better ? outputs[c] : best;
    guess = better ? (vi)c : guess;
    own = label == c ? outputs[c] : own;
  }
  *wrong += (guess != label) & counts;
  if (!wants_losses) return;
  vf total = splat(0);
#pragma unroll
  for (int c = 0; c < UNITS; c++) total += exp_down(outputs[c] - best);
  vf one = log_(total) + (best - own);
  *loss += counts ? one : splat(0);
}

INLINE void plane_points(const ck_plane *plane, size_t count, int wants_losses, float y, int points,
                         const float *x, ck_outcome *outcomes) {
  float heads[POINTS][CK_PLANE_HEAD];
  for (int p = 0; p < points; p++)
    for (int i = 0; i < CK_PLANE_HEAD; i++)
      heads[p][i] = __builtin_fmaf(y, plane->heads[2 * CK_PLANE_HEAD + i],
                                   __builtin_fmaf(x[p], plane->heads[CK_PLANE_HEAD + i], plane->heads[i]));
  double losses[POINTS] = {0};
  vf loss[POINTS];
  vi wrong[POINTS];
  for (int p = 0; p < points; p++) loss[p] = splat(0), wrong[p] = (vi)0;
  size_t end = ck_plane_groups(count), length = end * UNITS * CK_LANES;
  for (size_t group = 0; group < end; group++) {
    const float *origin = plane->sums + group * UNITS * CK_LANES;
    const float *first = origin + length, *second = first + length;
    vf base[UNITS], units[UNITS];
    for (int j = 0; j < UNITS; j++)
      base[j] = fma_(splat(y), load(second + j * CK_LANES), load(origin + j * CK_LANES));
    vi label = *(const vi *)(plane->labels + group * CK_LANES);
    for (int p = 0; p < points; p++) {
#pragma unroll
      for (int j = 0; j < UNITS; j++)
        units[j] = at_least(fma_(splat(x[p]), load(first + j * CK_LANES), base[j]), splat(0));
      plane_point(heads[p], units, label, wants_losses, &loss[p], &wrong[p]);
    }
    if (group % GROUPS == GROUPS - 1 || group == end - 1)
      for (int p = 0; p < points; p++) losses[p] += (double)sum(loss[p]), loss[p] = splat(0);
  }
  for (int p = 0; p < points; p++) {
    int64_t errors = 0;
    for (int i = 0; i < CK_LANES; i++) errors -= wrong[p][i];
    outcomes[p] = (ck_outcome){(float)(losses[p] / (double)count), (float)(100 * (double)errors / (double)count)};
  }
}

static void plane_outcomes(const ck_plane *plane, size_t count, int wants_losses, float y, size_t points,
                           const float *x, ck_outcome *outcomes) {
  for (size_t i = 0; i < points; i += POINTS) {
    int some = points - i < POINTS ? (int)(points - i) : POINTS;
    // Apart, so that errors alone cost no test for each image.
    if (wants_losses)
      plane_points(plane, count, 1, y, some, x + i, outcomes + i);
    else
      plane_points(plane, count, 0, y, some, x + i, outcomes + i);
  }
}

const ck_plane_kernels CK_TABLE = {.name = CK_NAME, .first_layer = plane_first_layer, .outcomes = plane_outcomes};
