//go:build amd64 && !purego

#include "textflag.h"

// Tables of the vector kernels, indexed by VPERMPS: 8 entries for AVX2, 16 for
// AVX-512. vec_exp_amd64.h describes their use.

// The bits of 2**(24+j/8), less j<<20.
DATA ·vecExp8+0(SB)/8, $0x4b7b95c24b800000
DATA ·vecExp8+8(SB)/8, $0x4b75fed74b7837f0
DATA ·vecExp8+16(SB)/8, $0x4b75672a4b7504f3
DATA ·vecExp8+24(SB)/8, $0x4b7ac0c74b7744fd
GLOBL ·vecExp8(SB), RODATA|NOPTR, $32

// 2**(j/16).
DATA ·vecExp16+0(SB)/8, $0x3f85aac33f800000
DATA ·vecExp16+8(SB)/8, $0x3f91c3d33f8b95c2
DATA ·vecExp16+16(SB)/8, $0x3f9ef5323f9837f0
DATA ·vecExp16+24(SB)/8, $0x3fad583f3fa5fed7
DATA ·vecExp16+32(SB)/8, $0x3fbd08a43fb504f3
DATA ·vecExp16+40(SB)/8, $0x3fce248c3fc5672a
DATA ·vecExp16+48(SB)/8, $0x3fe0ccdf3fd744fd
DATA ·vecExp16+56(SB)/8, $0x3ff5257d3feac0c7
GLOBL ·vecExp16(SB), RODATA|NOPTR, $64

// Centres of the intervals of t+1 with boundaries 2**i and 1.5 * 2**i, and
// 2**-24 times the coefficients of R(t) about them, of ascending degree.
// With their rounding the relative error is 7.5e-8.
DATA ·vecTail8+0(SB)/8, $0x402000003fc00000
DATA ·vecTail8+8(SB)/8, $0x40c0000040800000
DATA ·vecTail8+16(SB)/8, $0x4150000041100000
DATA ·vecTail8+24(SB)/8, $0x3f4000003e800000
DATA ·vecTail8+32(SB)/8, $0x3210b9293252b82b
DATA ·vecTail8+40(SB)/8, $0x3184ab0431c15a5e
DATA ·vecTail8+48(SB)/8, $0x30f9eee13133665b
DATA ·vecTail8+56(SB)/8, $0x3299b81232d3fc04
DATA ·vecTail8+64(SB)/8, $0xb13ad5b2b1b8e026
DATA ·vecTail8+72(SB)/8, $0xb0283461b0ae7cbe
DATA ·vecTail8+80(SB)/8, $0xaf180954af9bc091
DATA ·vecTail8+88(SB)/8, $0xb231f039b2974329
DATA ·vecTail8+96(SB)/8, $0x305f9cdd31102039
DATA ·vecTail8+104(SB)/8, $0x2ed077922f96ed87
DATA ·vecTail8+112(SB)/8, $0x2d37ee422e05b7be
DATA ·vecTail8+120(SB)/8, $0x31adfbfa322e2b3d
DATA ·vecTail8+128(SB)/8, $0xaf7b13b0b04cc024
DATA ·vecTail8+136(SB)/8, $0xad7ce668ae7b52d3
DATA ·vecTail8+144(SB)/8, $0xab5d48caac631dc4
DATA ·vecTail8+152(SB)/8, $0xb116424eb1aca7aa
DATA ·vecTail8+160(SB)/8, $0x2e8558502f869e05
DATA ·vecTail8+168(SB)/8, $0x2c1641872d49cb68
DATA ·vecTail8+176(SB)/8, $0x29844e3c2abe66c2
DATA ·vecTail8+184(SB)/8, $0x306b42c9311892fc
DATA ·vecTail8+192(SB)/8, $0xad86f21faea5f0f4
DATA ·vecTail8+200(SB)/8, $0xaaaf447eac1d468e
DATA ·vecTail8+208(SB)/8, $0xa79d772ca91e69c7
DATA ·vecTail8+216(SB)/8, $0xafa9d47ab075baa8
DATA ·vecTail8+224(SB)/8, $0x2c8633de2dc864e9
DATA ·vecTail8+232(SB)/8, $0x2950d7cc2afe9331
DATA ·vecTail8+240(SB)/8, $0x25c2ce50278e2059
DATA ·vecTail8+248(SB)/8, $0x2ee786032fb99940
DATA ·vecTail8+256(SB)/8, $0xab78ba24acdbb820
DATA ·vecTail8+264(SB)/8, $0xa7ea6aaea9b9e58b
DATA ·vecTail8+272(SB)/8, $0xa3e535eba5e7148f
DATA ·vecTail8+280(SB)/8, $0xae123c39af007323
GLOBL ·vecTail8(SB), RODATA|NOPTR, $288

// Centres of the intervals of t+1 with boundaries (1 + j/4) * 2**i, and the
// coefficients of R(t) about them, of ascending degree. With their rounding the
// relative error is 1e-7.
DATA ·vecTail16+0(SB)/8, $0x3fe000003fa00000
DATA ·vecTail16+8(SB)/8, $0x4030000040100000
DATA ·vecTail16+16(SB)/8, $0x4090000040600000
DATA ·vecTail16+24(SB)/8, $0x40d0000040b00000
DATA ·vecTail16+32(SB)/8, $0x4120000041000000
DATA ·vecTail16+40(SB)/8, $0x4160000041400000
DATA ·vecTail16+48(SB)/8, $0x3ec000003e000000
DATA ·vecTail16+56(SB)/8, $0x3f6000003f200000
DATA ·vecTail16+64(SB)/8, $0x3e3dad5f3e6c4c6f
DATA ·vecTail16+72(SB)/8, $0x3e05dcb43e1d56ef
DATA ·vecTail16+80(SB)/8, $0x3dadad673dd9cb7e
DATA ·vecTail16+88(SB)/8, $0x3d75d2ff3d900fd5
DATA ·vecTail16+96(SB)/8, $0x3d21d1c63d4934ba
DATA ·vecTail16+104(SB)/8, $0x3ce843d73d073ee7
DATA ·vecTail16+112(SB)/8, $0x3ec25b833ee85796
DATA ·vecTail16+120(SB)/8, $0x3e8f3e173ea58ef1
DATA ·vecTail16+128(SB)/8, $0xbd9929dbbde24991
DATA ·vecTail16+136(SB)/8, $0xbd21958dbd5a02e6
DATA ·vecTail16+144(SB)/8, $0xbc8df163bcdb01c5
DATA ·vecTail16+152(SB)/8, $0xbc10d749bc458cab
DATA ·vecTail16+160(SB)/8, $0xbb7df968bbc35c22
DATA ·vecTail16+168(SB)/8, $0xbb0366dfbb31e7e4
DATA ·vecTail16+176(SB)/8, $0xbe835fd8beaf3737
DATA ·vecTail16+184(SB)/8, $0xbe1dd7acbe4991a7
DATA ·vecTail16+192(SB)/8, $0x3cdea1ea3d3dbb82
DATA ·vecTail16+200(SB)/8, $0x3c362ebb3c8ad4c6
DATA ·vecTail16+208(SB)/8, $0x3b5fdb313bd14b5f
DATA ·vecTail16+216(SB)/8, $0x3aa751f73b03f137
DATA ·vecTail16+224(SB)/8, $0x39c576c53a3b0df8
DATA ·vecTail16+232(SB)/8, $0x3913f38239687c49
DATA ·vecTail16+240(SB)/8, $0x3e11176c3e527069
DATA ·vecTail16+248(SB)/8, $0x3d945f5e3dcd22ae
DATA ·vecTail16+256(SB)/8, $0xbc14b13fbc8f99c7
DATA ·vecTail16+264(SB)/8, $0xbb41c5f3bba4dd36
DATA ·vecTail16+272(SB)/8, $0xba2adcc8babf3ec5
DATA ·vecTail16+280(SB)/8, $0xb93daf59b9abff05
DATA ·vecTail16+288(SB)/8, $0xb8182915b8b0c07e
DATA ·vecTail16+296(SB)/8, $0xb725c91fb796eef6
DATA ·vecTail16+304(SB)/8, $0xbd8ae494bdd8159c
DATA ·vecTail16+312(SB)/8, $0xbcf7cfbbbd374903
DATA ·vecTail16+320(SB)/8, $0x3b3a79de3bc9d71c
DATA ·vecTail16+328(SB)/8, $0x3a44e3873ab98cfd
DATA ·vecTail16+336(SB)/8, $0x390011ce39aa9ad1
DATA ·vecTail16+344(SB)/8, $0x37d4b168385d19a4
DATA ·vecTail16+352(SB)/8, $0x366b97bb37282f82
DATA ·vecTail16+360(SB)/8, $0x353a39f035c49fb7
DATA ·vecTail16+368(SB)/8, $0x3ceee4dc3d45aa60
DATA ·vecTail16+376(SB)/8, $0x3c3cd6a63c944dc8
DATA ·vecTail16+384(SB)/8, $0xba59f81abb029e40
DATA ·vecTail16+392(SB)/8, $0xb93e00dab9c4a4ec
DATA ·vecTail16+400(SB)/8, $0xb7b84492b89002aa
DATA ·vecTail16+408(SB)/8, $0xb668bb3fb709bb7e
DATA ·vecTail16+416(SB)/8, $0xb4b257a9b59acf0f
DATA ·vecTail16+424(SB)/8, $0xb34eaf39b3fc1053
DATA ·vecTail16+432(SB)/8, $0xbc3ae027bca358da
DATA ·vecTail16+440(SB)/8, $0xbb84917abbdbbc0a
GLOBL ·vecTail16(SB), RODATA|NOPTR, $448
