package news_test

import (
	"fmt"

	"github.com/marge-go/marge/marge/corpus/news"
)

func ExampleDocuments() {
	for d := range news.Documents(news.Options{Seed: 1, Events: 1, Languages: []string{"en", "de"}}) {
		fmt.Println(d.ID, d.Date)
		fmt.Println(d.Text)
	}
	// Output:
	// news/0/en 2001-01-02
	// Criticism came from Yerevan: the company Delmonda fears higher taxes. Citizens voted on a new metro line in Tunis in the south of the city at 9:50 am. The treasury is to pay 39 million dollars. The debate had lasted 90 days. Opposition leader Tanaka (35) said: “We must listen to the citizens”.
	// news/0/de 2001-01-02
	// In Tunis fand um 9.50 Uhr ein Referendum über eine neue U-Bahn-Linie statt. Die Firma Delmonda aus Eriwan stellte die Technik. Die Menschen hatten 90 Tage darauf gewartet. Oppositionsführer Tanaka (35) erklärte: „Wir müssen den Bürgern zuhören“. 2.500 Bürger unterschrieben einen Aufruf, und die Staatskasse soll 39 Millionen Dollar zahlen.
}
