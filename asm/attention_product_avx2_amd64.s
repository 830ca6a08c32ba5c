//go:build amd64 && !purego

#include "textflag.h"
#include "avx2_amd64.h"

// Row i of a tile accumulates in Y(2i) and Y(2i+1).

#define B0 Y12
#define B1 Y13
#define A0 Y14

#define A3 R10 // rows 3 to 5 of a

#define LIST1(OP) OP(0, (A), Y0, Y1)
#define LIST2(OP) LIST1(OP); OP(1, (A)(LDA*1), Y2, Y3)
#define LIST3(OP) LIST2(OP); OP(2, (A)(LDA*2), Y4, Y5)
#define LIST4(OP) LIST3(OP); OP(3, (A3), Y6, Y7)
#define LIST5(OP) LIST4(OP); OP(4, (A3)(LDA*1), Y8, Y9)
#define LIST6(OP) LIST5(OP); OP(5, (A3)(LDA*2), Y10, Y11)

#define ROW_POINTERS \
	LEAQ (A)(LDA*2), A3 \
	ADDQ LDA, A3

#define MOVE_POINTERS(bytes) \
	ADDQ $bytes, A  \
	ADDQ $bytes, A3

#include "attention_product_amd64.h"

// func attentionProductRowsAVX2(c []float32, ldc int, a []float32, lda int, b []float32, ldb, k, rows int, add bool)
TEXT ·attentionProductRowsAVX2(SB), NOSPLIT, $0-113
	ARGUMENTS
next:
	CHOOSE_TILE(6, tile6)
	IF_ROWS(5, tile5)
	IF_ROWS(4, tile4)
	IF_ROWS(3, tile3)
	IF_ROWS(2, tile2)
	ROWS_TILE(1, LIST1, tile1, sum1, start1, loop1, rest1, one1, done1)
	ROWS_TILE(2, LIST2, tile2, sum2, start2, loop2, rest2, one2, done2)
	ROWS_TILE(3, LIST3, tile3, sum3, start3, loop3, rest3, one3, done3)
	ROWS_TILE(4, LIST4, tile4, sum4, start4, loop4, rest4, one4, done4)
	ROWS_TILE(5, LIST5, tile5, sum5, start5, loop5, rest5, one5, done5)
	ROWS_TILE(6, LIST6, tile6, sum6, start6, loop6, rest6, one6, done6)
end:
	VZEROUPPER
	RET

// func attentionProductColumnsAVX2(c []float32, ldc int, a []float32, lda int, b []float32, ldb, k, rows int, add bool)
TEXT ·attentionProductColumnsAVX2(SB), NOSPLIT, $0-113
	ARGUMENTS
next:
	CHOOSE_TILE(6, tile6)
	IF_ROWS(5, tile5)
	IF_ROWS(4, tile4)
	IF_ROWS(3, tile3)
	IF_ROWS(2, tile2)
	COLUMNS_TILE(1, LIST1, tile1, sum1, start1, loop1, rest1, one1, done1)
	COLUMNS_TILE(2, LIST2, tile2, sum2, start2, loop2, rest2, one2, done2)
	COLUMNS_TILE(3, LIST3, tile3, sum3, start3, loop3, rest3, one3, done3)
	COLUMNS_TILE(4, LIST4, tile4, sum4, start4, loop4, rest4, one4, done4)
	COLUMNS_TILE(5, LIST5, tile5, sum5, start5, loop5, rest5, one5, done5)
	COLUMNS_TILE(6, LIST6, tile6, sum6, start6, loop6, rest6, one6, done6)
end:
	VZEROUPPER
	RET
