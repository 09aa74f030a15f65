// exp, log, sin and cos of 16 lanes: polynomials fitted for the least largest relative error (by Lawson's
// iteration).

// The multiple of log 2 nearest to x, as a float and as an integer.
INLINE vf log2_multiples(vf x, vi *integer) {
  vf rounded = fma_(x, splat(0x1.715476p+0f), splat(ROUNDING));
  *integer = (vi)rounded - (vi)splat(ROUNDING);
  return rounded - ROUNDING;
}

#define LOG2_HIGH 0x1.62e430p-1f
#define LOG2_LOW -0x1.05c610p-29f

// exp(r) - 1 = r + r^2 p(r) for |r| <= log(2) / 2.
INLINE vf expm1_reduced(vf r) {
  vf p = splat(0x1.6a21acp-10f);
  p = fma_(p, r, splat(0x1.123b6ap-7f));
  p = fma_(p, r, splat(0x1.5558fap-5f));
  p = fma_(p, r, splat(0x1.555490p-3f));
  p = fma_(p, r, splat(0x1.fffffcp-2f));
  return fma_(r * r, p, r);
}

INLINE vf power_of_two(vi n) { return (vf)((n + 127) << 23); }

INLINE vf exp_(vf x) {
  vi n;
  vf bounded = at_least(at_most(x, splat(88.8f)), splat(-87.4f));
  vf count = log2_multiples(bounded, &n);
  vf r = fma_(count, splat(-LOG2_HIGH), bounded);
  vf q = expm1_reduced(fma_(count, splat(-LOG2_LOW), r));
  // 2^128 is no float, and 2^-127 no normal one: half the exponent at a time.
  vf scale = power_of_two(n >> 1);
  vf y = fma_(scale, q, scale) * power_of_two(n - (n >> 1));
  return x < -87.3f ? splat(0) : y;
}

// log x = e log 2 + log(1 + f) with x = 2^e (1 + f), 1 + f between sqrt(1/2) and sqrt(2).
INLINE vf log_(vf x) {
  vi bits = (vi)x - 0x3F3504F3;
  vf e = __builtin_convertvector(bits >> 23, vf);
  vf f = (vf)((bits & 0x007FFFFF) + 0x3F3504F3) - 1;
  vf p = splat(0x1.1457a8p-4f);
  p = fma_(p, f, splat(-0x1.de3c16p-4f));
  p = fma_(p, f, splat(0x1.e6f06ap-4f));
  p = fma_(p, f, splat(-0x1.fc2208p-4f));
  p = fma_(p, f, splat(0x1.233768p-3f));
  p = fma_(p, f, splat(-0x1.555c4ep-3f));
  p = fma_(p, f, splat(0x1.99a4b6p-3f));
  p = fma_(p, f, splat(-0x1.000006p-2f));
  p = fma_(p, f, splat(0x1.555548p-2f));
  vf square = f * f;
  vf y = fma_(p, square * f, e * LOG2_LOW);
  y = fma_(square, splat(-0.5f), y);
  y = fma_(e, splat(LOG2_HIGH), f + y);
  y = x < 0x1p-126f ? splat(-__builtin_inff()) : y;
  y = x < 0 ? splat(__builtin_nanf("")) : y;
  return x < __builtin_inff() ? y : x;
}

// Sine and cosine of r, |r| <= pi / 4.
INLINE vf sin_reduced(vf r) {
  vf z = r * r;
  vf p = splat(-0x1.993fdep-13f);
  p = fma_(p, z, splat(0x1.110730p-7f));
  p = fma_(p, z, splat(-0x1.555546p-3f));
  return fma_(p, z * r, r);
}

INLINE vf cos_reduced(vf r) {
  vf z = r * r;
  vf p = splat(0x1.99e7f0p-16f);
  p = fma_(p, z, splat(-0x1.6c0c28p-10f));
  p = fma_(p, z, splat(0x1.55554ap-5f));
  // What rounding 1 - z / 2 loses is added to the small terms.
  vf half = z * 0.5f, most = 1 - half;
  return most + fma_(p, z * z, (1 - most) - half);
}

// Sine and cosine of quadrant * pi / 2 + r.
INLINE void sincos_reduced(vi quadrant, vf r, vf *sine, vf *cosine) {
  vf s = sin_reduced(r), c = cos_reduced(r);
  vi odd = (quadrant & 1) != 0;
  *sine = (vf)((vi)(odd ? c : s) ^ ((quadrant & 2) << 30));
  *cosine = (vf)((vi)(odd ? s : c) ^ (((quadrant + 1) & 2) << 30));
}

INLINE void sincos_(vf x, vf *sine, vf *cosine) {
  vf rounded = fma_(x, splat(0x1.45f306p-1f), splat(ROUNDING));
  vf n = rounded - ROUNDING;
  vf r = fma_(n, splat(-0x1.921fb6p+0f), x);
  r = fma_(n, splat(0x1.777a5cp-25f), r);
  r = fma_(n, splat(0x1.ee59dap-50f), r);
  sincos_reduced((vi)rounded, r, sine, cosine);
}

INLINE vf sin_(vf x) {
  vf sine, cosine;
  sincos_(x, &sine, &cosine);
  return sine;
}

INLINE vf cos_(vf x) {
  vf sine, cosine;
  sincos_(x, &sine, &cosine);
  return cosine;
}

// Arrays of any length and alignment; the last, partial vector goes through a padded copy.
#define ARRAY_FUNCTION(name, function)                                     \
  static void name(size_t count, const float *x, float *y) {               \
    for (size_t i = 0; i < count; i += CK_LANES) {                         \
      size_t n = count - i < CK_LANES ? count - i : CK_LANES;              \
      vf v = splat(1);                                                     \
      __builtin_memcpy(&v, x + i, n * sizeof(float));                      \
      v = function(v);                                                     \
      __builtin_memcpy(y + i, &v, n * sizeof(float));                      \
    }                                                                      \
  }

ARRAY_FUNCTION(exp_array, exp_)
ARRAY_FUNCTION(log_array, log_)
ARRAY_FUNCTION(sin_array, sin_)
ARRAY_FUNCTION(cos_array, cos_)
#undef ARRAY_FUNCTION
