// The 3x3 convolution of 16 channels to 32 on 16x16 pixels as F(2x2, 3x3) of Winograd (Lavin and Gray, arXiv
// 1509.09308), and the exact transpose of each of its steps.
//
// Each tile of 2x2 output pixels comes from 4x4 input pixels d and the weights g by
//   Y = A' [(G g G') * (B' d B)] A,
// so that 16 products of small matrices, one for each position in the 4x4 square, do the work of 36. The last
// row of B' has its sign turned, and with it A's, which spares A the negations. Lanes are channels.

#define CHANNELS1 16
#define CHANNELS2 32
#define SIDE 16                 // the pixels of a side, after the first convolution
#define BORDERED (SIDE + 2)     // with the padding
#define TILE_SIDE (SIDE / 2)
#define TILES (TILE_SIDE * TILE_SIDE)
#define POSITIONS 16
// One vector more than the numbers of a position: positions a power of two apart would share the cache's sets.
#define POSITION1 (TILES * CHANNELS1 + CK_LANES)
#define POSITION2 (TILES * CHANNELS2 + CK_LANES)

// out (rows,16 n) of a (rows,inner) b (inner,16 n), a's elements row_step and inner_step apart. With a scale
// (16 n), out += scale * product. A sum runs over the inner dimension in order, whatever the blocks.
INLINE void multiply(int rows, int inner, int n, const float *a, int row_step, int inner_step, const float *b,
                     const float *scale, float *out) {
  int block = 2 * CK_ROWS / n;
  for (int r = 0; r < rows; r += block) {
    vf sums[2 * CK_ROWS];
#pragma unroll
    for (int i = 0; i < 2 * CK_ROWS; i++) sums[i] = splat(0);
    for (int k = 0; k < inner; k++) {
      vf columns[2];
#pragma unroll
      for (int j = 0; j < n; j++) columns[j] = load(b + (k * n + j) * CK_LANES);
#pragma unroll
      for (int i = 0; i < block; i++) {
        vf x = splat(a[(r + i) * row_step + k * inner_step]);
#pragma unroll
        for (int j = 0; j < n; j++) sums[i * n + j] = fma_(x, columns[j], sums[i * n + j]);
      }
    }
#pragma unroll
    for (int i = 0; i < block; i++)
#pragma unroll
      for (int j = 0; j < n; j++) {
        float *p = out + ((r + i) * n + j) * CK_LANES;
        store(p, scale ? fma_(sums[i * n + j], load(scale + j * CK_LANES), load(p)) : sums[i * n + j]);
      }
  }
}

// B' d for one column of four.
INLINE void enter(const vf d[static 4], vf v[static 4]) {
  v[0] = d[0] - d[2];
  v[1] = d[1] + d[2];
  v[2] = d[2] - d[1];
  v[3] = d[3] - d[1];
}

// B v, the transpose of B' d.
INLINE void enter_back(const vf v[static 4], vf d[static 4]) {
  d[0] = v[0];
  d[1] = v[1] - v[2] - v[3];
  d[2] = v[1] + v[2] - v[0];
  d[3] = v[3];
}

// A' m for one column of four.
INLINE void leave(const vf m[static 4], vf y[static 2]) {
  y[0] = m[0] + m[1] + m[2];
  y[1] = m[1] - m[2] + m[3];
}

// A y, the transpose of A' m.
INLINE void leave_back(const vf y[static 2], vf m[static 4]) {
  m[0] = y[0];
  m[1] = y[0] + y[1];
  m[2] = y[0] - y[1];
  m[3] = y[1];
}

// G g for one column of three.
INLINE void weigh(const vf g[static 3], vf u[static 4]) {
  vf ends = (g[0] + g[2]) * 0.5f, middle = g[1] * 0.5f;
  u[0] = g[0];
  u[1] = ends + middle;
  u[2] = ends - middle;
  u[3] = g[2];
}

// G' u, the transpose of G g.
INLINE void weigh_back(const vf u[static 4], vf g[static 3]) {
  vf ends = (u[1] + u[2]) * 0.5f;
  g[0] = u[0] + ends;
  g[1] = (u[1] - u[2]) * 0.5f;
  g[2] = ends + u[3];
}

// weight (32,16,3,3) to positions (16) of (16,32).
INLINE void winograd_weights(const float *weight, float *positions) {
  for (int c = 0; c < CHANNELS1; c++)
    for (int half = 0; half < CHANNELS2; half += CK_LANES) {
      vf g[3][3], u[3][4], w[4];
      for (int k = 0; k < 9; k++)
        for (int i = 0; i < CK_LANES; i++)
          g[k % 3][k / 3][i] = weight[((half + i) * CHANNELS1 + c) * 9 + k];
      for (int j = 0; j < 3; j++) weigh(g[j], u[j]);
      for (int i = 0; i < 4; i++) {
        weigh((vf[]){u[0][i], u[1][i], u[2][i]}, w);
        for (int j = 0; j < 4; j++)
          store(positions + ((4 * i + j) * CHANNELS1 + c) * CHANNELS2 + half, w[j]);
      }
    }
}

// The transpose of winograd_weights: the gradient of weight from that of positions.
INLINE void winograd_weights_back(const float *positions, float *weight) {
  for (int c = 0; c < CHANNELS1; c++)
    for (int half = 0; half < CHANNELS2; half += CK_LANES) {
      vf u[4][3], g[3], w[4];
      for (int i = 0; i < 4; i++) {
        for (int j = 0; j < 4; j++)
          w[j] = load(positions + ((4 * i + j) * CHANNELS1 + c) * CHANNELS2 + half);
        weigh_back(w, u[i]);
      }
      for (int j = 0; j < 3; j++) {
        weigh_back((vf[]){u[0][j], u[1][j], u[2][j], u[3][j]}, g);
        for (int k = 0; k < 3; k++)
          for (int i = 0; i < CK_LANES; i++)
            weight[((half + i) * CHANNELS1 + c) * 9 + 3 * k + j] = g[k][i];
      }
    }
}

// in (18,18,16) to positions (16) of (tiles,16).
INLINE void winograd_enter(const float *in, float *positions) {
  for (int y = 0; y < TILE_SIDE; y++) {
    vf columns[4][4];
    for (int x = -1; x < TILE_SIDE; x++) {
      // A tile's right half is the next one's left half.
#pragma unroll
      for (int i = 0; i < 4; i++) {
        columns[0][i] = columns[2][i];
        columns[1][i] = columns[3][i];
      }
#pragma unroll
      for (int j = 2; j < 4; j++) {
        const float *p = in + (2 * y * BORDERED + 2 * x + j) * CHANNELS1;
        const int row = BORDERED * CHANNELS1;
        enter((vf[]){load(p), load(p + row), load(p + 2 * row), load(p + 3 * row)}, columns[j]);
      }
      if (x < 0) continue;
      float *out = positions + (y * TILE_SIDE + x) * CHANNELS1;
#pragma unroll
      for (int i = 0; i < 4; i++) {
        vf v[4];
        enter((vf[]){columns[0][i], columns[1][i], columns[2][i], columns[3][i]}, v);
#pragma unroll
        for (int j = 0; j < 4; j++) store(out + (4 * i + j) * POSITION1, v[j]);
      }
    }
  }
}

// The transpose of winograd_enter: the gradient of in (18,18,16), whose border means nothing, from that of positions.
INLINE void winograd_enter_back(const float *positions, float *in) {
  const int row = BORDERED * CHANNELS1;
  for (int i = 0; i < 2 * row; i += CK_LANES) store(in + i, splat(0));
  for (int y = 0; y < TILE_SIDE; y++) {
    vf carry[2][4];
#pragma unroll
    for (int i = 0; i < 4; i++) carry[0][i] = carry[1][i] = splat(0);
    for (int x = 0; x <= TILE_SIDE; x++) {
      vf done[2][4];
#pragma unroll
      for (int i = 0; i < 4; i++) {
        done[0][i] = carry[0][i];
        done[1][i] = carry[1][i];
      }
      if (x < TILE_SIDE) {
        const float *p = positions + (y * TILE_SIDE + x) * CHANNELS1;
        vf d[4][4];
#pragma unroll
        for (int j = 0; j < 4; j++)
          enter_back((vf[]){load(p + j * POSITION1), load(p + (4 + j) * POSITION1), load(p + (8 + j) * POSITION1),
                            load(p + (12 + j) * POSITION1)},
                     d[j]);
#pragma unroll
        for (int i = 0; i < 4; i++) {
          vf e[4];
          enter_back((vf[]){d[0][i], d[1][i], d[2][i], d[3][i]}, e);
          done[0][i] += e[0];
          done[1][i] += e[1];
          carry[0][i] = e[2];
          carry[1][i] = e[3];
        }
      }
      // The lower two rows wait for the tiles below.
      float *out = in + (2 * y * BORDERED + 2 * x) * CHANNELS1;
#pragma unroll
      for (int j = 0; j < 2; j++) {
        float *p = out + j * CHANNELS1;
        store(p, load(p) + done[j][0]);
        store(p + row, load(p + row) + done[j][1]);
        store(p + 2 * row, done[j][2]);
        store(p + 3 * row, done[j][3]);
      }
    }
  }
}

// positions (16) of (tiles,32) to total (32): the sum over all pixels of the convolution's positive part. With
// `mask`, positions becomes the gradient of itself for a gradient of 1 in every total: that of the convolution
// is 1 where it is positive, else 0.
INLINE void winograd_leave(int mask, float *positions, float *total) {
  vf sums[2] = {splat(0), splat(0)};
  for (int t = 0; t < TILES; t++)
#pragma unroll
    for (int h = 0; h < 2; h++) {
      float *p = positions + t * CHANNELS2 + h * CK_LANES;
      vf half[4][2], y[2][2], back[2][4];
#pragma unroll
      for (int j = 0; j < 4; j++)
        leave((vf[]){load(p + j * POSITION2), load(p + (4 + j) * POSITION2), load(p + (8 + j) * POSITION2),
                     load(p + (12 + j) * POSITION2)},
              half[j]);
#pragma unroll
      for (int i = 0; i < 2; i++) leave((vf[]){half[0][i], half[1][i], half[2][i], half[3][i]}, y[i]);
      sums[h] += (at_least(y[0][0], splat(0)) + at_least(y[0][1], splat(0))) +
                 (at_least(y[1][0], splat(0)) + at_least(y[1][1], splat(0)));
      if (!mask) continue;
#pragma unroll
      for (int j = 0; j < 2; j++)
        leave_back((vf[]){y[0][j] > 0 ? splat(1) : splat(0), y[1][j] > 0 ? splat(1) : splat(0)}, back[j]);
#pragma unroll
      for (int i = 0; i < 4; i++) {
        vf m[4];
        leave_back((vf[]){back[0][i], back[1][i]}, m);
#pragma unroll
        for (int j = 0; j < 4; j++) store(p + (4 * i + j) * POSITION2, m[j]);
      }
    }
  store(total, sums[0]);
  store(total + CK_LANES, sums[1]);
}
