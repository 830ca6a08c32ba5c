//go:build amd64 && !purego

#include "textflag.h"
#include "avx512_amd64.h"

// Row i of a tile accumulates in Z(2i) and Z(2i+1).

#define B0 Z28
#define B1 Z29
#define A0 Z30

#define A3 R10 // rows 3 to 5 of a
#define A6 R11 // rows 6 to 8 of a
#define A9 R12 // rows 9 to 11 of a
#define A12 R13 // rows 12 to 13 of a

#define LIST1(OP) OP(0, (A), Z0, Z1)
#define LIST2(OP) LIST1(OP); OP(1, (A)(LDA*1), Z2, Z3)
#define LIST3(OP) LIST2(OP); OP(2, (A)(LDA*2), Z4, Z5)
#define LIST4(OP) LIST3(OP); OP(3, (A3), Z6, Z7)
#define LIST5(OP) LIST4(OP); OP(4, (A3)(LDA*1), Z8, Z9)
#define LIST6(OP) LIST5(OP); OP(5, (A3)(LDA*2), Z10, Z11)
#define LIST7(OP) LIST6(OP); OP(6, (A6), Z12, Z13)
#define LIST8(OP) LIST7(OP); OP(7, (A6)(LDA*1), Z14, Z15)
#define LIST9(OP) LIST8(OP); OP(8, (A6)(LDA*2), Z16, Z17)
#define LIST10(OP) LIST9(OP); OP(9, (A9), Z18, Z19)
#define LIST11(OP) LIST10(OP); OP(10, (A9)(LDA*1), Z20, Z21)
#define LIST12(OP) LIST11(OP); OP(11, (A9)(LDA*2), Z22, Z23)
#define LIST13(OP) LIST12(OP); OP(12, (A12), Z24, Z25)
#define LIST14(OP) LIST13(OP); OP(13, (A12)(LDA*1), Z26, Z27)

#define ROW_POINTERS \
	LEAQ (A)(LDA*2), A3   \
	ADDQ LDA, A3          \
	LEAQ (A3)(LDA*2), A6  \
	ADDQ LDA, A6          \
	LEAQ (A6)(LDA*2), A9  \
	ADDQ LDA, A9          \
	LEAQ (A9)(LDA*2), A12 \
	ADDQ LDA, A12

#define MOVE_POINTERS(bytes) \
	ADDQ $bytes, A   \
	ADDQ $bytes, A3  \
	ADDQ $bytes, A6  \
	ADDQ $bytes, A9  \
	ADDQ $bytes, A12

#include "attention_product_amd64.h"

// func attentionProductRowsAVX512(c []float32, ldc int, a []float32, lda int, b []float32, ldb, k, rows int, add bool)
TEXT ·attentionProductRowsAVX512(SB), NOSPLIT, $0-113
	ARGUMENTS
next:
	CHOOSE_TILE(14, tile14)
	IF_ROWS(13, tile13)
	IF_ROWS(12, tile12)
	IF_ROWS(11, tile11)
	IF_ROWS(10, tile10)
	IF_ROWS(9, tile9)
	IF_ROWS(8, tile8)
	IF_ROWS(7, tile7)
	IF_ROWS(6, tile6)
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
	ROWS_TILE(7, LIST7, tile7, sum7, start7, loop7, rest7, one7, done7)
	ROWS_TILE(8, LIST8, tile8, sum8, start8, loop8, rest8, one8, done8)
	ROWS_TILE(9, LIST9, tile9, sum9, start9, loop9, rest9, one9, done9)
	ROWS_TILE(10, LIST10, tile10, sum10, start10, loop10, rest10, one10, done10)
	ROWS_TILE(11, LIST11, tile11, sum11, start11, loop11, rest11, one11, done11)
	ROWS_TILE(12, LIST12, tile12, sum12, start12, loop12, rest12, one12, done12)
	ROWS_TILE(13, LIST13, tile13, sum13, start13, loop13, rest13, one13, done13)
	ROWS_TILE(14, LIST14, tile14, sum14, start14, loop14, rest14, one14, done14)
end:
	VZEROUPPER
	RET

// func attentionProductColumnsAVX512(c []float32, ldc int, a []float32, lda int, b []float32,
//	ldb, k, rows int, add bool)
TEXT ·attentionProductColumnsAVX512(SB), NOSPLIT, $0-113
	ARGUMENTS
next:
	CHOOSE_TILE(14, tile14)
	IF_ROWS(13, tile13)
	IF_ROWS(12, tile12)
	IF_ROWS(11, tile11)
	IF_ROWS(10, tile10)
	IF_ROWS(9, tile9)
	IF_ROWS(8, tile8)
	IF_ROWS(7, tile7)
	IF_ROWS(6, tile6)
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
	COLUMNS_TILE(7, LIST7, tile7, sum7, start7, loop7, rest7, one7, done7)
	COLUMNS_TILE(8, LIST8, tile8, sum8, start8, loop8, rest8, one8, done8)
	COLUMNS_TILE(9, LIST9, tile9, sum9, start9, loop9, rest9, one9, done9)
	COLUMNS_TILE(10, LIST10, tile10, sum10, start10, loop10, rest10, one10, done10)
	COLUMNS_TILE(11, LIST11, tile11, sum11, start11, loop11, rest11, one11, done11)
	COLUMNS_TILE(12, LIST12, tile12, sum12, start12, loop12, rest12, one12, done12)
	COLUMNS_TILE(13, LIST13, tile13, sum13, start13, loop13, rest13, one13, done13)
	COLUMNS_TILE(14, LIST14, tile14, sum14, start14, loop14, rest14, one14, done14)
end:
	VZEROUPPER
	RET
