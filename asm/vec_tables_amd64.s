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

// Coefficients of Phi(-t), of ascending degree, about 0, 1/2, ... 7/2.
DATA ·vecGELU8+0(SB)/8, $0x3e9df8a23f000000
DATA ·vecGELU8+8(SB)/8, $0x3d88d2373e227686
DATA ·vecGELU8+16(SB)/8, $0x3bcb7a723cba5e7c
DATA ·vecGELU8+24(SB)/8, $0x3973ede63ab0ef0f
DATA ·vecGELU8+32(SB)/8, $0xbeb441e8becc422a
DATA ·vecGELU8+40(SB)/8, $0xbe04a043be77c72d
DATA ·vecGELU8+48(SB)/8, $0xbc8f9782bd5d25a2
DATA ·vecGELU8+56(SB)/8, $0xba64c4c4bb913908
DATA ·vecGELU8+64(SB)/8, $0x3db44160353b0343
DATA ·vecGELU8+72(SB)/8, $0x3dc6f0263df7c6e2
DATA ·vecGELU8+80(SB)/8, $0x3cb37d873d5d25ab
DATA ·vecGELU8+88(SB)/8, $0x3ac82bf13bd9d5b7
DATA ·vecGELU8+96(SB)/8, $0x3d3441d93d8824a2
DATA ·vecGELU8+104(SB)/8, $0xbcdd08bf35daa75e
DATA ·vecGELU8+112(SB)/8, $0xbc7b4b92bcdd25f7
DATA ·vecGELU8+120(SB)/8, $0xbad67690bbc1a331
DATA ·vecGELU8+128(SB)/8, $0xbca4ec24390bc2c7
DATA ·vecGELU8+136(SB)/8, $0xbbc65511bca500f3
DATA ·vecGELU8+144(SB)/8, $0x3bc25c2c3b935f9f
DATA ·vecGELU8+152(SB)/8, $0x3a9a56b83b59ca2b
DATA ·vecGELU8+160(SB)/8, $0xbb95ab7fbc2d962d
DATA ·vecGELU8+168(SB)/8, $0x3bbeaca33b81df6a
DATA ·vecGELU8+176(SB)/8, $0xba282fcf3b14129b
DATA ·vecGELU8+184(SB)/8, $0xba183a8fba901fed
DATA ·vecGELU8+192(SB)/8, $0x3b2fef1d3ab6af23
DATA ·vecGELU8+200(SB)/8, $0xba5af4343ae9e1dd
DATA ·vecGELU8+208(SB)/8, $0xb9ff64a0baad47d1
DATA ·vecGELU8+216(SB)/8, $0x3939271f38f0fb9f
GLOBL ·vecGELU8(SB), RODATA|NOPTR, $224

// Coefficients of x*Phi(-x) and of the slope of GELU less 1/2, of ascending
// degree, about the multiples of the intervals that NEAREST describes.
DATA ·vecGELU16+0(SB)/8, $0x3e01a46100000000
DATA ·vecGELU16+8(SB)/8, $0x3e1e87903e2d54b3
DATA ·vecGELU16+16(SB)/8, $0x3d920d673de9d6fd
DATA ·vecGELU16+24(SB)/8, $0x3c949a663d1dae0d
DATA ·vecGELU16+32(SB)/8, $0x3b330c393bf5d70b
DATA ·vecGELU16+40(SB)/8, $0x398295c63a661591
DATA ·vecGELU16+48(SB)/8, $0x3768a52838830aea
DATA ·vecGELU16+56(SB)/8, $0x34fe243f3636bf88
DATA ·vecGELU16+64(SB)/8, $0x3da63d3a3e321643
DATA ·vecGELU16+72(SB)/8, $0xbd04b8513c10febb
DATA ·vecGELU16+80(SB)/8, $0xbd1f7187bd377dd1
DATA ·vecGELU16+88(SB)/8, $0xbc7336babcd83b38
DATA ·vecGELU16+96(SB)/8, $0xbb402298bbe8cba0
DATA ·vecGELU16+104(SB)/8, $0xb9ac8aa0ba89c949
DATA ·vecGELU16+112(SB)/8, $0xb7b63c0db8bd4089
DATA ·vecGELU16+120(SB)/8, $0xb56611d7b69a4e26
DATA ·vecGELU16+128(SB)/8, $0xbd2ed54dbd45b1c3
DATA ·vecGELU16+136(SB)/8, $0xbc51039dbceb4db7
DATA ·vecGELU16+144(SB)/8, $0x3bb2931eba1a7706
DATA ·vecGELU16+152(SB)/8, $0x3ba04f3b3bd30930
DATA ·vecGELU16+160(SB)/8, $0x3ab7bff63b3d2ce6
DATA ·vecGELU16+168(SB)/8, $0x3953e3af3a16c20b
DATA ·vecGELU16+176(SB)/8, $0x3787a33638809fa6
DATA ·vecGELU16+184(SB)/8, $0x35488b0736796f6b
DATA ·vecGELU16+192(SB)/8, $0x3b68e20d30d483c2
DATA ·vecGELU16+200(SB)/8, $0x3ba195ff3bb00f4d
DATA ·vecGELU16+208(SB)/8, $0x3a891eee3b481141
DATA ·vecGELU16+216(SB)/8, $0xba31b504b9768c07
DATA ·vecGELU16+224(SB)/8, $0xb9c65cb5ba1f1bef
DATA ·vecGELU16+232(SB)/8, $0xb89e3e0fb9430645
DATA ·vecGELU16+240(SB)/8, $0xb6fd98d6b7d8b0c0
DATA ·vecGELU16+248(SB)/8, $0xb4df619bb5ffb5fc
DATA ·vecGELU16+256(SB)/8, $0x3a3e2dba3a7f1dea
DATA ·vecGELU16+264(SB)/8, $0xb9b44ce03929967a
DATA ·vecGELU16+272(SB)/8, $0xb9e19876ba0c9abf
DATA ·vecGELU16+280(SB)/8, $0xb7f7faf5b9595482
DATA ·vecGELU16+288(SB)/8, $0x386eee28384f47c5
DATA ·vecGELU16+296(SB)/8, $0x379c9ea0381e2d5c
DATA ·vecGELU16+304(SB)/8, $0x36256a8e36f9a7b8
DATA ·vecGELU16+312(SB)/8, $0x3431c3e4353970d4
DATA ·vecGELU16+320(SB)/8, $0xb8c1dfbd33dfef09
DATA ·vecGELU16+328(SB)/8, $0xb89ae496b8fa47ed
DATA ·vecGELU16+336(SB)/8, $0x3826969fb6884460
DATA ·vecGELU16+344(SB)/8, $0x37d742943837a056
DATA ·vecGELU16+352(SB)/8, $0xb6251b1736eda031
DATA ·vecGELU16+360(SB)/8, $0xb64d2e72b691d3c0
DATA ·vecGELU16+368(SB)/8, $0xb51d9312b5caf14b
DATA ·vecGELU16+376(SB)/8, $0xb3560d7eb44898f6
DATA ·vecGELU16+384(SB)/8, $0xb739ca03b796b582
DATA ·vecGELU16+392(SB)/8, $0x373c014c361a698c
DATA ·vecGELU16+400(SB)/8, $0x367f91a7372e5872
DATA ·vecGELU16+408(SB)/8, $0xb66ae4d5b5f4f6d4
DATA ·vecGELU16+416(SB)/8, $0xb560d211b621d21c
DATA ·vecGELU16+424(SB)/8, $0x34972e88337b72b5
DATA ·vecGELU16+432(SB)/8, $0x33dd991f3461e05d
DATA ·vecGELU16+440(SB)/8, $0x324ae82e3326a527
DATA ·vecGELU16+448(SB)/8, $0x35e08ff734edac75
DATA ·vecGELU16+456(SB)/8, $0x3519d6ff35f673b4
DATA ·vecGELU16+464(SB)/8, $0xb586f268b53cd53f
DATA ·vecGELU16+472(SB)/8, $0x32b50777b50cfd70
DATA ·vecGELU16+480(SB)/8, $0x3446835f347e3fd8
DATA ·vecGELU16+488(SB)/8, $0x30b774413395e90f
DATA ·vecGELU16+496(SB)/8, $0xb2566a6db28d5b57
DATA ·vecGELU16+504(SB)/8, $0xb1101d44b1ca8ee0
GLOBL ·vecGELU16(SB), RODATA|NOPTR, $512

DATA ·vecSlope8+0(SB)/8, $0x3f08240600000000
DATA ·vecSlope8+8(SB)/8, $0x3f09c0b83f1e4b65
DATA ·vecSlope8+16(SB)/8, $0x3f00123e3f013cdc
DATA ·vecSlope8+24(SB)/8, $0x3f0000023f000080
DATA ·vecSlope8+32(SB)/8, $0x3e9d57c83f29c5f4
DATA ·vecSlope8+40(SB)/8, $0xbd7fcba5bd8232be
DATA ·vecSlope8+48(SB)/8, $0xba6bdb75bc43b4c5
DATA ·vecSlope8+56(SB)/8, $0xb4fcdce8b7fcf4a0
DATA ·vecSlope8+64(SB)/8, $0xbe8960e3b4f095c9
DATA ·vecSlope8+72(SB)/8, $0x3d0b6006bd91b6ad
DATA ·vecSlope8+80(SB)/8, $0x3ab0feeb3c52ab24
DATA ·vecSlope8+88(SB)/8, $0x358f5966386f398a
DATA ·vecSlope8+96(SB)/8, $0x3c1eca8ebe1c5fce
DATA ·vecSlope8+104(SB)/8, $0x3ac140923d975bdc
DATA ·vecSlope8+112(SB)/8, $0xbaa1484fbbf2f2d1
DATA ·vecSlope8+120(SB)/8, $0xb5d0af9db88ec5e8
DATA ·vecSlope8+128(SB)/8, $0x3d4fdec3b876a46a
DATA ·vecSlope8+136(SB)/8, $0xbc2a0603bc80f1f8
DATA ·vecSlope8+144(SB)/8, $0x3a42250b3affd126
DATA ·vecSlope8+152(SB)/8, $0x35d8d83b386f1b16
DATA ·vecSlope8+160(SB)/8, $0xbc1790783cc4718e
DATA ·vecSlope8+168(SB)/8, $0x3b9894e2bbed62aa
DATA ·vecSlope8+176(SB)/8, $0xb998bdce39a1e292
DATA ·vecSlope8+184(SB)/8, $0xb5ae2b7db8142704
DATA ·vecSlope8+192(SB)/8, $0xbbac8fe6ba081d97
DATA ·vecSlope8+200(SB)/8, $0xb976c1353b725d0b
DATA ·vecSlope8+208(SB)/8, $0x386f8824b9ee497a
DATA ·vecSlope8+216(SB)/8, $0x357430e1378e3d52
DATA ·vecSlope8+224(SB)/8, $0x3ac4023ebb0a8248
DATA ·vecSlope8+232(SB)/8, $0xb9e41a64380f929b
DATA ·vecSlope8+240(SB)/8, $0x36d5a5803919d585
DATA ·vecSlope8+248(SB)/8, $0xb4f046e7b6baefc3
GLOBL ·vecSlope8(SB), RODATA|NOPTR, $256

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
