/* Calls a CBLAS sgemm, C = op(A) op(B), for every product of a batch, and all of it several times over, so that the
 * time of a call from Python does not count. */
typedef void sgemm(int order, int transa, int transb, int m, int n, int k, float alpha, const float *a, int lda,
                   const float *b, int ldb, float beta, float *c, int ldc);

void sgemm_loop(sgemm *gemm, long times, long batch, int transa, int transb, int m, int n, int k, const float *a,
                int lda, const float *b, int ldb, float *c)
{
    for (long t = 0; t < times; t++)
        for (long i = 0; i < batch; i++)
            gemm(101, transa, transb, m, n, k, 1, a + i * m * (long)k, lda, b + i * n * (long)k, ldb, 0,
                 c + i * m * (long)n, n);
}
