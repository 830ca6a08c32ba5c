package tokenizer

// EncodeOffsets is Encode with the place of each token: token i is made of the
// bytes offsets[i] to offsets[i+1] of the text. The places are those in the text
// as it was given, which is encoded without any normalisation; a token may begin
// or end inside a character. There is one offset more than there are tokens.
func (t *BPE) EncodeOffsets(text string) (ids []int32, offsets []int) {
	ids = t.Encode(text)
	offsets = make([]int, 1, len(ids)+1)
	for i, id := range ids {
		offsets = append(offsets, offsets[i]+len(t.text[id]))
	}
	return ids, offsets
}
