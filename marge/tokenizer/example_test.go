package tokenizer_test

import (
	"fmt"
	"log"
	"slices"

	"github.com/marge-go/marge/marge/tokenizer"
)

func Example() {
	texts := []string{"low lower lowest", "new newer newest", "low new lowest newest"}
	t, err := tokenizer.Train(slices.Values(texts), tokenizer.TrainOptions{
		VocabSize: 270,
		Languages: []string{"de", "pt-BR"},
	})
	if err != nil {
		log.Fatal(err)
	}
	ids := t.Encode("lowest newest")
	for _, id := range ids {
		fmt.Printf("%q ", t.Token(id))
	}
	fmt.Printf("are the tokens of %q\n", t.Decode(ids))
	de, err := t.LanguageToken("de")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(de, t.Token(de))
	// Output:
	// "lo" "west" "Ġne" "west" are the tokens of "lowest newest"
	// 4 de_XX
}
