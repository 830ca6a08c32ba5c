package marge

// Pair is a text and the text that is to be made of it: a sentence and its
// translation, a document and its summary. Languages are BCP 47 tags.
type Pair struct {
	Source, Target         string
	SourceLang, TargetLang string
	Where                  string // place of the record, such as file and line, for errors; may be empty
}

// Labeled is a text, or two that are to be compared, with its class.
type Labeled struct {
	Text  string
	Other string // the second of two texts, or ""
	Lang  string // BCP 47
	Label string
	Where string // as that of Pair
}

// Question is a question about a context that holds its answer.
type Question struct {
	ID       string
	Lang     string // BCP 47
	Question string
	Context  string
	Answers  []Answer // those that count as right; at least one in training
	Where    string   // as that of Pair
}

// Answer is a part of a context.
type Answer struct {
	Text  string
	Start int // in characters (Unicode code points) from the beginning of the context
}
