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

// 2**(24+j/16).
DATA ·vecExp16Large+0(SB)/8, $0x4b85aac34b800000
DATA ·vecExp16Large+8(SB)/8, $0x4b91c3d34b8b95c2
DATA ·vecExp16Large+16(SB)/8, $0x4b9ef5324b9837f0
DATA ·vecExp16Large+24(SB)/8, $0x4bad583f4ba5fed7
DATA ·vecExp16Large+32(SB)/8, $0x4bbd08a44bb504f3
DATA ·vecExp16Large+40(SB)/8, $0x4bce248c4bc5672a
DATA ·vecExp16Large+48(SB)/8, $0x4be0ccdf4bd744fd
DATA ·vecExp16Large+56(SB)/8, $0x4bf5257d4beac0c7
GLOBL ·vecExp16Large(SB), RODATA|NOPTR, $64

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

// Coefficients of the cube root of Phi(-t), of ascending degree, about 0, 1/2,
// ... 7/2, rounded such that GELU has an error below 5.3 ULP.
DATA ·vecGELU8+0(SB)/8, $0x3f2cfc403f4b2ff5
DATA ·vecGELU8+8(SB)/8, $0x3ecfc0693f0a9676
DATA ·vecGELU8+16(SB)/8, $0x3e3c373d3e9113a8
DATA ·vecGELU8+24(SB)/8, $0x3d7be9563de25759
DATA ·vecGELU8+32(SB)/8, $0xbe8397d9be5828c6
DATA ·vecGELU8+40(SB)/8, $0xbe864122be8ce8f8
DATA ·vecGELU8+48(SB)/8, $0xbe311854be658846
DATA ·vecGELU8+56(SB)/8, $0xbd9d80cabdf7b33e
DATA ·vecGELU8+64(SB)/8, $0xbd093eacbd66076a
DATA ·vecGELU8+72(SB)/8, $0x3cdeea0cbb173e12
DATA ·vecGELU8+80(SB)/8, $0x3d5af2fc3d3fd35d
DATA ·vecGELU8+88(SB)/8, $0x3d1d5ba03d48f355
DATA ·vecGELU8+96(SB)/8, $0x3c9beece3c2b165d
DATA ·vecGELU8+104(SB)/8, $0x3c8b9a193caf0839
DATA ·vecGELU8+112(SB)/8, $0x399ed5f03c0fc56a
DATA ·vecGELU8+120(SB)/8, $0xbc03a465bbb779a2
DATA ·vecGELU8+128(SB)/8, $0x3b4219443ba17663
DATA ·vecGELU8+136(SB)/8, $0xbb61432eba1baf1f
DATA ·vecGELU8+144(SB)/8, $0xbb752c39bb92abad
DATA ·vecGELU8+152(SB)/8, $0xb9e0f0e7bb0838f6
DATA ·vecGELU8+160(SB)/8, $0xbab0cac0388d8354
DATA ·vecGELU8+168(SB)/8, $0xba50281fbab6b55d
DATA ·vecGELU8+176(SB)/8, $0x3a0f9ee4b6f2bcb3
DATA ·vecGELU8+184(SB)/8, $0x3a145cea3a3b7692
GLOBL ·vecGELU8(SB), RODATA|NOPTR, $192

// Coefficients of the square root of Phi(-t), of ascending degree, about 0, 1/2,
// ... 15/2, of degree 6 below 4, then 7. GELU has an error below 5 ULP with all
// but the last, which is not used.
DATA ·vecGELU16+0(SB)/8, $0x3f0e32ba3f3504f3
DATA ·vecGELU16+8(SB)/8, $0x3e84564c3ecbf003
DATA ·vecGELU16+16(SB)/8, $0x3da162a53e1a7391
DATA ·vecGELU16+24(SB)/8, $0x3c79e44b3d167db0
DATA ·vecGELU16+32(SB)/8, $0x3af19a243bb868be
DATA ·vecGELU16+40(SB)/8, $0x39107f1c3a0c59fd
DATA ·vecGELU16+48(SB)/8, $0x36d4a4113803be39
DATA ·vecGELU16+56(SB)/8, $0x343fcda03597d6c2
DATA ·vecGELU16+64(SB)/8, $0xbea24258be906e8e
DATA ·vecGELU16+72(SB)/8, $0xbe80478abe9b8424
DATA ·vecGELU16+80(SB)/8, $0xbde3c659be3745f5
DATA ·vecGELU16+88(SB)/8, $0xbcea5c46bd7709d1
DATA ·vecGELU16+96(SB)/8, $0xbb8e125bbc42cf66
DATA ·vecGELU16+104(SB)/8, $0xb9ccdff1bab5fbc2
DATA ·vecGELU16+112(SB)/8, $0xb7b0af9eb8cad597
DATA ·vecGELU16+120(SB)/8, $0xb536e858b687783a
DATA ·vecGELU16+128(SB)/8, $0xbc3711bcbd66a705
DATA ·vecGELU16+136(SB)/8, $0x3d88250d3d13b334
DATA ·vecGELU16+144(SB)/8, $0x3d77f5f33d9511f7
DATA ·vecGELU16+152(SB)/8, $0x3cbe55f53d27cb6c
DATA ·vecGELU16+160(SB)/8, $0x3b9892d73c37d2be
DATA ·vecGELU16+168(SB)/8, $0x3a0876353adafe4b
DATA ·vecGELU16+176(SB)/8, $0x380c4de139141b8e
DATA ·vecGELU16+184(SB)/8, $0x35a8870b36e86a00
DATA ·vecGELU16+192(SB)/8, $0x3d0822d43ccde8c7
DATA ·vecGELU16+200(SB)/8, $0x3c4892083ce14286
DATA ·vecGELU16+208(SB)/8, $0xbc428e16bb4c2325
DATA ·vecGELU16+216(SB)/8, $0xbc24d368bc57c3b0
DATA ·vecGELU16+224(SB)/8, $0xbb41df0dbbc54aef
DATA ·vecGELU16+232(SB)/8, $0xb9e0d578baa00641
DATA ·vecGELU16+240(SB)/8, $0xb80d0949b9078a95
DATA ·vecGELU16+248(SB)/8, $0xb5c74a21b6fe5386
DATA ·vecGELU16+256(SB)/8, $0x3a1757623b799662
DATA ·vecGELU16+264(SB)/8, $0xbc09ac6ebbc4614b
DATA ·vecGELU16+272(SB)/8, $0xbb19f587bbce561e
DATA ·vecGELU16+280(SB)/8, $0x3b04d51c3a4c28f9
DATA ·vecGELU16+288(SB)/8, $0x3a9b37523af3452e
DATA ·vecGELU16+296(SB)/8, $0x397caccf3a1adb8d
DATA ·vecGELU16+304(SB)/8, $0x37c8159038ac9fe2
DATA ·vecGELU16+312(SB)/8, $0x35a950b936c66576
DATA ·vecGELU16+320(SB)/8, $0xbb4736c53c211871
DATA ·vecGELU16+328(SB)/8, $0x3815184cbb0198d7
DATA ·vecGELU16+336(SB)/8, $0x3acbb1733ab7897f
DATA ·vecGELU16+344(SB)/8, $0x3924de4f3a67606a
DATA ·vecGELU16+352(SB)/8, $0xb99101afb965cbb8
DATA ·vecGELU16+360(SB)/8, $0xb8c7bb00b9470a3b
DATA ·vecGELU16+368(SB)/8, $0xb752f6bdb81fecee
DATA ·vecGELU16+376(SB)/8, $0xb55b6c74b6696c46
DATA ·vecGELU16+384(SB)/8, $0x3a90558abc7856f4
DATA ·vecGELU16+392(SB)/8, $0x39ced8bc3a507165
DATA ·vecGELU16+400(SB)/8, $0xb986ed22b95d7455
DATA ·vecGELU16+408(SB)/8, $0xb95b948cb98fe562
DATA ·vecGELU16+416(SB)/8, $0x3777a0dcb8476ba3
DATA ·vecGELU16+424(SB)/8, $0x37d80ffd3807f2d8
DATA ·vecGELU16+432(SB)/8, $0x36aa1367375a34d0
DATA ·vecGELU16+440(SB)/8, $0x34e2e20235d7cf78
DATA ·vecGELU16+448(SB)/8, $0x0000000000000000
DATA ·vecGELU16+456(SB)/8, $0x0000000000000000
DATA ·vecGELU16+464(SB)/8, $0x0000000000000000
DATA ·vecGELU16+472(SB)/8, $0x0000000000000000
DATA ·vecGELU16+480(SB)/8, $0x376ace8bb6a3dcf7
DATA ·vecGELU16+488(SB)/8, $0xb681d52c36c3edd5
DATA ·vecGELU16+496(SB)/8, $0xb5cab5abb650ed39
DATA ·vecGELU16+504(SB)/8, $0xb430a5a4b518fcbc
GLOBL ·vecGELU16(SB), RODATA|NOPTR, $512

// Coefficients of the slope of GELU less 1/2, of ascending degree, about the
// multiples of the intervals that NEAREST describes.
DATA ·vecSlope8+0(SB)/8, $0x3f029717b0af4c43
DATA ·vecSlope8+8(SB)/8, $0x3f0d4a813f20183a
DATA ·vecSlope8+16(SB)/8, $0x3f0033673f02535c
DATA ·vecSlope8+24(SB)/8, $0x3f00000e3f00024c
DATA ·vecSlope8+32(SB)/8, $0x3ea3fb913f1e7482
DATA ·vecSlope8+40(SB)/8, $0xbd90583bbd1ae92a
DATA ·vecSlope8+48(SB)/8, $0xbb0f1496bc9ce572
DATA ·vecSlope8+56(SB)/8, $0xb661a3e6b8fc0fa4
DATA ·vecSlope8+64(SB)/8, $0xbe6fd775b7157e74
DATA ·vecSlope8+72(SB)/8, $0x3cd810ecbdb6559a
DATA ·vecSlope8+80(SB)/8, $0x3b36396d3c8b5595
DATA ·vecSlope8+88(SB)/8, $0x36d5319a394c6d6d
DATA ·vecSlope8+96(SB)/8, $0xbb64031ebdfe11c6
DATA ·vecSlope8+104(SB)/8, $0x3c1b92113d86963a
DATA ·vecSlope8+112(SB)/8, $0xbb099cd4bbf2003b
DATA ·vecSlope8+120(SB)/8, $0xb7087859b94e9d54
DATA ·vecSlope8+128(SB)/8, $0x3d262309ba20599f
DATA ·vecSlope8+136(SB)/8, $0xbc3b7341bbf5da98
DATA ·vecSlope8+144(SB)/8, $0x3a832c7a3a3e388f
DATA ·vecSlope8+152(SB)/8, $0x3716163c391042c0
DATA ·vecSlope8+160(SB)/8, $0xbb95a2643c98818b
DATA ·vecSlope8+168(SB)/8, $0x3b49c55bbbeb0703
DATA ·vecSlope8+176(SB)/8, $0xb98816c23a72ee4c
DATA ·vecSlope8+184(SB)/8, $0xb6b22114b895304e
DATA ·vecSlope8+192(SB)/8, $0xbb80089abb2f1c8b
DATA ·vecSlope8+200(SB)/8, $0x39b41c923b16f047
DATA ·vecSlope8+208(SB)/8, $0xb6c188bab9fa25c4
DATA ·vecSlope8+216(SB)/8, $0xb59e1ec237d362e1
GLOBL ·vecSlope8(SB), RODATA|NOPTR, $224

DATA ·vecSlope16+0(SB)/8, $0x3e9aff6500000000
DATA ·vecSlope16+8(SB)/8, $0x3f1e32353f051806
DATA ·vecSlope16+16(SB)/8, $0x3f15d1c13f1f6791
DATA ·vecSlope16+24(SB)/8, $0x3f05050a3f0ba91f
DATA ·vecSlope16+32(SB)/8, $0x3f0085f03f01c6f2
DATA ·vecSlope16+40(SB)/8, $0x3f0006d63f002102
DATA ·vecSlope16+48(SB)/8, $0x3f00002d3f000132
DATA ·vecSlope16+56(SB)/8, $0x3f0000003f000006
DATA ·vecSlope16+64(SB)/8, $0x3e8ac6a63ea36821
DATA ·vecSlope16+72(SB)/8, $0x3d322aa33e215fdb
DATA ·vecSlope16+80(SB)/8, $0xbd30eaeabccb8a65
DATA ·vecSlope16+88(SB)/8, $0xbc977961bd09f57c
DATA ·vecSlope16+96(SB)/8, $0xbb2fce2dbc00bea5
DATA ·vecSlope16+104(SB)/8, $0xb9359d2eba4476ac
DATA ·vecSlope16+112(SB)/8, $0xb6b42ceab80bd4ce
DATA ·vecSlope16+120(SB)/8, $0x00000000b542e8fc
DATA ·vecSlope16+128(SB)/8, $0xbd39581e35093ab7
DATA ·vecSlope16+136(SB)/8, $0xbd437980bd7f26aa
DATA ·vecSlope16+144(SB)/8, $0xb59647efbca77f96
DATA ·vecSlope16+152(SB)/8, $0x3bdf1d903bf7f8ec
DATA ·vecSlope16+160(SB)/8, $0x3acef8b13b799b79
DATA ·vecSlope16+168(SB)/8, $0x390d61d53a06b680
DATA ·vecSlope16+176(SB)/8, $0x36ac49e437f2db33
DATA ·vecSlope16+184(SB)/8, $0x00000000354b2fbd
DATA ·vecSlope16+192(SB)/8, $0xbc3affa3bc8b79f3
DATA ·vecSlope16+200(SB)/8, $0x3c07f42c39639c26
DATA ·vecSlope16+208(SB)/8, $0x3b96fa503c0ecb88
DATA ·vecSlope16+216(SB)/8, $0xba6a4a033a44d30b
DATA ·vecSlope16+224(SB)/8, $0xba0b035fba77da88
DATA ·vecSlope16+232(SB)/8, $0xb887bd44b95d8b2d
DATA ·vecSlope16+240(SB)/8, $0xb65169deb784635b
DATA ·vecSlope16+248(SB)/8, $0x00000000b507dc89
DATA ·vecSlope16+256(SB)/8, $0x3b25681e3782ff25
DATA ·vecSlope16+264(SB)/8, $0x3a8a1bfe3b366af2
DATA ·vecSlope16+272(SB)/8, $0xba956731ba2e564c
DATA ·vecSlope16+280(SB)/8, $0xb92c4c5aba36f766
DATA ·vecSlope16+288(SB)/8, $0x38d4652738a8632d
DATA ·vecSlope16+296(SB)/8, $0x37b2cc9d386b9240
DATA ·vecSlope16+304(SB)/8, $0x35b9a71e36cd3da6
DATA ·vecSlope16+312(SB)/8, $0x000000003487410f
DATA ·vecSlope16+320(SB)/8, $0x39a767ba3a1b0ab7
DATA ·vecSlope16+328(SB)/8, $0xb9d8f829b9546c5b
DATA ·vecSlope16+336(SB)/8, $0x37d74600b9724cd7
DATA ·vecSlope16+344(SB)/8, $0x38a9528a38fd4d9e
DATA ·vecSlope16+352(SB)/8, $0xb6df0d2337ad9498
DATA ·vecSlope16+360(SB)/8, $0xb69fd081b717efd0
DATA ·vecSlope16+368(SB)/8, $0xb4ec55c6b5e0c2b7
DATA ·vecSlope16+376(SB)/8, $0x00000000b3c261ac
GLOBL ·vecSlope16(SB), RODATA|NOPTR, $384
