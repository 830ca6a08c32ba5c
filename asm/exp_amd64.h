// The exponential, for either instruction set.
//
// exp(x) = 2**n * exp(r), n = x/ln(2) rounded, r = x - n*ln(2) in two parts,
// exp(r) = 1 + r + r**2*(E2 + ... + E6*r**4), a minimax polynomial on
// |r| <= ln(2)/2 with a relative error of 3.2e-9.

// n = x/ln(2) rounded, x = r.
#define EXP_REDUCE(x, n) \
	VMOVUPS     C_MAGIC, n      \
	VFMADD231PS C_LOG2E, x, n   \
	VSUBPS      C_MAGIC, n, n   \
	VFMADD231PS C_NLN2HI, n, x  \
	VFMADD231PS C_NLN2LO, n, x

// p = E2 + ... + E6*r**4
#define EXP_POLY(r, p) \
	VMOVUPS     C_E6, p       \
	VFMADD213PS C_E5, r, p    \
	VFMADD213PS C_E4, r, p    \
	VFMADD213PS C_E3, r, p    \
	VFMADD213PS C_E2, r, p

// p = exp(x); x, n, t are scratch. A NaN passes the VMINPS and VMAXPS because
// x is their last source (in Go's syntax the first).
#define EXP_VALUE(x, p, n, t) \
	VMINPS      x, C_EXPHI, x  \
	VMAXPS      x, C_EXPLO, x  \
	EXP_REDUCE(x, n)           \
	EXP_POLY(x, p)             \
	VFMADD213PS C_ONE, x, p    \
	VFMADD213PS C_ONE, x, p    \
	SCALE2(p, n, t)

// p = 2**(x+24), or NaN, for a score x less the maximum, in bits, up to 100; x, n, m
// are scratch. With m = x rounded to eighths or sixteenths and f = x - m,
//
//	2**x = 2**m * (1 + B1*f + B2*f**2 + B3*f**3)
//
// where 2**m is an entry of a table times a power of 2. The polynomial has a
// relative error of 2.7e-8 for eighths, 1.7e-9 for sixteenths. The factor 2**24
// keeps results normal that are subnormal after the division by the sum: they are
// rounded once.
#define POWER(x, p, n, m) \
	VMAXPS      x, C_DEEPEST, x \
	VADDPS      C_EIGHTHS, x, n \
	VSUBPS      C_EIGHTHS, n, m \
	VSUBPS      m, x, x         \
	VMOVAPS     C_B3, p         \
	VFMADD213PS C_B2, x, p      \
	VFMADD213PS C_B1, x, p      \
	VMULPS      x, p, p         \
	POWER_SCALE(p, n, m)

// p = exp(x) of a score less the maximum or the log-sum-exp, for x up to 70 or
// NaN; x, n, m are scratch. With m = x/ln(2) rounded to eighths or sixteenths
// and r = x - m*ln(2),
//
//	exp(x) = 2**m * (1 + r + X2*r**2 + X3*r**3)
//
// where 2**m is an entry of a table times a power of 2. The polynomial has a
// relative error of 2.5e-8 for eighths, 1.6e-9 for sixteenths. Rounding ln(2) to
// float32 adds an error of 2.8e-9*x, a twentieth of the rounding error of x itself.
#define EXP_SCORE(x, p, n, m) \
	VMAXPS      x, C_LOWEST, x      \
	VMOVAPS     C_ROUND, n          \
	VFMADD231PS C_LOG2E_SCORE, x, n \
	VSUBPS      C_ROUND, n, m       \
	VFMADD231PS C_NLN2, m, x        \
	VMOVUPS     C_X3, p             \
	VFMADD213PS C_X2, x, p          \
	VFMADD213PS C_ONE, x, p         \
	VMULPS      x, p, p             \
	SCORE_SCALE(p, n, m)
