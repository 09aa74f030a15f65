// All kernels of one path and their table. Each path's file includes this once, under its instruction set.
//
// Contraction would fuse products differently from path to path; what is to be fused says so.
#pragma STDC FP_CONTRACT OFF

// Vectors pass only between inlined functions, so how an ABI would pass them does not matter.
#pragma clang diagnostic ignored "-Wpsabi"

#include "body_vector.h"
#include "body_math.h"
#include "body_random.h"
#include "body_mlp.h"
#include "body_ppo.h"
#include "body_cartpole.h"
#include "body_mnist.h"
#include "body_winograd.h"
#include "body_cnn.h"
#include "body_permute.h"
#include "body_transformer.h"

const ck_kernels CK_TABLE = {
    .name = CK_NAME,
    .random_words = random_words,
    .random_uniform = random_uniform,
    .random_normal = random_normal,
    .exp = exp_array,
    .log = log_array,
    .sin = sin_array,
    .cos = cos_array,
    .mlp_pack = mlp_pack,
    .mlp_forward = mlp_forward,
    .policy_sample = policy_sample,
    .advantages = advantages,
    .normalize = normalize,
    .policy_gradient = policy_gradient,
    .value_gradient = value_gradient,
    .adam_step = adam_step,
    .cartpole_step = cartpole_step,
    .cartpole_observe = cartpole_observe,
    .mnist_pack = mnist_pack,
    .mnist_unpack = mnist_unpack,
    .mnist_step = mnist_step,
    .mnist_gradient = mnist_gradient,
    .mnist_evaluate = mnist_evaluate,
    .mnist_mistakes = mnist_mistakes,
    .cnn_pack = cnn_pack,
    .cnn_picture = cnn_picture,
    .cnn_gradient = cnn_gradient,
    .cnn_evaluate = cnn_evaluate,
    .cnn_mistakes = cnn_mistakes,
    .sgd_step = sgd_step,
    .permute = permute,
    .permute_rows_past_caches = permute_rows_past_caches,
    .count_between = count_between,
    .find_between = find_between,
    .transformer = &transformer,
};
