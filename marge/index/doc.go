// Package index turns document vectors into training batches: the similarity
// search within a shard, the shard-wide threshold and the greedy growth of
// batches of the paper "Pre-training via Paraphrasing" (arXiv:2006.15020,
// section 2.4). It also has an exact inner-product index for retrieval.
//
// Everything here is exact and deterministic: results are identical for any
// number of threads of the [asm.Runner] that does the work. What takes long has
// a context, which stops it within a second.
package index
