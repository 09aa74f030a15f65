/* CPlaneKernels: many networks of a plane in parameter space on the images of the MNIST task.
 *
 * The network at (x, y) is origin + x * first + y * second. What its first layer makes of an image, before ReLU, is then
 * sums[0] + x * sums[1] + y * sums[2], where the three are what the first layers of origin, first and second make of it:
 * they are computed once, and a network costs but the ReLU and the output layer. Results are those of the network by
 * itself within the rounding of its float32 parameters.
 *
 * The conventions are those of CKernels.h; the same bits on every path. */
#ifndef CPLANEKERNELS_H
#define CPLANEKERNELS_H

#include <CKernels.h>

#pragma clang assume_nonnull begin

/* The floats of an output layer: weight (10,10), bias (10). */
#define CK_PLANE_HEAD 110

/* The groups of 16 images that `count` images are. */
static inline size_t ck_plane_groups(size_t count) { return (count + CK_LANES - 1) / CK_LANES; }

/* A plane on some images, whose groups of 16 are filled up by others of label -1, which do not count. */
typedef struct ck_plane {
  const float *sums;     /* of origin, first, second: (3,groups,10,16), (64) */
  const float *heads;    /* of origin, first, second: (3,CK_PLANE_HEAD) */
  const int32_t *labels; /* (groups,16), (64) */
} ck_plane;

/* The kernels of one path. */
typedef struct ck_plane_kernels {
  const char *name;
  /* What the first layer of `parameters` (CK_MNIST_PARAMETERS), a network or a direction, makes of the first `count`
   * images: sums (groups,10,16). `weights` is working memory, (CK_MNIST_PIXELS,16). All but `parameters` (64). */
  void (*first_layer)(const float *parameters, const ck_mnist_scale *scale, const ck_ink *images, size_t count,
                      float *weights, float *sums);
  /* The outcomes of the networks at (x[i], y), any number, on the plane's `count` images. Losses are 0 if they
   * are not wanted, and cost nothing then. */
  void (*outcomes)(const ck_plane *plane, size_t count, int wants_losses, float y, size_t points, const float *x,
                   ck_outcome *outcomes);
} ck_plane_kernels;

/* The table of the same path. */
const ck_plane_kernels *ck_plane_kernels_of(const ck_kernels *kernels);

#pragma clang assume_nonnull end

#endif
