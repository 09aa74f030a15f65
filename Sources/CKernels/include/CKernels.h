/* CKernels: the vector kernels of the tasks, of the pair stream and of the generative model, in C.
 *
 * There is one table of functions for each instruction set ("path"): `avx512` (x86-64-v4), `avx2`
 * (x86-64-v3) and `portable` (plain C, any processor). Every function gives the same bits on every path.
 * All arithmetic is float32 in vectors of 16 lanes, products are fused where the source says so and nowhere
 * else, sums run in one fixed order, and exp, log, sin and cos are polynomials of our own.
 *
 * Conventions
 *   - Nothing allocates, locks, fails or keeps state; every function may run on many threads at once.
 *   - Arrays are row-major float32. Those marked (64) start at a multiple of 64 bytes.
 *   - A count marked (16) is a multiple of CK_LANES.
 *   - Input and output arrays do not overlap unless it says that they may be the same.
 */
#ifndef CKERNELS_H
#define CKERNELS_H

#include <stddef.h>
#include <stdint.h>

#include "CTransformer.h"

#ifdef __cplusplus
extern "C" {
#endif

#pragma clang assume_nonnull begin

/* The floats of a vector. */
#define CK_LANES 16

/* The network of both the policy and the value function: 4 inputs, two hidden layers of 32 units with SELU,
 * one linear output. Its CK_MLP_PARAMETERS parameters are, in PyTorch's order,
 * weight (32,4), bias (32), weight (32,32), bias (32), weight (1,32), bias (1). */
#define CK_MLP_INPUTS 4
#define CK_MLP_HIDDEN 32
#define CK_MLP_PARAMETERS 1249

/* The policy's parameters: log_std (1), then its network. */
#define CK_POLICY_PARAMETERS (1 + CK_MLP_PARAMETERS)

/* A network's weights in the order in which the kernels read them: CK_MLP_BYTES bytes, (64), that mlp_pack
 * writes. */
typedef struct ck_mlp ck_mlp;
#define CK_MLP_BYTES 9344

/* The bytes of working memory, (64), that mlp_forward and the gradients need: activations of a block of
 * samples and the accumulators of the gradient. One per thread. */
#define CK_SCRATCH_BYTES 24576

/* What Adam and the clipping of the gradient's norm take; the names are those of torch.optim.Adam. */
typedef struct ck_adam {
  float learning_rate;
  float beta1, beta2, epsilon;
  float norm_limit;                /* torch.nn.utils.clip_grad_norm_'s max_norm */
  double beta1_power, beta2_power; /* beta1^t and beta2^t after the last step; start with 1 and 1 */
} ck_adam;

/* A cart on a rail with a hinged pole; kg, m, s, rad, N. */
typedef struct ck_cartpole {
  float cart_mass, pole_mass;
  float arm;     /* from the hinge to the pole's centre of mass */
  float inertia; /* of the pole about the hinge */
  float gravity;
  float force;   /* on the cart for an action of 1 */
  float substep; /* the time that one of the substeps takes */
  int32_t substeps;
  float cart_speed_limit, pole_speed_limit;
  float position_limit, angle_limit; /* beyond these the pole has fallen */
  float cart_speed_penalty, pole_speed_penalty, fall_reward;
  int32_t episode_steps; /* an episode of this many steps ends */
} ck_cartpole;

/* The network of the MNIST task: 784 pixels, 10 hidden units with ReLU, 10 outputs. Its CK_MNIST_PARAMETERS
 * parameters are, in PyTorch's order, weight (10,784), bias (10), weight (10,10), bias (10). */
#define CK_MNIST_PIXELS 784
#define CK_MNIST_UNITS 10
#define CK_MNIST_PARAMETERS 7960

/* The most images in a batch. */
#define CK_MNIST_BATCH 1024

/* A network of the MNIST task in the order in which the kernels read it, with its momentum, its gradient and
 * working memory: CK_MNIST_BYTES bytes, (64), that mnist_pack writes. One per thread. */
typedef struct ck_mnist ck_mnist;
#define CK_MNIST_BYTES 290816

/* Images as lists of their pixels other than 0, of which there are few. Image i has the entries starts[i] to
 * starts[i + 1], both multiples of 4: pad with values of 0, and with 16 bytes of `values` behind the last. */
typedef struct ck_ink {
  const uint32_t *starts;
  const uint16_t *rows;  /* CK_LANES times the pixel's index, which is below 784; ascending but for padding */
  const uint8_t *values; /* 0 to 255 */
  const uint8_t *labels; /* an image; below 10 */
} ck_ink;

/* A pixel's value v goes into the network as background + scale * v. */
typedef struct ck_mnist_scale {
  float background, scale;
} ck_mnist_scale;

/* What a step of stochastic gradient descent takes; the names are those of torch.optim.SGD. */
typedef struct ck_sgd {
  float learning_rate, momentum, weight_decay;
} ck_sgd;

/* The mean cross entropy, and the percentage of images whose class is not the one of the largest output (the
 * first of equals; class 0 where the outputs are no numbers). */
typedef struct ck_outcome {
  float loss, error;
} ck_outcome;

/* The network of the CIFAR-10 task: a convolution of 3 to 16 channels, 3x3, stride 2, padding 1; ReLU; one of
 * 16 to 32, 3x3, padding 1; ReLU; the mean over all pixels; linear to 10 classes. Its CK_CNN_PARAMETERS
 * parameters are, in PyTorch's order, weight (16,3,3,3), weight (32,16,3,3), weight (10,32), bias (10). */
#define CK_CNN_PARAMETERS 5370

/* The CIFAR-10 network's weights as the kernels read them: CK_CNN_BYTES bytes, (64), that cnn_pack writes. */
typedef struct ck_cnn ck_cnn;
#define CK_CNN_BYTES 70656

/* The bytes of working memory, (64), that cnn_gradient and cnn_evaluate need. One per thread. */
#define CK_CNN_SCRATCH_BYTES 361600

/* Pictures of 32x32 pixels in 3 colours, with what normalises them. */
typedef struct ck_pictures {
  const uint8_t *pixels; /* (pictures,3,32,32) */
  const uint8_t *labels; /* (pictures), 0 to 9 */
  float mean[3], deviation[3]; /* of each colour: the network sees (pixel - mean) / deviation */
} ck_pictures;

/* What the network sees of a picture: mirrored if `flip` is not 0, then padded by 4 zeros on each side and cut
 * to 32x32 from this row and column on, 0 to 7; 4 and 4 leave it as it is. */
typedef struct ck_crop {
  uint32_t picture;
  uint8_t flip, row, column;
} ck_crop;

/* The kernels of one path. */
typedef struct ck_kernels {
  /* "avx512", "avx2" or "portable". */
  const char *name;

  /* Random numbers by Philox 4x32-10. Word i of a stream is word i mod 4 of the block at the counter
   * (low, high half of i / 4; low, high half of stream), its key the (low, high half of seed). The arrays get
   * what belongs to the `count` words from word 4 * block on. */

  /* The random words themselves. */
  void (*random_words)(uint64_t seed, uint64_t stream, uint64_t block, size_t count, uint32_t *out);
  /* Random floats, uniform in [0, 1): multiples of 2^-24. */
  void (*random_uniform)(uint64_t seed, uint64_t stream, uint64_t block, size_t count, float *out);
  /* Random floats, standard normal, by Box and Muller: words 2i and 2i+1 make the normals 2i and 2i+1; at most 5.77. */
  void (*random_normal)(uint64_t seed, uint64_t stream, uint64_t block, size_t count, float *out);

  /* Elementwise functions; x and y may be the same array, count is any. */

  /* y = exp(x), within 1.5 ulp; 0 below -87.3, infinity above 88.7. */
  void (*exp)(size_t count, const float *x, float *y);
  /* y = log(x), the natural logarithm, within 1.5 ulp for normal numbers; -infinity at 0 and subnormals, NaN below. */
  void (*log)(size_t count, const float *x, float *y);
  /* y = sin(x) and y = cos(x), within 2 ulp for |x| <= 1000. */
  void (*sin)(size_t count, const float *x, float *y);
  void (*cos)(size_t count, const float *x, float *y);

  /* The network of policy and value function. */

  /* Brings `parameters` (CK_MLP_PARAMETERS) into the order of ck_mlp. */
  void (*mlp_pack)(const float *parameters, ck_mlp *packed);
  /* output (count) of inputs (count,4), both (64); count (16). */
  void (*mlp_forward)(const ck_mlp *mlp, size_t count, const float *inputs, float *outputs, void *scratch);

  /* Proximal policy optimization (Schulman et al., arXiv 1707.06347). The policy is normal with the network's
   * output as its mean and exp(log_std)^2 as its standard deviation. All arrays (64), all counts (16). */

  /* actions = means + deviation * noise, and the logarithm of their probability densities; (count) each. */
  void (*policy_sample)(size_t count, float log_std, const float *means, const float *noise, float *actions,
                        float *log_probabilities);
  /* Generalized advantage estimation (arXiv 1506.02438). rewards and dones (steps, environments), dones 1
   * where an episode ended with the step, else 0; values (steps + 1, environments), the last row those of the
   * states reached; environments (16). Gives advantages and returns = advantages + values, (steps,
   * environments). */
  void (*advantages)(size_t steps, size_t environments, float gamma, float lambda, const float *rewards,
                     const float *dones, const float *values, float *advantages, float *returns);
  /* (x - mean) / (standard deviation + 1e-8) in place, the deviation with count - 1. */
  void (*normalize)(size_t count, float *x);
  /* The gradient of mean(max(-A r, -A clip(r, 1 - clip_coefficient, 1 + clip_coefficient))), A the advantages and
   * r the ratio of the new to the old probability: gradient (CK_POLICY_PARAMETERS), log_std first. observations
   * (count,4), the rest (count). */
  void (*policy_gradient)(const ck_mlp *mlp, float log_std, float clip_coefficient, size_t count,
                          const float *observations, const float *actions, const float *log_probabilities,
                          const float *advantages, float *gradient, void *scratch);
  /* The gradient of value_coefficient * mean((returns - value)^2): gradient (CK_MLP_PARAMETERS); observations
   * (count,4), returns (count). */
  void (*value_gradient)(const ck_mlp *mlp, float value_coefficient, size_t count, const float *observations,
                         const float *returns, float *gradient, void *scratch);
  /* Scales the gradient down to the norm limit, as clip_grad_norm_ does, and takes a step of Adam. All arrays
   * (count) and (64), count (16): pad with zeros. */
  void (*adam_step)(ck_adam *adam, size_t count, const float *gradient, float *parameters,
                    float *first_moment, float *second_moment);

  /* The environment: `count` (16) carts at once. state (4,count): cart position and velocity, pole angle from
   * upright and angular velocity. All arrays (64). */

  /* One step under actions (count), clipped to [-1, 1]: a semi-implicit Euler step per substep. Advances
   * state, steps (of the episode) and returns (sum of its rewards so far); gives rewards and dones, (count)
   * each. */
  void (*cartpole_step)(const ck_cartpole *cartpole, size_t count, const float *actions, float *state,
                        int32_t *steps, float *returns, float *rewards, float *dones);
  /* observations (count,4): the state, each number clipped to [-limit, limit]. */
  void (*cartpole_observe)(size_t count, float limit, const float *state, float *observations);

  /* The MNIST task. */

  /* Brings `parameters` (CK_MNIST_PARAMETERS) into the order of ck_mnist; momentum and gradient become 0. */
  void (*mnist_pack)(const float *parameters, ck_mnist *network);
  /* The parameters (CK_MNIST_PARAMETERS) of a network that mnist_pack has brought into its order. */
  void (*mnist_unpack)(const ck_mnist *network, float *parameters);
  /* One step of SGD with Nesterov's momentum and weight decay, all parameters decaying, on the images of a
   * batch (count), count (16) and at most CK_MNIST_BATCH; returns the batch's outcome before the step. */
  ck_outcome (*mnist_step)(ck_mnist *network, const ck_mnist_scale *scale, const ck_sgd *sgd,
                           const ck_ink *images, size_t count, const uint32_t *batch);
  /* The gradient (CK_MNIST_PARAMETERS) of the batch's mean cross entropy, and its outcome; as mnist_step, but that it
   * leaves the parameters as they are. The momentum is lost. */
  ck_outcome (*mnist_gradient)(ck_mnist *network, const ck_mnist_scale *scale, const ck_ink *images, size_t count,
                               const uint32_t *batch, float *gradient);
  /* The outcome of the first `count` images, any number above 0. Changes nothing but the working memory. */
  ck_outcome (*mnist_evaluate)(ck_mnist *network, const ck_mnist_scale *scale, const ck_ink *images,
                               size_t count);
  /* The same, and for each image whether it is classified wrongly, 1 or 0: mistakes (count). */
  ck_outcome (*mnist_mistakes)(ck_mnist *network, const ck_mnist_scale *scale, const ck_ink *images,
                               size_t count, uint8_t *mistakes);

  /* The CIFAR-10 task. Pictures go through the network one by one, and their gradients are added in order. */

  /* Brings `parameters` (CK_CNN_PARAMETERS) into the order of ck_cnn. */
  void (*cnn_pack)(const float *parameters, ck_cnn *packed);
  /* What the network sees of a picture: (3,32,32). */
  void (*cnn_picture)(const ck_pictures *pictures, ck_crop crop, float *out);
  /* The gradient (CK_CNN_PARAMETERS) of the mean cross entropy of `count` pictures; returns their outcome. */
  ck_outcome (*cnn_gradient)(const ck_cnn *cnn, const ck_pictures *pictures, size_t count,
                             const ck_crop *crops, float *gradient, void *scratch);
  /* The outcome of the first `count` pictures as they are, any number above 0. */
  ck_outcome (*cnn_evaluate)(const ck_cnn *cnn, const ck_pictures *pictures, size_t count, void *scratch);
  /* The same, and for each picture whether it is classified wrongly, 1 or 0: mistakes (count). */
  ck_outcome (*cnn_mistakes)(const ck_cnn *cnn, const ck_pictures *pictures, size_t count, uint8_t *mistakes,
                             void *scratch);

  /* parameters -= a step along the gradient, with weight decay and Nesterov's momentum, as torch.optim.SGD;
   * start with a velocity of 0. All arrays (count) and (64), count (16): pad with zeros. */
  void (*sgd_step)(const ck_sgd *sgd, size_t count, const float *gradient, float *parameters,
                   float *velocity);

  /* The pair stream. */

  /* out[r][c] = scale * in[row_order[r]][column_order[c]], each element a block of so many floats: in and out
   * (rows,columns,block). An order that is NULL leaves things as they are. */
  void (*permute)(float scale, size_t rows, const uint32_t *_Nullable row_order, size_t columns,
                  const uint32_t *_Nullable column_order, size_t block, const float *in, float *out);
  /* out[r] = scale * in[row_order[r]], whole rows (length), to memory that is not read soon: past the caches, so that it
   * is not fetched first and they keep what they hold. */
  void (*permute_rows_past_caches)(float scale, size_t rows, const uint32_t *_Nullable row_order, size_t length,
                                   const float *in, float *out);
  /* How many of `count` numbers lie from `low` to `high`, these included. */
  size_t (*count_between)(float low, float high, size_t count, const float *in);
  /* The index of one of the `count` numbers from `low` to `high`: of the one that `number` others precede; `count` if
   * there are not so many. */
  size_t (*find_between)(float low, float high, size_t number, size_t count, const float *in);

  /* The kernels of the generative model. */
  const ck_transformer *transformer;
} ck_kernels;

/* Asks far memory for the bytes, without waiting. */
static inline void ck_fetch(const void *from, size_t bytes) {
  for (size_t at = 0; at < bytes; at += 64) __builtin_prefetch((const char *)from + at, 0, 2);
}

/* The table of this name; NULL for an unknown name and for a path that this processor lacks. */
const ck_kernels *_Nullable ck_kernels_named(const char *name);

/* The fastest table that this processor runs. */
const ck_kernels *ck_kernels_best(void);

#pragma clang assume_nonnull end

#ifdef __cplusplus
}
#endif

#endif
