// The matrix products of attention, for either instruction set; their loops are
// in attention_generic.go. A tile of c has two vectors of columns and as many
// rows as the registers hold. An instruction set defines LIST1(OP) to
// LISTn(OP), which expand to OP(row, its address in a, its accumulators) for
// each row of a tile.
//
// One call computes all rows, with four products in each iteration. So the
// processor predicts the branch at the end of a tile, and starts the next tile
// before it finishes this one. AVX2 reaches 93% of its ceiling; one call for each
// tile of 6x16 and 64 products reached 78%.

#define C    DI // the current row of c
#define LDC  DX // bytes between rows of c
#define A    SI // the first rows of a at the current product
#define LDA  R8 // bytes between rows of a as stored
#define B    BX
#define LDB  R15
#define K    CX

#define CLEAR(i, a, c0, c1) \
	ZERO(c0) \
	ZERO(c1)

#define LOAD(i, a, c0, c1) \
	VMOVUPS (AX), c0       \
	VMOVUPS VBYTES(AX), c1 \
	ADDQ    LDC, AX

#define STORE(i, a, c0, c1) \
	VMOVUPS c0, (C)       \
	VMOVUPS c1, VBYTES(C) \
	ADDQ    LDC, C

// c += a * b, with b in B0 and B1
#define MULADD(a, c0, c1) \
	VBROADCASTSS a, A0     \
	VFMADD231PS  B0, A0, c0 \
	VFMADD231PS  B1, A0, c1

#define LOADB \
	VMOVUPS (B), B0       \
	VMOVUPS VBYTES(B), B1 \
	ADDQ    LDB, B

#define ARGUMENTS \
	MOVQ c_base+0(FP), C     \
	MOVQ ldc+24(FP), LDC     \
	MOVQ lda+56(FP), LDA   \
	MOVQ ldb+88(FP), LDB     \
	SHLQ $2, LDC             \
	SHLQ $2, LDA           \
	SHLQ $2, LDB

// Jumps to the tile with the most rows if exactly that many rows are left, or at
// least twice as many. Otherwise it sets AX to the number of rows of the next tile.
#define CHOOSE_TILE(most, tile) \
	MOVQ rows+104(FP), AX \
	CMPQ AX, $(2*most)    \
	JGE  tile             \
	CMPQ AX, $most        \
	JEQ  tile             \
	JLT  fits             \
	INCQ AX               \
	SHRQ $1, AX           \
fits: \
	TESTQ AX, AX \
	JZ    end

#define IF_ROWS(n, tile) \
	CMPQ AX, $n \
	JEQ  tile

// The start of a tile of n rows: accumulators, B, K in fours.
#define BEGIN_TILE(n, LIST, sum, start) \
	SUBQ $n, rows+104(FP)  \
	MOVQ b_base+64(FP), B  \
	MOVQ k+96(FP), K       \
	CMPB add+112(FP), $0   \
	JNE  sum               \
	LIST(CLEAR)            \
	JMP  start             \
sum: \
	MOVQ C, AX             \
	LIST(LOAD)             \
start: \
	SHRQ $2, K

// A tile of n rows of a.
#define ROWS_TILE(n, LIST, tile, sum, start, loop, rest, one, done) \
tile: \
	MOVQ  a_base+32(FP), A   \
	MOVQ  A, AX              \
	ROW_POINTERS             \
	IMUL3Q $n, LDA, R9     \
	ADDQ  R9, AX             \
	MOVQ  AX, a_base+32(FP)  \
	BEGIN_TILE(n, LIST, sum, start) \
	JZ    rest               \
	PCALIGN $64              \
loop: \
	LOADB                    \
	LIST(MULADD_ROW0)        \
	LOADB                    \
	LIST(MULADD_ROW1)        \
	LOADB                    \
	LIST(MULADD_ROW2)        \
	LOADB                    \
	LIST(MULADD_ROW3)        \
	MOVE_POINTERS(16)        \
	DECQ  K                  \
	JNZ   loop               \
rest: \
	MOVQ  k+96(FP), K        \
	ANDQ  $3, K              \
	JZ    done               \
one: \
	LOADB                    \
	LIST(MULADD_ROW0)        \
	MOVE_POINTERS(4)         \
	DECQ  K                  \
	JNZ   one                \
done: \
	LIST(STORE)              \
	JMP   next

// A tile of n columns of a, which is transposed.
#define COLUMNS_TILE(n, LIST, tile, sum, start, loop, rest, one, done) \
tile: \
	MOVQ  a_base+32(FP), A       \
	ADDQ  $(4*n), a_base+32(FP)  \
	BEGIN_TILE(n, LIST, sum, start) \
	JZ    rest                   \
	PCALIGN $64                  \
loop: \
	LOADB                        \
	LIST(MULADD_COLUMN)          \
	ADDQ  LDA, A               \
	LOADB                        \
	LIST(MULADD_COLUMN)          \
	ADDQ  LDA, A               \
	LOADB                        \
	LIST(MULADD_COLUMN)          \
	ADDQ  LDA, A               \
	LOADB                        \
	LIST(MULADD_COLUMN)          \
	ADDQ  LDA, A               \
	DECQ  K                      \
	JNZ   loop                   \
rest: \
	MOVQ  k+96(FP), K            \
	ANDQ  $3, K                  \
	JZ    done                   \
one: \
	LOADB                        \
	LIST(MULADD_COLUMN)          \
	ADDQ  LDA, A               \
	DECQ  K                      \
	JNZ   one                    \
done: \
	LIST(STORE)                  \
	JMP   next

#define MULADD_ROW0(i, a, c0, c1) MULADD(a, c0, c1)
#define MULADD_ROW1(i, a, c0, c1) MULADD(4 a, c0, c1)
#define MULADD_ROW2(i, a, c0, c1) MULADD(8 a, c0, c1)
#define MULADD_ROW3(i, a, c0, c1) MULADD(12 a, c0, c1)
#define MULADD_COLUMN(i, a, c0, c1) MULADD((4*i)(A), c0, c1)
