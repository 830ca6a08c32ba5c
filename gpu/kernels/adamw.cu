// AdamW for many parameters in one launch. A block of 256 threads has 2048 elements
// of one of them.
#include "device.h"
#include "pieces.h"

struct Update {
  float *p;
  const float *g;
  float *m, *v;
  long n, first;
  float grad_scale, beta1, grad1, beta2, grad2, decay, inv_sqrt2, eps, rate;
  int unused;
};

KERNEL adamw(const Update *updates, int count) {
  const Update *u = updates + piece_of(updates, count, bid());
  float grad_scale = u->grad_scale, beta1 = u->beta1, grad1 = u->grad1, beta2 = u->beta2, grad2 = u->grad2;
  float decay = u->decay, inv_sqrt2 = u->inv_sqrt2, eps = u->eps, rate = u->rate;
  float *params = u->p, *means = u->m, *squares = u->v;
  const float *grads = u->g;
  long n = u->n, start = (bid() - u->first) * 2048 + tid();
#pragma unroll 4
  for (int k = 0; k < 8; k++) {
    long i = start + k * 256;
    if (i < n) {
      float g = grads[i] * grad_scale;
      float m = beta1 * means[i] + grad1 * g;
      float v = beta2 * squares[i] + grad2 * g * g;
      means[i] = m;
      squares[i] = v;
      params[i] = decay * params[i] - divide(rate * m, root(v) * inv_sqrt2 + eps);
    }
  }
}
