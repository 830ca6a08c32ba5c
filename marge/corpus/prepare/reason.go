package prepare

import "slices"

// A Reason tells why a document is dropped. The empty one keeps it.
type Reason string

// The reasons, in the order of the steps.
const (
	NoText          Reason = "no text"
	NoID            Reason = "no id"
	UnsureLanguage  Reason = "language not sure"
	OtherLanguage   Reason = "other language"
	TooShort        Reason = "too short"
	TooLong         Reason = "too long"
	FewLetters      Reason = "few letters"
	WordLength      Reason = "length of words"
	Symbols         Reason = "symbols"
	Lists           Reason = "lists or cut lines"
	RepeatedLines   Reason = "repeated lines"
	RepeatedPhrases Reason = "repeated phrases"
	Boilerplate     Reason = "boilerplate"
	SameID          Reason = "same id"
	ExactDuplicate  Reason = "exact duplicate"
	NearDuplicate   Reason = "near duplicate"
)

var reasons = []Reason{
	NoText, NoID, UnsureLanguage, OtherLanguage, TooShort, TooLong, FewLetters, WordLength, Symbols, Lists,
	RepeatedLines, RepeatedPhrases, Boilerplate, SameID, ExactDuplicate, NearDuplicate,
}

// Reasons returns all of them, in the order of the steps.
func Reasons() []Reason { return slices.Clone(reasons) }
