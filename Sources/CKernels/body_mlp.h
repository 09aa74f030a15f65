// The 4-32-32-1 network: lanes are hidden units, rows are samples. A block of samples goes through forward
// and backward while its activations lie in the first-level cache.

#define INPUTS CK_MLP_INPUTS
#define HIDDEN CK_MLP_HIDDEN
#define BLOCK 32

// Where a network's tensors begin in its parameter vector.
enum {
  INPUT_WEIGHT = 0,
  INPUT_BIAS = INPUT_WEIGHT + HIDDEN * INPUTS,
  HIDDEN_WEIGHT = INPUT_BIAS + HIDDEN,
  HIDDEN_BIAS = HIDDEN_WEIGHT + HIDDEN * HIDDEN,
  OUTPUT_WEIGHT = HIDDEN_BIAS + HIDDEN,
  OUTPUT_BIAS = OUTPUT_WEIGHT + HIDDEN,
};

// PyTorch's constants of SELU, rounded to float.
#define SELU_LAMBDA 1.0507010f
#define SELU_LAMBDA_ALPHA 1.7580993f

struct ck_mlp {
  float input_weight[INPUTS * HIDDEN];            // (4,32): transposed
  float input_bias[HIDDEN];                       // (32)
  float hidden_weight_forward[HIDDEN * HIDDEN];   // (32,32): transposed
  float hidden_weight_backward[HIDDEN * HIDDEN];  // (32,32): as stored
  float hidden_bias[HIDDEN];                      // (32)
  float output_weight[HIDDEN];                    // (32)
  float output_bias[CK_LANES];                    // the one bias in every lane
};

typedef struct scratch {
  float hidden1[BLOCK * HIDDEN], hidden2[BLOCK * HIDDEN], delta[BLOCK * HIDDEN];
  float output[BLOCK];
  // The gradient: the accumulators of the whole minibatch.
  float input_weight[INPUTS * HIDDEN];  // transposed
  float input_bias[HIDDEN];
  float hidden_weight[HIDDEN * HIDDEN];
  float hidden_bias[HIDDEN];
  float output_weight[HIDDEN];
  float output_bias[CK_LANES];
  float log_std[CK_LANES];
} scratch;

_Static_assert(sizeof(scratch) <= CK_SCRATCH_BYTES, "CK_SCRATCH_BYTES is too small");
_Static_assert(sizeof(struct ck_mlp) <= CK_MLP_BYTES, "CK_MLP_BYTES is too small");
_Static_assert(OUTPUT_BIAS + 1 == CK_MLP_PARAMETERS, "the tensors fill the parameter vector");

static void mlp_pack(const float *parameters, ck_mlp *packed) {
  for (int j = 0; j < HIDDEN; j++) {
    for (int i = 0; i < INPUTS; i++)
      packed->input_weight[i * HIDDEN + j] = parameters[INPUT_WEIGHT + j * INPUTS + i];
    for (int i = 0; i < HIDDEN; i++)
      packed->hidden_weight_forward[i * HIDDEN + j] = parameters[HIDDEN_WEIGHT + j * HIDDEN + i];
  }
  __builtin_memcpy(packed->hidden_weight_backward, parameters + HIDDEN_WEIGHT,
                   sizeof packed->hidden_weight_backward);
  __builtin_memcpy(packed->input_bias, parameters + INPUT_BIAS, sizeof packed->input_bias);
  __builtin_memcpy(packed->hidden_bias, parameters + HIDDEN_BIAS, sizeof packed->hidden_bias);
  __builtin_memcpy(packed->output_weight, parameters + OUTPUT_WEIGHT, sizeof packed->output_weight);
  for (int i = 0; i < CK_LANES; i++) packed->output_bias[i] = parameters[OUTPUT_BIAS];
}

// lambda x above 0, lambda alpha (exp(x) - 1) below.
INLINE vf selu(vf x) {
  // Below -20 the result is -lambda alpha to the last bit, and up to there log 2 needs no low part.
  vf negative = at_least(at_most(x, splat(0)), splat(-20)), positive = at_least(x, splat(0));
  vi n;
  vf q = expm1_reduced(fma_(log2_multiples(negative, &n), splat(-LOG2_HIGH), negative));
  vf scale = (vf)((vi)splat(SELU_LAMBDA_ALPHA) + (n << 23));
  vf y = fma_(scale, q, scale - SELU_LAMBDA_ALPHA);
  // One of the two is 0: adding costs less than choosing.
  return fma_(positive, splat(SELU_LAMBDA), y);
}

// SELU's derivative, from its output.
INLINE vf selu_slope(vf y) { return y > 0 ? splat(SELU_LAMBDA) : y + SELU_LAMBDA_ALPHA; }

// out (rows,32) = bias + in (rows,inputs) weight (inputs,32); bias NULL for none.
INLINE void dense(int rows, int inputs, const float *in, const float *weight, const float *bias, float *out) {
  for (int s = 0; s < rows; s += CK_ROWS) {
    vf a[CK_ROWS][2];
#pragma unroll
    for (int r = 0; r < CK_ROWS; r++) {
      a[r][0] = bias ? load(bias) : splat(0);
      a[r][1] = bias ? load(bias + CK_LANES) : splat(0);
    }
    for (int i = 0; i < inputs; i++) {
      vf w0 = load(weight + i * HIDDEN), w1 = load(weight + i * HIDDEN + CK_LANES);
#pragma unroll
      for (int r = 0; r < CK_ROWS; r++) {
        vf x = splat(in[(s + r) * inputs + i]);
        a[r][0] = fma_(x, w0, a[r][0]);
        a[r][1] = fma_(x, w1, a[r][1]);
      }
    }
#pragma unroll
    for (int r = 0; r < CK_ROWS; r++) {
      store(out + (s + r) * HIDDEN, a[r][0]);
      store(out + (s + r) * HIDDEN + CK_LANES, a[r][1]);
    }
  }
}

// sum (columns,32) += the sum over rows of a (rows,columns) outer b (rows,32), row by row.
INLINE void add_outer(int rows, int columns, const float *a, const float *b, float *sum) {
  for (int j = 0; j < columns; j += CK_COLUMNS) {
    vf c[CK_COLUMNS][2];
#pragma unroll
    for (int t = 0; t < CK_COLUMNS; t++) {
      c[t][0] = load(sum + (j + t) * HIDDEN);
      c[t][1] = load(sum + (j + t) * HIDDEN + CK_LANES);
    }
    for (int s = 0; s < rows; s++) {
      vf b0 = load(b + s * HIDDEN), b1 = load(b + s * HIDDEN + CK_LANES);
#pragma unroll
      for (int t = 0; t < CK_COLUMNS; t++) {
        vf x = splat(a[s * columns + j + t]);
        c[t][0] = fma_(x, b0, c[t][0]);
        c[t][1] = fma_(x, b1, c[t][1]);
      }
    }
#pragma unroll
    for (int t = 0; t < CK_COLUMNS; t++) {
      store(sum + (j + t) * HIDDEN, c[t][0]);
      store(sum + (j + t) * HIDDEN + CK_LANES, c[t][1]);
    }
  }
}

INLINE void selu_rows(int rows, float *x) {
  for (int i = 0; i < rows * HIDDEN; i += CK_LANES) store(x + i, selu(load(x + i)));
}

// The forward pass of up to BLOCK rows: activations and outputs into the scratch.
INLINE void block_forward(const ck_mlp *mlp, int rows, const float *inputs, scratch *s) {
  dense(rows, INPUTS, inputs, mlp->input_weight, mlp->input_bias, s->hidden1);
  selu_rows(rows, s->hidden1);
  dense(rows, HIDDEN, s->hidden1, mlp->hidden_weight_forward, mlp->hidden_bias, s->hidden2);
  selu_rows(rows, s->hidden2);
  vf w0 = load(mlp->output_weight), w1 = load(mlp->output_weight + CK_LANES);
  for (int r = 0; r < rows; r += CK_LANES) {
    vf products[CK_LANES];
#pragma unroll
    for (int i = 0; i < CK_LANES; i++) {
      const float *h = s->hidden2 + (r + i) * HIDDEN;
      products[i] = fma_(load(h + CK_LANES), w1, load(h) * w0);
    }
    store(s->output + r, sum16(products) + load(mlp->output_bias));
  }
}

// The backward pass after block_forward, with the gradient of the outputs in s->output.
INLINE void block_backward(const ck_mlp *mlp, int rows, const float *inputs, scratch *s) {
  for (int r = 0; r < rows; r += CK_LANES)
    store(s->output_bias, load(s->output_bias) + load(s->output + r));
  // hidden2 turns from activations into the gradient of what went into them.
#pragma unroll
  for (int half = 0; half < HIDDEN; half += CK_LANES) {
    vf weight = load(mlp->output_weight + half);
    vf weight_sum = load(s->output_weight + half), bias_sum = load(s->hidden_bias + half);
    for (int r = 0; r < rows; r++) {
      vf h = load(s->hidden2 + r * HIDDEN + half), d = splat(s->output[r]);
      weight_sum = fma_(d, h, weight_sum);
      d = d * weight * selu_slope(h);
      bias_sum += d;
      store(s->hidden2 + r * HIDDEN + half, d);
    }
    store(s->output_weight + half, weight_sum);
    store(s->hidden_bias + half, bias_sum);
  }
  add_outer(rows, HIDDEN, s->hidden2, s->hidden1, s->hidden_weight);
  dense(rows, HIDDEN, s->hidden2, mlp->hidden_weight_backward, NULL, s->delta);
#pragma unroll
  for (int half = 0; half < HIDDEN; half += CK_LANES) {
    vf bias_sum = load(s->input_bias + half);
    for (int r = 0; r < rows; r++) {
      vf d = load(s->delta + r * HIDDEN + half) * selu_slope(load(s->hidden1 + r * HIDDEN + half));
      bias_sum += d;
      store(s->delta + r * HIDDEN + half, d);
    }
    store(s->input_bias + half, bias_sum);
  }
  add_outer(rows, INPUTS, inputs, s->delta, s->input_weight);
}

// The accumulated gradient in the order of the parameters.
INLINE void unpack_gradient(const scratch *s, float *gradient) {
  for (int j = 0; j < HIDDEN; j++)
    for (int i = 0; i < INPUTS; i++)
      gradient[INPUT_WEIGHT + j * INPUTS + i] = s->input_weight[i * HIDDEN + j];
  __builtin_memcpy(gradient + INPUT_BIAS, s->input_bias, sizeof s->input_bias);
  __builtin_memcpy(gradient + HIDDEN_WEIGHT, s->hidden_weight, sizeof s->hidden_weight);
  __builtin_memcpy(gradient + HIDDEN_BIAS, s->hidden_bias, sizeof s->hidden_bias);
  __builtin_memcpy(gradient + OUTPUT_WEIGHT, s->output_weight, sizeof s->output_weight);
  gradient[OUTPUT_BIAS] = sum(load(s->output_bias));
}

INLINE int block_rows(size_t remaining) { return remaining < BLOCK ? (int)remaining : BLOCK; }

static void mlp_forward(const ck_mlp *mlp, size_t count, const float *inputs, float *outputs, void *memory) {
  scratch *s = memory;
  for (size_t i = 0; i < count; i += BLOCK) {
    int rows = block_rows(count - i);
    block_forward(mlp, rows, inputs + i * INPUTS, s);
    __builtin_memcpy(outputs + i, s->output, (size_t)rows * sizeof(float));
  }
}
