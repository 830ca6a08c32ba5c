//go:build amd64 && !purego

package asm

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// Vector instructions of AVX-512 F, CD, BW, DQ and VL that the kernels may use
// beyond those of AVX2 and FMA. Whatever else needs an EVEX prefix (VNNI, BF16,
// FP16, IFMA, VBMI, ...) is not on every machine that passes the check of
// Supported.
const avx512Only = `
	VPXORD VPXORQ VPANDD VPANDQ VPANDND VPANDNQ VPORD VPORQ VPTERNLOGD VPTERNLOGQ
	VMOVDQA32 VMOVDQA64 VMOVDQU32 VMOVDQU64 VMOVDQU8 VMOVDQU16
	VBLENDMPS VBLENDMPD VPBLENDMD VPBLENDMQ VCOMPRESSPS VEXPANDPS
	VPCMPD VPCMPUD VPCMPQ VPCMPUQ VPTESTMD VPMOVD2M VPMOVM2D
	VSCALEFPS VSCALEFPD VSCALEFSS VRNDSCALEPS VRNDSCALEPD VGETEXPPS VGETMANTPS VFIXUPIMMPS VRANGEPS VREDUCEPS
	VRCP14PS VRSQRT14PS VPMOVDW VPMOVDB VPMOVQD VPMAXSQ VPMINSQ VPMULLQ
	VEXTRACTF32X4 VEXTRACTF32X8 VEXTRACTF64X2 VEXTRACTF64X4 VEXTRACTI32X4 VEXTRACTI32X8 VEXTRACTI64X4
	VINSERTF32X4 VINSERTF32X8 VINSERTF64X4 VINSERTI32X4 VINSERTI64X4 VSHUFF32X4 VSHUFF64X2 VSHUFI32X4 VSHUFI64X2
	VBROADCASTF32X4 VBROADCASTF32X8 VBROADCASTF64X4 VPERMW VPERMT2PS VPERMI2PS VPERMT2PD VPERMT2D VPERMI2D VALIGND VALIGNQ
	KMOVW KMOVD KMOVQ KMOVB KORW KXORW KANDW KNOTW KXNORW KORTESTW KSHIFTRW KSHIFTLW KUNPCKBW`

// Instructions of AVX, AVX2, FMA and F16C. Vector instructions are listed,
// because a mnemonic alone does not tell the extension it came with.
const avx2AndBelow = `
	VZEROUPPER VMOVNTPS VMOVUPS VMOVAPS VMOVUPD VMOVAPD VMOVDQU VMOVDQA VMOVSS VMOVSD VMOVD VMOVQ VMOVHLPS VMOVLHPS
	VMOVSHDUP VMOVSLDUP VMOVDDUP VMASKMOVPS VMASKMOVPD VMOVMSKPS VMOVMSKPD VPMOVMSKB VBROADCASTSS VBROADCASTSD
	VBROADCASTF128 VPBROADCASTB VPBROADCASTW VPBROADCASTD VPBROADCASTQ
	VADDPS VADDPD VADDSS VADDSD VSUBPS VSUBPD VSUBSS VSUBSD
	VMULPS VMULPD VMULSS VMULSD VDIVPS VDIVPD VDIVSS VDIVSD VSQRTPS VSQRTPD VSQRTSS VSQRTSD VRCPPS VRSQRTPS
	VMAXPS VMAXPD VMAXSS VMAXSD VMINPS VMINPD VMINSS VMINSD VROUNDPS VROUNDPD VHADDPS VHADDPD
	VANDPS VANDPD VANDNPS VANDNPD VORPS VORPD VXORPS VXORPD VCMPPS VCMPPD VCMPSS VUCOMISS VUCOMISD
	VBLENDPS VBLENDPD VBLENDVPS VBLENDVPD VSHUFPS VSHUFPD VUNPCKLPS VUNPCKHPS VUNPCKLPD VUNPCKHPD
	VPERMILPS VPERMILPD VPERMPS VPERMPD VPERMD VPERMQ VPERM2F128 VPERM2I128
	VEXTRACTF128 VEXTRACTI128 VINSERTF128 VINSERTI128
	VCVTPS2PD VCVTPD2PS VCVTPD2PSY VCVTPS2DQ VCVTTPS2DQ VCVTDQ2PS VCVTSS2SD VCVTSD2SS VCVTPH2PS VCVTPS2PH VTESTPS VPTEST
	VPADDD VPADDQ VPSUBD VPSUBQ VPMULLD VPMULUDQ VPMADDWD VPMAXUD VPMINUD VPMAXSD VPMINSD
	VPCMPEQD VPCMPEQQ VPCMPGTD VPAND VPANDN VPOR VPXOR VPBLENDD VPBLENDVB VPSHUFD VPSHUFB VPALIGNR
	VPSRLD VPSLLD VPSRAD VPSRLQ VPSLLQ VPSRLVD VPSLLVD VPSRAVD VPSRLDQ VPSLLDQ VPACKUSDW VPACKSSDW VPACKSSWB
	VPMOVZXWD VPMOVZXBD VPMOVSXWD VPMOVSXBD VPMOVZXBW VPMOVSXBW VPHADDD
	VPUNPCKLWD VPUNPCKHWD VPUNPCKLDQ VPUNPCKHDQ VPUNPCKLQDQ VPUNPCKHQDQ
	VGATHERDPS VPGATHERDD VEXTRACTPS VPEXTRD VPEXTRQ VINSERTPS VPINSRD VPINSRQ`

// wordSet returns the words of the lists, and the FMA family.
func wordSet(lists ...string) map[string]bool {
	set := map[string]bool{}
	for _, f := range []string{"VFMADD", "VFMSUB", "VFNMADD", "VFNMSUB"} {
		for _, order := range []string{"132", "213", "231"} {
			for _, kind := range []string{"PS", "PD", "SS", "SD"} {
				set[f+order+kind] = true
			}
		}
	}
	for _, w := range strings.Fields(strings.Join(lists, " ")) {
		set[w] = true
	}
	return set
}

var (
	avx2Set   = wordSet(avx2AndBelow)
	avx512Set = wordSet(avx2AndBelow, avx512Only)
	vnniSet   = wordSet(avx2AndBelow, avx512Only, "VPDPBUSD")

	// One line of the assembler's listing: offset, then instruction.
	listingLine = regexp.MustCompile(`^\t0x[0-9a-f]+ (\d+) \([^)]*\)\t(\S+)\t?(.*)$`)

	vectorRegister = regexp.MustCompile(`\b[XYZ][0-9]+\b`)
	evexRegister   = regexp.MustCompile(`\bZ[0-9]+\b|\bK[0-7]\b|\b[XY](1[6-9]|2[0-9]|3[01])\b`)
)

// instruction is an instruction as the assembler understood it, with macros
// expanded.
type instruction struct{ op, args string }

// assemble returns the instructions of every function in a file, as the Go
// assembler lists them. The assembler removes its output when it fails, so the
// output lies in the test's temporary folder.
func assemble(t *testing.T, file string) (map[string][]instruction, error) {
	goroot, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		return nil, fmt.Errorf("go env GOROOT: %w", err)
	}
	include := filepath.Join(strings.TrimSpace(string(goroot)), "pkg", "include")
	cmd := exec.Command("go", "tool", "asm", "-p", "asm", "-I", include, "-I", filepath.Dir(file),
		"-D", "GOOS_linux", "-D", "GOARCH_amd64", "-S", "-o", filepath.Join(t.TempDir(), "out.o"), file)
	listing, err := cmd.CombinedOutput()
	if err != nil {
		return nil, fmt.Errorf("assemble %s: %w\n%s", file, err, listing)
	}
	functions := map[string][]instruction{}
	name := ""
	for line := range strings.Lines(string(listing)) {
		if m := listingLine.FindStringSubmatch(strings.TrimRight(line, "\n")); m != nil {
			switch op, args := m[2], m[3]; op {
			case "TEXT":
				name = strings.TrimPrefix(args[:strings.Index(args, "(SB)")], "asm.")
				functions[name] = nil
			case "FUNCDATA", "PCDATA":
			default:
				functions[name] = append(functions[name], instruction{op, args})
			}
		}
	}
	return functions, nil
}

// unsuffixed are the functions whose instruction set their name does not tell.
var unsuffixed = map[string]ISA{
	"gemmPackCols8": AVX2, "gemmCopyRows8": AVX2, "gemmCopyRows16": AVX2, "gemmCopyRows32": AVX2,
}

// bf16Instruction tells whether six bytes are an instruction of AVX512_BF16 on
// registers: VDPBF16PS, VCVTNE2PS2BF16 or VCVTNEPS2BF16 of 512 bits.
func bf16Instruction(long, word uint64) bool {
	prefix := [4]byte{byte(long), byte(long >> 8), byte(long >> 16), byte(long >> 24)}
	opcode, register := byte(word), word>>14 == 3
	evex := prefix[0] == 0x62 && prefix[1]&0x0f == 2 && prefix[2]&0x84 == 4 && prefix[3]&0xf7 == 0x40
	switch pp := prefix[2] & 3; {
	case !evex || !register:
		return false
	case opcode == 0x52:
		return pp == 2
	case opcode == 0x72:
		return pp == 2 || pp == 3
	}
	return false
}

// written returns the number that a LONG or a WORD writes down.
func written(in instruction) (value uint64, ok bool) {
	value, err := strconv.ParseUint(strings.TrimPrefix(in.args, "$"), 0, 32)
	return value, err == nil
}

// checkISA returns what in a function its name does not allow: a name that ends
// in AVX2 or AVX512 (in either case) promises that instruction set, one that ends in
// AVX512BF16 that the bytes of AVX512_BF16 too, in AVX512VNNI its product, another
// promises to use no vector registers.
func checkISA(name string, code []instruction) (faults []string) {
	fault := func(in instruction, why string) {
		faults = append(faults, fmt.Sprintf("%s: %s %s: %s", name, in.op, in.args, why))
	}
	var allowed map[string]bool
	lower := strings.ToLower(name)
	bytes := map[string]bool{"BYTE": true, "WORD": true, "LONG": true, "QUAD": true}
	bf16 := strings.HasSuffix(lower, "avx512bf16")
	vnni := strings.HasSuffix(lower, "avx512vnni")
	avx512 := strings.HasSuffix(lower, "avx512") || unsuffixed[name] == AVX512 || bf16 || vnni
	switch {
	case vnni:
		allowed = vnniSet
	case avx512:
		allowed = avx512Set
	case strings.HasSuffix(lower, "avx2") || unsuffixed[name] == AVX2:
		allowed = avx2Set
	}
	usesVectors := false
	for i, in := range code {
		if bytes[in.op] {
			at := i
			if in.op == "WORD" {
				at--
			}
			ok := bf16 && at >= 0 && at+1 < len(code) && code[at].op == "LONG" && code[at+1].op == "WORD"
			if ok {
				long, ok1 := written(code[at])
				word, ok2 := written(code[at+1])
				ok = ok1 && ok2 && bf16Instruction(long, word)
			}
			if !ok {
				fault(in, "bytes that are no instruction of AVX512_BF16 in a function of that name")
			}
			usesVectors = true
			continue
		}
		op, suffix, _ := strings.Cut(in.op, ".")
		vector := vectorRegister.MatchString(in.args) || evexRegister.MatchString(in.args) ||
			op[0] == 'V' && op != "VERR" && op != "VERW"
		switch {
		case vector && allowed == nil:
			fault(in, "the name does not end in an instruction set")
		case vector && !allowed[op]:
			fault(in, "not in the instruction set")
		case !avx512 && (evexRegister.MatchString(in.args) || suffix != ""):
			fault(in, "needs AVX-512")
		}
		usesVectors = usesVectors || vector
		if op == "RET" && usesVectors && (i == 0 || code[i-1].op != "VZEROUPPER") {
			fault(in, "VZEROUPPER is missing before it")
		}
	}
	return faults
}

// needGo skips the test where only the test binary is, without the Go command
// and the sources that the check reads.
func needGo(t *testing.T) {
	if _, err := exec.LookPath("go"); err != nil {
		t.Skip("no go command: the instruction sets are checked where the tests are built")
	}
}

// Every function uses only the instruction set that its name promises, on which
// the dispatch relies.
func TestInstructionSets(t *testing.T) {
	needGo(t)
	files, err := filepath.Glob("*_amd64.s")
	if err != nil || len(files) == 0 {
		t.Fatalf("no assembly files: %v", err)
	}
	checked := 0
	for _, file := range files {
		functions, err := assemble(t, file)
		if err != nil {
			t.Fatal(err)
		}
		for name, code := range functions {
			if len(code) == 0 {
				t.Errorf("%s: no instructions in the listing of %s", file, name)
			}
			for _, f := range checkISA(name, code) {
				t.Errorf("%s: %s", file, f)
			}
			checked++
		}
	}
	if want := 50; checked < want { // 25 vector kernels, twice
		t.Errorf("%d functions checked, want at least %d", checked, want)
	}
}

// A file that does not assemble is an error, and what the assembler removes then
// lies in the test's temporary folder.
func TestAssembleReportsErrors(t *testing.T) {
	needGo(t)
	file := filepath.Join(t.TempDir(), "broken_amd64.s")
	if err := os.WriteFile(file, []byte("TEXT ·f(SB), 4, $0-0\n\tNOSUCHINSTRUCTION\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	if _, err := assemble(t, file); err == nil || !strings.Contains(err.Error(), "NOSUCHINSTRUCTION") {
		t.Errorf("error %v, want one that names the instruction", err)
	}
}

func TestInstructionSetCheckFails(t *testing.T) {
	needGo(t)
	for _, c := range []struct{ name, code, fault string }{
		{"fAVX2", "VADDPS Z0, Z1, Z2; VZEROUPPER; RET", "needs AVX-512"},
		{"fAVX2", "VADDPS Y16, Y1, Y2; VZEROUPPER; RET", "needs AVX-512"},
		{"fAVX2", "VMOVUPS Y0, K1, (DI); VZEROUPPER; RET", "needs AVX-512"},
		{"fAVX2", "VPXORD Y0, Y0, Y0; VZEROUPPER; RET", "not in the instruction set"},
		{"fAVX2", "KMOVW AX, K1; RET", "not in the instruction set"},
		{"fAVX2", "VADDPS.BCST (SI), Y1, Y2; VZEROUPPER; RET", "needs AVX-512"},
		{"fAVX512", "VPDPBUSD Z0, Z1, Z2; VZEROUPPER; RET", "not in the instruction set"},
		{"fAVX512", "VPMADD52LUQ Z0, Z1, Z2; VZEROUPPER; RET", "not in the instruction set"},
		{"fAVX512", "VPERMB Z0, Z1, Z2; VZEROUPPER; RET", "not in the instruction set"},
		{"fAVX512", "VPOPCNTD Z0, Z1; VZEROUPPER; RET", "not in the instruction set"},
		{"fAVX512", "VADDPS Z0, Z1, Z2; RET", "VZEROUPPER is missing"},
		{"f", "VADDPS X0, X1, X2; VZEROUPPER; RET", "does not end in an instruction set"},
		{"fAVX2", "VADDPS Y0, Y1, Y2; VMASKMOVPS Y2, Y3, (DI); VZEROUPPER; RET", ""},
		{"fAVX512", "VXORPS Z0, Z0, Z0; VADDPS.BCST (SI), Z1, Z2; VMOVUPS.Z (SI), K1, Z0; VZEROUPPER; RET", ""},
		{"f", "ADDQ AX, BX; RET", ""},
		{"fAVX512VNNI", "VPDPBUSD Z0, Z1, Z2; VZEROUPPER; RET", ""},
		{"fAVX512VNNI", "VPDPBUSDS Z0, Z1, Z2; VZEROUPPER; RET", "not in the instruction set"},
		{"fAVX512BF16", "VPDPBUSD Z0, Z1, Z2; VZEROUPPER; RET", "not in the instruction set"},
		{"fAVX512BF16", "LONG $0x400e9262; WORD $0xc452; VZEROUPPER; RET", ""},
		{"fAVX512BF16", "LONG $0x400e9262; WORD $0xc452; RET", "VZEROUPPER is missing"},
		{"fAVX512BF16", "LONG $0x400e9262; WORD $0xc453; VZEROUPPER; RET", "no instruction of AVX512_BF16"},
		{"fAVX512BF16", "LONG $0x400c9262; WORD $0xc452; VZEROUPPER; RET", "no instruction of AVX512_BF16"},
		{"fAVX512BF16", "LONG $0x400e9262; WORD $0x0452; VZEROUPPER; RET", "no instruction of AVX512_BF16"},
		{"fAVX512BF16", "WORD $0xc452; VZEROUPPER; RET", "no instruction of AVX512_BF16"},
		{"fAVX512BF16", "BYTE $0x62; VZEROUPPER; RET", "no instruction of AVX512_BF16"},
		{"fAVX512", "LONG $0x400e9262; WORD $0xc452; VZEROUPPER; RET", "in a function of that name"},
	} {
		source := "#define NOSPLIT 4\n#define BODY " + c.code + "\nTEXT ·" + c.name + "(SB), NOSPLIT, $0-0\n\tBODY\n"
		file := filepath.Join(t.TempDir(), "snippet_amd64.s")
		if err := os.WriteFile(file, []byte(source), 0o666); err != nil {
			t.Fatal(err)
		}
		functions, err := assemble(t, file)
		if err != nil {
			t.Fatal(err)
		}
		faults := strings.Join(checkISA(c.name, functions[c.name]), "\n")
		if c.fault == "" && faults != "" || !strings.Contains(faults, c.fault) {
			t.Errorf("%s: %s: faults %q, want %q", c.name, c.code, faults, c.fault)
		}
	}
}

// A processor with AVX512_VNNI multiplies int8 by it, and without it as with AVX2.
func TestInt8Kernels(t *testing.T) {
	before := isa
	defer func() { isa = before }()
	if slices.Contains(processorFlags, "avx512_vnni") && !hasVNNI {
		t.Error("the processor has AVX512_VNNI, and it is not found")
	}
	for _, isa = range Supported() {
		want := 1
		switch {
		case isa == AVX512 && hasVNNI:
			want = 8
		case isa >= AVX2:
			want = 2
		}
		if got := int8Kernels()[0].rows; got != want {
			t.Errorf("%v: tiles of %d rows, want %d", isa, got, want)
		}
	}
	if !hasVNNI {
		t.Skip("no AVX512_VNNI: its kernels are not tested here")
	}
}
