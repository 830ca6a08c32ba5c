//go:build amd64 && !purego

#include "textflag.h"

TEXT ·storeFence(SB), NOSPLIT, $0-0
	SFENCE
	RET
