//go:build amd64 && !purego

#include "textflag.h"

// Data of the vector kernels.

// Constants, 8 lanes each. Rows are numbered in avx2_amd64.h; the polynomials
// are described in vec_exp_amd64.h.
#define ROW(i, x) \
	DATA ·vecConst+(32*i+0)(SB)/8, $(x<<32|x)  \
	DATA ·vecConst+(32*i+8)(SB)/8, $(x<<32|x)  \
	DATA ·vecConst+(32*i+16)(SB)/8, $(x<<32|x) \
	DATA ·vecConst+(32*i+24)(SB)/8, $(x<<32|x)

ROW(0, 0x3fb8aa3b) // log2(e)
ROW(1, 0x4b400000) // 1.5 * 2**23: adding it rounds to an integer
ROW(2, 0xbf317218) // -ln(2), upper part
ROW(3, 0x3102e308) // -ln(2), lower part
ROW(4, 0x3efffffe) // E2
ROW(5, 0x3e2aaa48) // E3
ROW(6, 0x3d2aac51) // E4
ROW(7, 0x3c091d64) // E5
ROW(8, 0x3ab52f01) // E6
ROW(9, 0x3f800000) // 1
ROW(10, 0x42b20000) // 89: exp overflows
ROW(11, 0xc2d00000) // -104: exp underflows to 0
ROW(12, 0x7fffffff) // all bits but the sign
ROW(13, 0x41666666) // 14.4: GELU(-14.4) is 0
ROW(14, 0x49c00000) // 1.5 * 2**20: adding it rounds to eighths
ROW(15, 0x49400000) // 1.5 * 2**19: adding it rounds to sixteenths
ROW(16, 0x33800000) // 2**-24
ROW(17, 0x3f00043f) // X2 for eighths
ROW(18, 0x3e2ab077) // X3
ROW(19, 0x3f000110) // X2 for sixteenths
ROW(20, 0x3e2aac1e) // X3
ROW(21, 0xbf000000) // -1/2: Y1 = -X1/2
ROW(22, 0x3e00043f) // Y2 = X2/4 for eighths
ROW(23, 0xbcaab077) // Y3 = -X3/8
ROW(24, 0x3e000110) // Y2 for sixteenths
ROW(25, 0xbcaaac1e) // Y3
ROW(26, 0x3f000000) // 1/2
ROW(27, 0x3e0375d4) // P0
ROW(28, 0xbec093a1) // P1
ROW(29, 0x3de716fd) // P2
ROW(30, 0xbcdc0774) // P3
ROW(31, 0x3baa6ad1) // P4
ROW(32, 0xba557e85) // P5
ROW(33, 0x38afffa6) // P6
ROW(34, 0xb92e09ee) // Q0
ROW(35, 0xbf905bbb) // Q1
ROW(36, 0xbf23109a) // Q2
ROW(37, 0xbdd53b9c) // Q3
ROW(38, 0x3cb6d2d4) // Q4
ROW(39, 0xbb48f060) // Q5
ROW(40, 0x394feb7f) // Q6
ROW(41, 0x40800000) // 4: erf(4) rounds to 1
ROW(42, 0x3f666666) // 0.9
ROW(43, 0x41200000) // 10: tanh(10) rounds to 1
ROW(44, 0x40000000) // 2
ROW(45, 0x00000001) // bf16: the last bit that stays
ROW(46, 0x00007fff) // bf16: just below half of it
ROW(47, 0x00000040) // bf16: quiet NaN
ROW(48, 0x7feb352d) // dropout: multipliers
ROW(49, 0x846ca68b)
ROW(50, 0x9e3779b1)
ROW(51, 0xbf38aa3b) // -log2(e)/2
ROW(52, 0x3fb17218) // 2*ln(2), upper part
ROW(53, 0xb182e308) // 2*ln(2), lower part
ROW(54, 0x406f5c29) // GELU for AVX2: 3.74, the end of the near intervals
ROW(55, 0x4ac00000) // 1.5 * 2**22: adding it rounds to halves
ROW(56, 0x40e7ae14) // GELU: 7.24, where positive x leave the last interval
ROW(57, 0xc0e7ae14) // where negative x leave it
ROW(58, 0x3fa50000) // slope of GELU for AVX2: intervals in 1
ROW(59, 0x40b9eb85) // where it is 0 or 1: 5.81
ROW(60, 0x40200000) // the same for AVX-512
ROW(61, 0x40c6147b) // 6.19
ROW(62, 0xc3160000) // -150: 2**(-150) rounds to 0
ROW(63, 0x3f317218) // B1 for eighths and sixteenths
ROW(64, 0x3e760619) // B2 for eighths
ROW(65, 0x3d636000) // B3
ROW(66, 0x3e75fffa) // B2 for sixteenths
ROW(67, 0x3d635a35) // B3
ROW(68, 0x3f3504f3) // log: the square root of 1/2
ROW(69, 0x00800000) // the least normal number
ROW(70, 0x4b000000) // 2**23
ROW(71, 0x41b80000) // 23
ROW(72, 0x7f800000) // +Inf
ROW(73, 0xff800000) // -Inf
ROW(74, 0x7fc00000) // NaN
ROW(75, 0x3f310000) // ln(2), the upper 8 bits
ROW(76, 0x3ae42ff0) // ln(2), the rest
ROW(77, 0x3eaaaaaa) // L0
ROW(78, 0xbe800113) // L1
ROW(79, 0x3e4cd004) // L2
ROW(80, 0xbe2a3922) // L3
ROW(81, 0x3e116d0e) // L4
ROW(82, 0xbe06c2a2) // L5
ROW(83, 0x3e02adb9) // L6
ROW(84, 0xbd9c5ac1) // L7
ROW(85, 0x3f22f983) // 2/pi
ROW(86, 0xbfc90fdb) // -pi/2, upper part
ROW(87, 0x333bbd2e) // -pi/2, middle part
ROW(88, 0x26f72ced) // -pi/2, lower part
ROW(89, 0xbe2aaaab) // S0
ROW(90, 0x3c088884) // S1
ROW(91, 0xb95007cc) // S2
ROW(92, 0x36366b99) // S3
ROW(93, 0x3d2aaaab) // T0
ROW(94, 0xbab60b5c) // T1
ROW(95, 0x37d0088e) // T2
ROW(96, 0xb49214fe) // T3
ROW(97, 0x48000000) // 2**17, beyond which sin and cos are left to Go
ROW(98, 0xbf800000) // -1
GLOBL ·vecConst(SB), RODATA|NOPTR, $3168

// Eight ones and eight zeros: a window of 8 lanes is a mask of up to 8 lanes.
DATA ·vecMask+0(SB)/8, $-1
DATA ·vecMask+8(SB)/8, $-1
DATA ·vecMask+16(SB)/8, $-1
DATA ·vecMask+24(SB)/8, $-1
DATA ·vecMask+32(SB)/8, $0
DATA ·vecMask+40(SB)/8, $0
DATA ·vecMask+48(SB)/8, $0
DATA ·vecMask+56(SB)/8, $0
GLOBL ·vecMask(SB), RODATA|NOPTR, $64

// 0, 1, ... 15
DATA ·vecIota+0(SB)/8, $0x0000000100000000
DATA ·vecIota+8(SB)/8, $0x0000000300000002
DATA ·vecIota+16(SB)/8, $0x0000000500000004
DATA ·vecIota+24(SB)/8, $0x0000000700000006
DATA ·vecIota+32(SB)/8, $0x0000000900000008
DATA ·vecIota+40(SB)/8, $0x0000000b0000000a
DATA ·vecIota+48(SB)/8, $0x0000000d0000000c
DATA ·vecIota+56(SB)/8, $0x0000000f0000000e
GLOBL ·vecIota(SB), RODATA|NOPTR, $64

DATA ·vecNegInf+0(SB)/4, $0xff800000
GLOBL ·vecNegInf(SB), RODATA|NOPTR, $4
DATA ·vecNaN+0(SB)/4, $0x7fc00000
GLOBL ·vecNaN(SB), RODATA|NOPTR, $4

DATA ·vecOne64+0(SB)/8, $0x3ff0000000000000
GLOBL ·vecOne64(SB), RODATA|NOPTR, $8
