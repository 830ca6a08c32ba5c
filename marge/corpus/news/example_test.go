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
	// The data come from Bucharest: the company Heliora collected them. A new telescope went into operation in Rome in the city park at 9:50 am. The state supported the project with 30 million dollars. The work took 40 days. Project leader Janssen (39) said: “We checked everything twice”.
	// news/0/de 2001-01-02
	// In Rom benutzten um 9.50 Uhr Astronomen zum ersten Mal ein neues Teleskop. Die Firma Heliora aus Bukarest baute die Instrumente. Die Forscher hatten sich 40 Tage vorbereitet. Projektleiter Janssen (39) erklärte: „Wir haben alles zweimal geprüft“. 300 Freiwillige nahmen teil, und der Staat förderte das Projekt mit 30 Millionen Dollar.
}
