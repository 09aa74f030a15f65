// The 784-10-10 network on images that are mostly background. After normalisation a pixel is
//   x = background + scale * value,   value = 0 on the background,
// so a sum over pixels is one over the ink, and one over all weights that is the same for every image. Lanes
// are hidden units in the first layer, 10 of 16, and images behind it.

#define PIXELS CK_MNIST_PIXELS
#define UNITS CK_MNIST_UNITS

struct ck_mnist {
  // Rows of 16 hidden units, of which the last 6 stay zero: (784,16), then the bias.
  float weight1[PIXELS * CK_LANES], bias1[CK_LANES];
  // Rows of 16 hidden units, one a class: (10,16); the last 6 columns stay zero.
  float weight2[UNITS * CK_LANES], bias2[CK_LANES];
  float momentum1[(PIXELS + 1) * CK_LANES], momentum2[(UNITS + 1) * CK_LANES];
  // Of weight1 without its background, in units of `value`; all zero between steps.
  float gradient1[PIXELS * CK_LANES], bias1_gradient[CK_LANES];
  float gradient2[UNITS * CK_LANES], bias2_gradient[CK_LANES];
  // Of each hidden unit, the sum of weight1 over all pixels.
  float weight1_sum[CK_LANES];
  // The ink of one image, and some beyond its end.
  float ink[PIXELS + CK_LANES];
  // Activations of the hidden units, then the gradient of what went into them: (batch,16).
  float hidden[CK_MNIST_BATCH * CK_LANES], delta[CK_MNIST_BATCH * CK_LANES];
};

_Static_assert(sizeof(struct ck_mnist) <= CK_MNIST_BYTES, "CK_MNIST_BYTES is too small");

INLINE void mnist_sum_weights(ck_mnist *net) {
  vf sums[4] = {splat(0), splat(0), splat(0), splat(0)};
  for (int p = 0; p < PIXELS; p += 4)
#pragma unroll
    for (int k = 0; k < 4; k++) sums[k] += load(net->weight1 + (p + k) * CK_LANES);
  store(net->weight1_sum, (sums[0] + sums[1]) + (sums[2] + sums[3]));
}

static void mnist_pack(const float *parameters, ck_mnist *net) {
  __builtin_memset(net, 0, sizeof *net);
  const float *weight1 = parameters, *bias1 = weight1 + UNITS * PIXELS;
  const float *weight2 = bias1 + UNITS, *bias2 = weight2 + UNITS * UNITS;
  for (int j = 0; j < UNITS; j++) {
    for (int p = 0; p < PIXELS; p++) net->weight1[p * CK_LANES + j] = weight1[j * PIXELS + p];
    for (int i = 0; i < UNITS; i++) net->weight2[j * CK_LANES + i] = weight2[j * UNITS + i];
    net->bias1[j] = bias1[j];
    net->bias2[j] = bias2[j];
  }
  mnist_sum_weights(net);
}

// From rows of hidden units, (784,16) and (10,16), and the biases: into PyTorch's order.
INLINE void mnist_reorder(const float *rows1, const float *row1, const float *rows2, const float *row2,
                          float *parameters) {
  float *weight1 = parameters, *bias1 = weight1 + UNITS * PIXELS;
  float *weight2 = bias1 + UNITS, *bias2 = weight2 + UNITS * UNITS;
  for (int j = 0; j < UNITS; j++) {
    for (int p = 0; p < PIXELS; p++) weight1[j * PIXELS + p] = rows1[p * CK_LANES + j];
    for (int i = 0; i < UNITS; i++) weight2[j * UNITS + i] = rows2[j * CK_LANES + i];
    bias1[j] = row1[j];
    bias2[j] = row2[j];
  }
}

static void mnist_unpack(const ck_mnist *net, float *parameters) {
  mnist_reorder(net->weight1, net->bias1, net->weight2, net->bias2, parameters);
}

// The values of an image's ink as floats; returns how many, a multiple of 4.
INLINE int mnist_ink(ck_mnist *net, const ck_ink *images, size_t image) {
  typedef uint8_t bytes __attribute__((ext_vector_type(CK_LANES), aligned(1)));
  const uint8_t *values = images->values + images->starts[image];
  int count = (int)(images->starts[image + 1] - images->starts[image]);
  for (int i = 0; i < count; i += CK_LANES)
    store(net->ink + i, __builtin_convertvector(*(const bytes *)(values + i), vf));
  return count;
}

// Where the first layer's row of entry k of four lies; the four are read together, as loads are what limits
// the loops over an image's ink.
INLINE uint64_t mnist_four(const uint16_t *rows) {
  uint64_t four;
  __builtin_memcpy(&four, rows, sizeof four);
  return four;
}

INLINE size_t mnist_row(uint64_t four, int k) { return (uint16_t)(four >> 16 * k); }

// The activations of the hidden units for one image.
INLINE vf mnist_hidden(ck_mnist *net, vf base, vf scale, const ck_ink *images, size_t image) {
  int count = mnist_ink(net, images, image);
  const uint16_t *rows = images->rows + images->starts[image];
  vf sums[4] = {splat(0), splat(0), splat(0), splat(0)};
  for (int i = 0; i < count; i += 4) {
    uint64_t four = mnist_four(rows + i);
#pragma unroll
    for (int k = 0; k < 4; k++)
      sums[k] = fma_(splat(net->ink[i + k]), load(net->weight1 + mnist_row(four, k)), sums[k]);
  }
  return at_least(fma_((sums[0] + sums[1]) + (sums[2] + sums[3]), scale, base), splat(0));
}

// Adds to the gradient of the first layer's weights what one image gives.
INLINE void mnist_add_ink(ck_mnist *net, vf delta, const ck_ink *images, size_t image) {
  int count = mnist_ink(net, images, image);
  const uint16_t *rows = images->rows + images->starts[image];
  for (int i = 0; i < count; i += 4) {
    uint64_t four = mnist_four(rows + i);
#pragma unroll
    for (int k = 0; k < 4; k++) {
      float *gradient = net->gradient1 + mnist_row(four, k);
      store(gradient, fma_(splat(net->ink[i + k]), delta, load(gradient)));
    }
  }
}

// What the first layer makes of an image without ink.
INLINE vf mnist_base(const ck_mnist *net, float background) {
  return fma_(load(net->weight1_sum), splat(background), load(net->bias1));
}

// The losses of 16 images, and whether they are classified wrongly.
typedef struct mnist_outcome {
  float loss[CK_LANES];
  int32_t wrong[CK_LANES];  // -1 where the class is not the one with the largest output, else 0
} mnist_outcome;

// The output layer and the loss of hidden units (10,16 images): the outcome and, with `delta`, the gradient of
// share * loss with regard to the outputs, (10,16 images).
INLINE void mnist_head(const ck_mnist *net, const vf units[static UNITS], vi label, float share, vf *delta,
                       mnist_outcome *outcome) {
  vf outputs[UNITS];
#pragma unroll
  for (int c = 0; c < UNITS; c++) {
    outputs[c] = splat(net->bias2[c]);
#pragma unroll
    for (int j = 0; j < UNITS; j++)
      outputs[c] = fma_(splat(net->weight2[c * CK_LANES + j]), units[j], outputs[c]);
  }
  vf best = outputs[0], own = outputs[0];
  vi guess = (vi)0;
#pragma unroll
  for (int c = 1; c < UNITS; c++) {
    vi better = outputs[c] > best;
    best = better ? outputs[c] : best;
    guess = better ? (vi)c : guess;
    own = label == c ? outputs[c] : own;
  }
  vf total = splat(0), powers[UNITS];
#pragma unroll
  for (int c = 0; c < UNITS; c++) {
    powers[c] = exp_(outputs[c] - best);
    total += powers[c];
  }
  if (delta) {
    vf factor = share / total;
#pragma unroll
    for (int c = 0; c < UNITS; c++)
      delta[c] = fma_(powers[c], factor, label == c ? splat(-share) : splat(0));
  }
  *(vf *)outcome->loss = log_(total) + (best - own);
  *(vi *)outcome->wrong = guess != label;
}

// The hidden units of 16 images, lanes turned from units into images.
INLINE void mnist_turn(const float *hidden, vf units[static CK_LANES]) {
#pragma unroll
  for (int k = 0; k < CK_LANES; k++) units[k] = load(hidden + k * CK_LANES);
  transpose16(units);
}

// Marks a function that is not inlined, lest the compiler keep the second layer's weights in 100 vectors, and those in
// the first-level cache, where the first layer's have to be.
#define APART static __attribute__((noinline))

APART void mnist_classify(const ck_mnist *net, const float *hidden, const int32_t *labels,
                       mnist_outcome *outcome) {
  vf units[CK_LANES];
  mnist_turn(hidden, units);
  mnist_head(net, units, *(const vi *)labels, 0, NULL, outcome);
}

// Adds up the gradients behind the first layer's weights; `deltas` (16 images,16) gets the gradient of what
// went into the hidden units.
APART void mnist_backward(ck_mnist *net, const float *hidden, const int32_t *labels, float share,
                          float *deltas, mnist_outcome *outcome) {
  vf units[CK_LANES], inner[CK_LANES], delta[CK_LANES];
  mnist_turn(hidden, units);
  mnist_head(net, units, *(const vi *)labels, share, delta, outcome);
#pragma unroll
  for (int j = 0; j < UNITS; j++) {
    inner[j] = splat(0);
#pragma unroll
    for (int c = 0; c < UNITS; c++)
      inner[j] = fma_(splat(net->weight2[c * CK_LANES + j]), delta[c], inner[j]);
    inner[j] = units[j] > 0 ? inner[j] : splat(0);
  }
#pragma unroll
  for (int j = UNITS; j < CK_LANES; j++) inner[j] = delta[j] = splat(0);
  _Alignas(64) float rows[UNITS * CK_LANES];
#pragma unroll
  for (int c = 0; c < UNITS; c++) store(rows + c * CK_LANES, delta[c]);
  transpose16(inner);
  transpose16(delta);
  vf bias1 = load(net->bias1_gradient), bias2 = load(net->bias2_gradient);
#pragma unroll
  for (int k = 0; k < CK_LANES; k++) {
    store(deltas + k * CK_LANES, inner[k]);
    bias1 += inner[k];
    bias2 += delta[k];
  }
  store(net->bias1_gradient, bias1);
  store(net->bias2_gradient, bias2);
  for (int c = 0; c < UNITS; c++) {
    vf gradient = load(net->gradient2 + c * CK_LANES);
    for (int k = 0; k < CK_LANES; k++)
      gradient = fma_(splat(rows[c * CK_LANES + k]), load(hidden + k * CK_LANES), gradient);
    store(net->gradient2 + c * CK_LANES, gradient);
  }
}

// Sums of outcomes, in double: images are many.
typedef struct mnist_totals {
  double loss;
  size_t wrong;
} mnist_totals;

INLINE void mnist_add(mnist_totals *totals, const mnist_outcome *outcome, size_t count) {
  for (size_t i = 0; i < count; i++) {
    totals->loss += (double)outcome->loss[i];
    totals->wrong -= (size_t)outcome->wrong[i];
  }
}

INLINE ck_outcome mnist_mean(mnist_totals totals, size_t count) {
  double n = (double)count;
  return (ck_outcome){(float)(totals.loss / n), (float)(100 * (double)totals.wrong / n)};
}

INLINE ck_outcome mnist_examine(ck_mnist *net, const ck_mnist_scale *s, const ck_ink *images, size_t count,
                                uint8_t *mistakes) {
  vf base = mnist_base(net, s->background), scale = splat(s->scale);
  mnist_totals totals = {0};
  for (size_t i = 0; i < count; i += CK_LANES) {
    size_t n = count - i < CK_LANES ? count - i : CK_LANES;
    _Alignas(64) int32_t labels[CK_LANES] = {0};
    for (size_t k = 0; k < n; k++) {
      store(net->hidden + k * CK_LANES, mnist_hidden(net, base, scale, images, i + k));
      labels[k] = images->labels[i + k];
    }
    _Alignas(64) mnist_outcome outcome;
    mnist_classify(net, net->hidden, labels, &outcome);
    mnist_add(&totals, &outcome, n);
    if (mistakes)
      for (size_t k = 0; k < n; k++) mistakes[i + k] = (uint8_t)-outcome.wrong[k];
  }
  return mnist_mean(totals, count);
}

static ck_outcome mnist_evaluate(ck_mnist *net, const ck_mnist_scale *s, const ck_ink *images, size_t count) {
  return mnist_examine(net, s, images, count, NULL);
}

static ck_outcome mnist_mistakes(ck_mnist *net, const ck_mnist_scale *s, const ck_ink *images, size_t count,
                                 uint8_t *mistakes) {
  return mnist_examine(net, s, images, count, mistakes);
}

// One step of SGD with Nesterov's momentum on 16 parameters, as torch.optim.SGD takes it.
INLINE vf mnist_descend(const ck_sgd *sgd, vf gradient, float *momentum, float *parameters) {
  vf w = load(parameters), m = load(momentum);
  gradient = fma_(w, splat(sgd->weight_decay), gradient);
  m = fma_(m, splat(sgd->momentum), gradient);
  gradient = fma_(m, splat(sgd->momentum), gradient);
  w = fma_(gradient, splat(-sgd->learning_rate), w);
  store(momentum, m);
  store(parameters, w);
  return w;
}

INLINE void mnist_update(ck_mnist *net, const ck_mnist_scale *s, const ck_sgd *sgd) {
  vf scale = splat(s->scale), bias = load(net->bias1_gradient), background = bias * s->background;
  vf sums[4] = {splat(0), splat(0), splat(0), splat(0)};
  for (int p = 0; p < PIXELS; p += 4)
#pragma unroll
    for (int k = 0; k < 4; k++) {
      int i = (p + k) * CK_LANES;
      vf gradient = fma_(load(net->gradient1 + i), scale, background);
      store(net->gradient1 + i, splat(0));
      sums[k] += mnist_descend(sgd, gradient, net->momentum1 + i, net->weight1 + i);
    }
  store(net->weight1_sum, (sums[0] + sums[1]) + (sums[2] + sums[3]));
  mnist_descend(sgd, bias, net->momentum1 + PIXELS * CK_LANES, net->bias1);
  for (int i = 0; i < UNITS * CK_LANES; i += CK_LANES)
    mnist_descend(sgd, load(net->gradient2 + i), net->momentum2 + i, net->weight2 + i);
  mnist_descend(sgd, load(net->bias2_gradient), net->momentum2 + UNITS * CK_LANES, net->bias2);
  store(net->bias1_gradient, splat(0));
  store(net->bias2_gradient, splat(0));
  __builtin_memset(net->gradient2, 0, sizeof net->gradient2);
}

// The images of a batch lie anywhere in memory: asks for those that come soon.
INLINE void mnist_prefetch(const ck_ink *images, size_t count, const uint32_t *batch, size_t k) {
  const size_t ahead = 4;
  if (k + 2 * ahead < count) __builtin_prefetch(images->starts + batch[k + 2 * ahead]);
  if (k + ahead >= count) return;
  const uint32_t *image = images->starts + batch[k + ahead];
  for (size_t i = image[0]; i < image[1]; i += 64) __builtin_prefetch(images->values + i);
  for (size_t i = image[0]; i < image[1]; i += 32) __builtin_prefetch(images->rows + i);
}

static ck_outcome mnist_step(ck_mnist *net, const ck_mnist_scale *s, const ck_sgd *sgd, const ck_ink *images,
                             size_t count, const uint32_t *batch) {
  vf base = mnist_base(net, s->background), scale = splat(s->scale);
  for (size_t k = 0; k < count; k++) {
    mnist_prefetch(images, count, batch, k);
    store(net->hidden + k * CK_LANES, mnist_hidden(net, base, scale, images, batch[k]));
  }
  mnist_totals totals = {0};
  for (size_t k = 0; k < count; k += CK_LANES) {
    _Alignas(64) int32_t labels[CK_LANES];
    for (size_t i = 0; i < CK_LANES; i++) labels[i] = images->labels[batch[k + i]];
    _Alignas(64) mnist_outcome outcome;
    size_t at = k * CK_LANES;
    mnist_backward(net, net->hidden + at, labels, 1 / (float)count, net->delta + at, &outcome);
    mnist_add(&totals, &outcome, CK_LANES);
  }
  for (size_t k = 0; k < count; k++)
    mnist_add_ink(net, load(net->delta + k * CK_LANES), images, batch[k]);
  mnist_update(net, s, sgd);
  return mnist_mean(totals, count);
}

// A step that goes nowhere and forgets its momentum at once leaves the gradient there.
static ck_outcome mnist_gradient(ck_mnist *net, const ck_mnist_scale *s, const ck_ink *images, size_t count,
                                 const uint32_t *batch, float *gradient) {
  const ck_sgd none = {0, 0, 0};
  ck_outcome outcome = mnist_step(net, s, &none, images, count, batch);
  mnist_reorder(net->momentum1, net->momentum1 + PIXELS * CK_LANES, net->momentum2,
                net->momentum2 + UNITS * CK_LANES, gradient);
  return outcome;
}
