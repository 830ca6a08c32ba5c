package news

import "strconv"

var german = language{
	code: "de", script: latin,
	weekdays: [7]string{"am Sonntag", "am Montag", "am Dienstag", "am Mittwoch", "am Donnerstag", "am Freitag", "am Samstag"},
	months: [12]string{"Januar", "Februar", "März", "April", "Mai", "Juni", "Juli", "August", "September", "Oktober",
		"November", "Dezember"},
	date: "am {d}. {month} {y}",
	clock: func(hour, minute int) string {
		s := "um " + strconv.Itoa(hour)
		if minute != 0 {
			s += "." + twoDigits(minute)
		}
		return s + " Uhr"
	},
	group: ".", decimal: ",",
	millions: [2][3]string{
		{"Millionen Euro", "Millionen Euro", "Mio. Euro"},
		{"Millionen Dollar", "Millionen Dollar", "Mio. Dollar"},
	},
	durations: [...]string{"zwei Tage", "drei Tage", "vier Tage", "fünf Tage", "sechs Tage", "eine Woche",
		"zwei Wochen", "drei Monate", "ein Jahr"},
	days:      "Tage",
	cityForms: func(c city) (string, string) { return "in " + c.de, "aus " + c.de },
	places: [20]string{"am Bahnhof", "im Hafen", "in der Altstadt", "am Flughafen", "auf dem Marktplatz", "am Fluss",
		"im Stadtpark", "an der Universität", "beim Dom", "vor dem Rathaus", "neben dem Theater", "an der alten Brücke",
		"beim Krankenhaus", "im Stadtzentrum", "bei der Bibliothek", "im Norden der Stadt", "im Süden der Stadt",
		"beim Schloss", "beim Stadion", "im Gewerbegebiet"},
	company: "die Firma {org}",
	and:     ", und ",
	says:    [2]string{"„{quote}“, sagt {who}", "{who} erklärte: „{quote}“"},
	topics: [topics]topic{
		{
			leads: [kindsPerTopic][2]string{
				{"in einem Lagerhaus ist{when}{where} ein Feuer ausgebrochen", "{where} haben{when} Flammen ein Lagerhaus zerstört"},
				{"starker Regen hat{when}{where} mehrere Straßen überflutet", "{where} standen{when} nach starkem Regen mehrere Straßen unter Wasser"},
				{"eine Straßenbahn ist{when}{where} mit einem Lastwagen zusammengestoßen", "{where} prallten{when} ein Lastwagen und eine Straßenbahn aufeinander"},
				{"eine Gasleitung ist{when}{where} explodiert", "{where} kam es{when} zu einer Explosion in einer Gasleitung"},
				{"die Stromversorgung ist{when}{where} zusammengebrochen", "{where} lagen{when} nach einem Stromausfall ganze Straßen im Dunkeln"},
			},
			count: [2]string{"{n} Menschen mussten ihre Wohnungen verlassen", "Helfer brachten {n} Menschen in Sicherheit"},
			money: [2]string{"der Schaden wird auf {m} geschätzt", "die Reparaturen kosten {m}"},
			org:   [2]string{"{org} {from} hat ein Reparaturteam geschickt", "Hilfe kam {from}: {org} schickte ihre Ingenieure"},
			lasts: [2]string{"die Aufräumarbeiten dauern {dur}", "das Gebiet bleibt {dur} gesperrt"},
			quotes: [quotesPerTopic]string{"niemand wurde schwer verletzt", "wir kennen die Ursache noch nicht",
				"unsere Leute haben die ganze Nacht gearbeitet", "alles ging sehr schnell", "die Gefahr ist vorbei"},
			roles: [rolesPerTopic][2]string{{"Feuerwehrchef", "Feuerwehrchefin"}, {"Polizeisprecher", "Polizeisprecherin"}},
		},
		{
			leads: [kindsPerTopic][2]string{
				{"ein neues Autowerk hat{when}{where} eröffnet", "{where} haben{when} die ersten Autos ein neues Werk verlassen"},
				{"ein Stahlwerk hat{when}{where} geschlossen", "{where} schlossen sich{when} die Tore eines Stahlwerks für immer"},
				{"eine große Bäckerei ist{when}{where} in Konkurs gegangen", "{where} meldete{when} eine bekannte Bäckerei Insolvenz an"},
				{"eine Werft hat{when}{where} einen großen Auftrag erhalten", "{where} unterschrieb{when} eine Werft einen Vertrag über neue Fähren"},
				{"Busfahrer sind{when}{where} in den Streik getreten", "{where} blieben{when} die Busse wegen eines Streiks im Depot"},
			},
			count: [2]string{"{n} Arbeitsplätze sind betroffen", "die Entscheidung betrifft {n} Beschäftigte"},
			money: [2]string{"eine Summe von {m} steht auf dem Spiel", "die Eigentümer sprechen von {m}"},
			org:   [2]string{"{org} {from} hat ein Angebot gemacht", "Interesse gibt es {from}: {org} schickte ihre Anwälte"},
			lasts: [2]string{"die Gespräche dauerten {dur}", "beide Seiten hatten {dur} verhandelt"},
			quotes: [quotesPerTopic]string{"wir hatten keine andere Wahl", "der Markt hat sich verändert",
				"die nächsten Monate werden entscheidend sein", "wir stehen zu unseren Arbeitern", "es gibt noch viel zu tun"},
			roles: [rolesPerTopic][2]string{{"Geschäftsführer", "Geschäftsführerin"}, {"Gewerkschaftsführer", "Gewerkschaftsführerin"}},
		},
		{
			leads: [kindsPerTopic][2]string{
				{"ein Filmfestival hat{when}{where} begonnen", "{where} trafen sich{when} Schauspieler und Regisseure zu einem Filmfestival"},
				{"eine Ausstellung moderner Kunst hat{when}{where} eröffnet", "{where} präsentierte{when} eine Galerie moderne Kunst"},
				{"eine neue Oper hatte{when}{where} Premiere", "{where} spielte{when} ein Orchester zum ersten Mal eine neue Oper"},
				{"eine Buchmesse hat{when}{where} begonnen", "{where} stellten{when} Verlage auf einer Messe ihre neuen Bücher vor"},
				{"ein verlorenes Gemälde ist{when}{where} gefunden worden", "{where} entdeckten{when} Fachleute ein lange verschollenes Gemälde"},
			},
			count: [2]string{"die Veranstalter zählten {n} Besucher", "{n} Gäste kamen am ersten Abend"},
			money: [2]string{"die Stadt zahlt {m}", "das Budget beträgt {m}"},
			org:   [2]string{"{org} {from} ist der wichtigste Sponsor", "Unterstützung kam {from}: {org} bezahlte die Beleuchtung"},
			lasts: [2]string{"das Programm dauert {dur}", "die Vorbereitungen dauerten {dur}"},
			quotes: [quotesPerTopic]string{"Kunst gehört allen", "das Publikum war wunderbar",
				"das war immer mein Traum", "wir wollen die Menschen überraschen", "junge Leute sind neugierig"},
			roles: [rolesPerTopic][2]string{{"Intendant", "Intendantin"}, {"Kurator", "Kuratorin"}},
		},
		{
			leads: [kindsPerTopic][2]string{
				{"die Wähler haben{when}{where} einen neuen Bürgermeister gewählt", "{where} gewann{when} ein Außenseiter die Bürgermeisterwahl"},
				{"Mieter haben{when}{where} gegen hohe Mieten protestiert", "{where} gab es{when} eine Demonstration gegen steigende Mieten"},
				{"der Rat hat{when}{where} ein neues Schulgesetz beschlossen", "{where} fand{when} ein neues Gesetz für die Schulen eine Mehrheit"},
				{"die Bürger haben{when}{where} über eine neue U-Bahn-Linie abgestimmt", "{where} fand{when} ein Referendum über eine neue U-Bahn-Linie statt"},
				{"Friedensgespräche haben{when}{where} begonnen", "{where} trafen sich{when} zwei Delegationen zu Friedensgesprächen"},
			},
			count: [2]string{"{n} Bürger unterschrieben einen Aufruf", "{n} Menschen warteten draußen auf Nachrichten"},
			money: [2]string{"die Pläne kosten {m}", "die Staatskasse soll {m} zahlen"},
			org:   [2]string{"{org} {from} stellte die Technik", "Kritik kam {from}: {org} fürchtet höhere Steuern"},
			lasts: [2]string{"die Debatte hatte {dur} gedauert", "die Menschen hatten {dur} darauf gewartet"},
			quotes: [quotesPerTopic]string{"das ist ein Sieg für die Demokratie", "wir müssen den Bürgern zuhören",
				"die Diskussion ist nicht vorbei", "wir brauchen mehr Zeit", "das Ergebnis ist klar"},
			roles: [rolesPerTopic][2]string{{"Minister", "Ministerin"}, {"Oppositionsführer", "Oppositionsführerin"}},
		},
		{
			leads: [kindsPerTopic][2]string{
				{"ein Marathon hat{when}{where} stattgefunden", "{where} starteten{when} Läufer aus vielen Ländern zu einem Marathon"},
				{"das Fußballfinale wurde{when}{where} ausgetragen", "{where} standen sich{when} zwei Fußballmannschaften im Finale gegenüber"},
				{"ein Schachturnier ging{when}{where} zu Ende", "{where} wurde{when} die letzte Partie eines Schachturniers gespielt"},
				{"die Schwimmmeisterschaften haben{when}{where} begonnen", "{where} kämpften{when} die besten Schwimmer um den Titel"},
				{"ein Radrennen ging{when}{where} zu Ende", "{where} erreichten{when} die Radfahrer das Ziel eines Rennens"},
			},
			count: [2]string{"{n} Fans waren gekommen", "{n} Zuschauer sahen zu"},
			money: [2]string{"das Preisgeld beträgt {m}", "der Verein verdient {m}"},
			org:   [2]string{"{org} {from} lieferte die Ausrüstung", "ein Preis kam {from}: {org} ehrte die Sieger"},
			lasts: [2]string{"die Favoriten hatten {dur} trainiert", "die Mannschaften bleiben {dur}"},
			quotes: [quotesPerTopic]string{"wir haben bis zum Schluss gekämpft", "dieser Erfolg macht uns stolz",
				"das Wetter war schwierig", "nächstes Jahr kommen wir wieder", "unsere Gegner waren sehr stark"},
			roles: [rolesPerTopic][2]string{{"Trainer", "Trainerin"}, {"Vereinspräsident", "Vereinspräsidentin"}},
		},
		{
			leads: [kindsPerTopic][2]string{
				{"Ärzte haben{when}{where} einen neuen Impfstoff getestet", "{where} meldete{when} eine Klinik Erfolge mit einem neuen Impfstoff"},
				{"Archäologen haben{when}{where} ein antikes Grab entdeckt", "{where} kam{when} bei Ausgrabungen ein Grab aus der Antike ans Licht"},
				{"ein neues Teleskop ging{when}{where} in Betrieb", "{where} benutzten{when} Astronomen zum ersten Mal ein neues Teleskop"},
				{"Ingenieure haben{when}{where} einen Roboter vorgestellt", "{where} zeigte{when} ein Labor einen Roboter, der Pflegern hilft"},
				{"Biologen haben{when}{where} einen seltenen Vogel gefunden", "{where} wurde{when} ein ausgestorben geglaubter Vogel wieder gesehen"},
			},
			count: [2]string{"{n} Freiwillige nahmen teil", "das Team wertete {n} Fotos aus"},
			money: [2]string{"die Forschung kostete {m}", "der Staat förderte das Projekt mit {m}"},
			org:   [2]string{"{org} {from} baute die Instrumente", "die Daten kommen {from}: {org} hat sie gesammelt"},
			lasts: [2]string{"die Arbeit dauerte {dur}", "die Forscher hatten sich {dur} vorbereitet"},
			quotes: [quotesPerTopic]string{"das ist nur der Anfang", "die Ergebnisse haben uns überrascht",
				"viele Fragen bleiben offen", "wir haben alles zweimal geprüft", "unsere Studenten haben viel geholfen"},
			roles: [rolesPerTopic][2]string{{"Professor", "Professorin"}, {"Projektleiter", "Projektleiterin"}},
		},
	},
}
