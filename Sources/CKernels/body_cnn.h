// The convolutional network, one picture at a time: forward and backward through all layers while everything
// lies in the second-level cache. Lanes are channels, and at the end classes.

#define CLASSES 10
#define COLORS 3
#define PICTURE 32
#define FRAMED (PICTURE + 1)  // padded above and on the left; the stride leaves the other sides unread
#define PITCH 40              // of a framed row: room for a picture moved by up to 4
#define MARGIN 2              // before its first column
#define TAPS (COLORS * 9)

// Where the tensors begin in the parameter vector.
enum {
  CONV1 = 0,
  CONV2 = CONV1 + CHANNELS1 * TAPS,
  FC_WEIGHT = CONV2 + CHANNELS2 * CHANNELS1 * 9,
  FC_BIAS = FC_WEIGHT + CLASSES * CHANNELS2,
};
_Static_assert(FC_BIAS + CLASSES == CK_CNN_PARAMETERS, "the tensors fill the parameter vector");

struct ck_cnn {
  float conv1[TAPS * CHANNELS1];                         // (27,16): transposed
  float conv2[POSITIONS * CHANNELS1 * CHANNELS2];           // positions of (16,32)
  float conv2_backward[POSITIONS * CHANNELS2 * CHANNELS1];  // positions of (32,16)
  float fc[CHANNELS2 * CK_LANES];                        // (32,16): transposed, 0 beyond the classes
  float fc_backward[CLASSES * CHANNELS2];                // (10,32): as stored
  float fc_bias[CK_LANES];                               // minus infinity beyond the classes
};

typedef struct cnn_scratch {
  float picture[COLORS * FRAMED * PITCH];
  _Alignas(64) float hidden[BORDERED * BORDERED * CHANNELS1];  // after the first ReLU; its border stays 0
  float hidden_gradient[BORDERED * BORDERED * CHANNELS1];
  float positions1[POSITIONS * POSITION1], positions1_gradient[POSITIONS * POSITION1];
  float positions2[POSITIONS * POSITION2];
  float weight[CHANNELS2 * CHANNELS1];  // of one position
  float pooled[CHANNELS2], pooled_gradient[CHANNELS2];
  float logits[CK_LANES], logit_gradient[CK_LANES];
  // The gradient: sums over the batch, in the order of ck_cnn.
  struct {
    float conv1[TAPS * CHANNELS1];
    float conv2[POSITIONS * CHANNELS1 * CHANNELS2];
    float fc[CHANNELS2 * CK_LANES];
    float fc_bias[CK_LANES];
  } sum;
} cnn_scratch;

_Static_assert(sizeof(struct ck_cnn) <= CK_CNN_BYTES, "CK_CNN_BYTES is too small");
_Static_assert(sizeof(cnn_scratch) <= CK_CNN_SCRATCH_BYTES, "CK_CNN_SCRATCH_BYTES is too small");

static void cnn_pack(const float *parameters, ck_cnn *packed) {
  for (int c = 0; c < CHANNELS1; c++)
    for (int k = 0; k < TAPS; k++) packed->conv1[k * CHANNELS1 + c] = parameters[CONV1 + c * TAPS + k];
  winograd_weights(parameters + CONV2, packed->conv2);
  for (int p = 0; p < POSITIONS; p++)
    for (int j = 0; j < CHANNELS2; j++)
      for (int i = 0; i < CHANNELS1; i++)
        packed->conv2_backward[(p * CHANNELS2 + j) * CHANNELS1 + i] =
            packed->conv2[(p * CHANNELS1 + i) * CHANNELS2 + j];
  for (int k = 0; k < CK_LANES; k++) {
    for (int j = 0; j < CHANNELS2; j++)
      packed->fc[j * CK_LANES + k] = k < CLASSES ? parameters[FC_WEIGHT + k * CHANNELS2 + j] : 0;
    packed->fc_bias[k] = k < CLASSES ? parameters[FC_BIAS + k] : -__builtin_inff();
  }
  __builtin_memcpy(packed->fc_backward, parameters + FC_WEIGHT, sizeof packed->fc_backward);
}

// The accumulated gradient in the order of the parameters.
INLINE void unpack_cnn_gradient(const cnn_scratch *s, float *gradient) {
  for (int c = 0; c < CHANNELS1; c++)
    for (int k = 0; k < TAPS; k++) gradient[CONV1 + c * TAPS + k] = s->sum.conv1[k * CHANNELS1 + c];
  winograd_weights_back(s->sum.conv2, gradient + CONV2);
  for (int k = 0; k < CLASSES; k++) {
    for (int j = 0; j < CHANNELS2; j++)
      gradient[FC_WEIGHT + k * CHANNELS2 + j] = s->sum.fc[j * CK_LANES + k];
    gradient[FC_BIAS + k] = s->sum.fc_bias[k];
  }
}


// A picture as the network takes it, normalised, flipped, moved and padded: (3,33) rows of PITCH.
INLINE void frame(const ck_pictures *pictures, ck_crop crop, float *out) {
  typedef uint8_t bytes __attribute__((ext_vector_type(CK_LANES), aligned(1)));
  typedef float unaligned __attribute__((ext_vector_type(CK_LANES), aligned(4)));
  const uint8_t *pixels = pictures->pixels + (size_t)crop.picture * COLORS * PICTURE * PICTURE;
  for (int c = 0; c < COLORS; c++) {
    vf mean = splat(pictures->mean[c]), inverse = splat(1 / pictures->deviation[c]);
    for (int y = 0; y < FRAMED; y++) {
      float *row = out + (c * FRAMED + y) * PITCH;
      __builtin_memset(row, 0, PITCH * sizeof(float));
      int from = y - 1 + crop.row - 4;
      if (y == 0 || from < 0 || from >= PICTURE) continue;
      const uint8_t *p = pixels + (c * PICTURE + from) * PICTURE;
      vf left = (__builtin_convertvector(*(const bytes *)p, vf) - mean) * inverse;
      vf right = (__builtin_convertvector(*(const bytes *)(p + CK_LANES), vf) - mean) * inverse;
      float *start = row + MARGIN + 1 + 4 - crop.column;
      *(unaligned *)start = crop.flip ? reversed(right) : left;
      *(unaligned *)(start + CK_LANES) = crop.flip ? reversed(left) : right;
      row[MARGIN] = 0;
    }
  }
}

// Where tap k of the window of output pixel 0 lies in a framed picture.
INLINE int tap(int k) { return (k / 9 * FRAMED + k % 9 / 3) * PITCH + MARGIN + k % 3; }

// hidden = relu(conv1(picture)), into its border.
INLINE void conv1_forward(const float *weight, const float *picture, float *hidden) {
  for (int y = 0; y < SIDE; y++)
    for (int x = 0; x < SIDE; x += 2 * CK_ROWS) {
      const float *p = picture + 2 * y * PITCH + 2 * x;
      vf sums[2 * CK_ROWS];
#pragma unroll
      for (int i = 0; i < 2 * CK_ROWS; i++) sums[i] = splat(0);
#pragma unroll
      for (int k = 0; k < TAPS; k++) {
        vf w = load(weight + k * CHANNELS1);
#pragma unroll
        for (int i = 0; i < 2 * CK_ROWS; i++) sums[i] = fma_(splat(p[tap(k) + 2 * i]), w, sums[i]);
      }
      float *out = hidden + ((y + 1) * BORDERED + x + 1) * CHANNELS1;
#pragma unroll
      for (int i = 0; i < 2 * CK_ROWS; i++) store(out + i * CHANNELS1, at_least(sums[i], splat(0)));
    }
}

// sum (27,16) += the gradient of conv1's weights, from that of hidden.
INLINE void conv1_backward(const float *picture, const float *hidden, const float *gradient, float *sum) {
  for (int start = 0; start < TAPS; start += CK_TAPS) {
    vf sums[CK_TAPS];
#pragma unroll
    for (int k = 0; k < CK_TAPS; k++) sums[k] = splat(0);
    for (int y = 0; y < SIDE; y++)
      for (int x = 0; x < SIDE; x++) {
        int i = ((y + 1) * BORDERED + x + 1) * CHANNELS1;
        vf slope = load(hidden + i) > 0 ? load(gradient + i) : splat(0);
        const float *p = picture + 2 * y * PITCH + 2 * x;
#pragma unroll
        for (int k = 0; k < CK_TAPS; k++) sums[k] = fma_(splat(p[tap(start + k)]), slope, sums[k]);
      }
#pragma unroll
    for (int k = 0; k < CK_TAPS; k++) {
      float *p = sum + (start + k) * CHANNELS1;
      store(p, load(p) + sums[k]);
    }
  }
}

// From picture to logits. With `train`, positions2 are left as winograd_leave's mask makes them.
INLINE void cnn_forward(const ck_cnn *cnn, int train, cnn_scratch *s) {
  conv1_forward(cnn->conv1, s->picture, s->hidden);
  winograd_enter(s->hidden, s->positions1);
  for (int p = 0; p < POSITIONS; p++)
    multiply(TILES, CHANNELS1, 2, s->positions1 + p * POSITION1, CHANNELS1, 1,
             cnn->conv2 + p * CHANNELS1 * CHANNELS2, 0, s->positions2 + p * POSITION2);
  winograd_leave(train, s->positions2, s->pooled);
  vf logits = load(cnn->fc_bias);
  for (int h = 0; h < CHANNELS2; h += CK_LANES)
    store(s->pooled + h, load(s->pooled + h) * (1.0f / (SIDE * SIDE)));
  for (int j = 0; j < CHANNELS2; j++)
    logits = fma_(splat(s->pooled[j]), load(cnn->fc + j * CK_LANES), logits);
  store(s->logits, logits);
}

// Sums over pictures.
typedef struct cnn_score {
  double loss;
  int errors;
} cnn_score;

INLINE ck_outcome cnn_outcome(cnn_score score, size_t count) {
  return (ck_outcome){(float)(score.loss / (double)count), 100 * (float)score.errors / (float)count};
}

// Adds the picture's loss and error; leaves the gradient of the logits, times `share`.
INLINE void cross_entropy(int label, float share, cnn_scratch *s, cnn_score *score) {
  int best = 0;
  for (int k = 1; k < CLASSES; k++)
    if (s->logits[k] > s->logits[best]) best = k;
  _Alignas(64) float chosen[CK_LANES] = {0};
  chosen[label] = 1;
  vf z = load(s->logits) - s->logits[best], e = exp_(z);
  float total = sum(e);
  store(s->logit_gradient, (e / total - load(chosen)) * share);
  score->loss += (double)(log_(splat(total))[0] - z[label]);
  score->errors += best != label;
}

// Adds a picture's gradient, after cnn_forward and cross_entropy.
INLINE void cnn_backward(const ck_cnn *cnn, cnn_scratch *s) {
  vf slope = load(s->logit_gradient), low = splat(0), high = splat(0);
  store(s->sum.fc_bias, load(s->sum.fc_bias) + slope);
  for (int j = 0; j < CHANNELS2; j++) {
    float *p = s->sum.fc + j * CK_LANES;
    store(p, fma_(splat(s->pooled[j]), slope, load(p)));
  }
  for (int k = 0; k < CLASSES; k++) {
    const float *w = cnn->fc_backward + k * CHANNELS2;
    low = fma_(splat(s->logit_gradient[k]), load(w), low);
    high = fma_(splat(s->logit_gradient[k]), load(w + CK_LANES), high);
  }
  store(s->pooled_gradient, low * (1.0f / (SIDE * SIDE)));
  store(s->pooled_gradient + CK_LANES, high * (1.0f / (SIDE * SIDE)));

  // Behind a mean, a channel's gradient is one number wherever the ReLU is open: a factor of the weights'
  // gradient on one side, and of the weights themselves on the other.
  for (int p = 0; p < POSITIONS; p++) {
    multiply(CHANNELS1, TILES, 2, s->positions1 + p * POSITION1, 1, CHANNELS1, s->positions2 + p * POSITION2,
             s->pooled_gradient, s->sum.conv2 + p * CHANNELS1 * CHANNELS2);
    for (int j = 0; j < CHANNELS2; j++)
      store(s->weight + j * CHANNELS1,
            load(cnn->conv2_backward + (p * CHANNELS2 + j) * CHANNELS1) * s->pooled_gradient[j]);
    multiply(TILES, CHANNELS2, 1, s->positions2 + p * POSITION2, CHANNELS2, 1, s->weight, 0,
             s->positions1_gradient + p * POSITION1);
  }
  winograd_enter_back(s->positions1_gradient, s->hidden_gradient);
  conv1_backward(s->picture, s->hidden, s->hidden_gradient, s->sum.conv1);
}

static void cnn_picture(const ck_pictures *pictures, ck_crop crop, float *out) {
  _Alignas(64) float framed[COLORS * FRAMED * PITCH];
  frame(pictures, crop, framed);
  for (int c = 0; c < COLORS; c++)
    for (int y = 0; y < PICTURE; y++)
      __builtin_memcpy(out + (c * PICTURE + y) * PICTURE, framed + (c * FRAMED + y + 1) * PITCH + MARGIN + 1,
                       PICTURE * sizeof(float));
}

static ck_outcome cnn_gradient(const ck_cnn *cnn, const ck_pictures *pictures, size_t count,
                               const ck_crop *crops, float *gradient, void *memory) {
  cnn_scratch *s = memory;
  __builtin_memset(s->hidden, 0, sizeof s->hidden);
  __builtin_memset(&s->sum, 0, sizeof s->sum);
  cnn_score score = {0, 0};
  for (size_t i = 0; i < count; i++) {
    frame(pictures, crops[i], s->picture);
    cnn_forward(cnn, 1, s);
    cross_entropy(pictures->labels[crops[i].picture], 1 / (float)count, s, &score);
    cnn_backward(cnn, s);
  }
  unpack_cnn_gradient(s, gradient);
  return cnn_outcome(score, count);
}

INLINE ck_outcome cnn_examine(const ck_cnn *cnn, const ck_pictures *pictures, size_t count, uint8_t *mistakes,
                              void *memory) {
  cnn_scratch *s = memory;
  __builtin_memset(s->hidden, 0, sizeof s->hidden);
  cnn_score score = {0, 0};
  for (size_t i = 0; i < count; i++) {
    frame(pictures, (ck_crop){.picture = (uint32_t)i, .row = 4, .column = 4}, s->picture);
    cnn_forward(cnn, 0, s);
    cnn_score before = score;
    cross_entropy(pictures->labels[i], 0, s, &score);
    if (mistakes) mistakes[i] = score.errors != before.errors;
  }
  return cnn_outcome(score, count);
}

static ck_outcome cnn_evaluate(const ck_cnn *cnn, const ck_pictures *pictures, size_t count, void *memory) {
  return cnn_examine(cnn, pictures, count, NULL, memory);
}

static ck_outcome cnn_mistakes(const ck_cnn *cnn, const ck_pictures *pictures, size_t count, uint8_t *mistakes,
                               void *memory) {
  return cnn_examine(cnn, pictures, count, mistakes, memory);
}

// torch.optim.SGD's step with Nesterov's momentum.
static void sgd_step(const ck_sgd *sgd, size_t count, const float *gradient, float *parameters,
                     float *velocity) {
  vf momentum = splat(sgd->momentum), decay = splat(sgd->weight_decay);
  for (size_t i = 0; i < count; i += CK_LANES) {
    vf p = load(parameters + i), g = fma_(decay, p, load(gradient + i));
    vf v = fma_(momentum, load(velocity + i), g);
    store(velocity + i, v);
    store(parameters + i, fma_(splat(-sgd->learning_rate), fma_(momentum, v, g), p));
  }
}
