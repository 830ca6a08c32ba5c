package news

// questionKind is what a question asks for.
type questionKind int

const (
	askCity questionKind = iota
	askOrigin
	askClock
	askCount
	askAmount
	askOrg
	askPerson
	askAge
	askDuration
	questionKinds
)

// fact returns the fact that a question asks for.
func (k questionKind) fact() fact {
	return [questionKinds]fact{
		factCity, factOrigin, factClock, factCount, factAmount, factOrg, factPerson, factAge, factDuration,
	}[k]
}

// questions are the questions by language and kind.
var questions = map[string][questionKinds]string{
	"en": {"Where did it happen?", "Where does the company come from?", "At what time did it happen?",
		"How many people or things does it concern?", "How much money is it about?", "Which company is mentioned?",
		"Who is quoted?", "How old is the person who is quoted?", "How long does it take?"},
	"de": {"Wo ist es geschehen?", "Woher kommt die Firma?", "Zu welcher Uhrzeit ist es geschehen?",
		"Wie viele Menschen oder Dinge betrifft es?", "Um wie viel Geld geht es?", "Welche Firma wird genannt?",
		"Wer wird zitiert?", "Wie alt ist die zitierte Person?", "Wie lange dauert es?"},
	"fr": {"Où cela s’est-il passé\u00a0?", "D’où vient la société\u00a0?", "À quelle heure cela s’est-il passé\u00a0?",
		"Combien de personnes ou de choses sont concernées\u00a0?", "De quelle somme d’argent s’agit-il\u00a0?",
		"Quelle société est mentionnée\u00a0?", "Qui est cité\u00a0?", "Quel âge a la personne citée\u00a0?",
		"Combien de temps cela dure-t-il\u00a0?"},
	"es": {"¿Dónde ocurrió?", "¿De dónde viene la empresa?", "¿A qué hora ocurrió?",
		"¿A cuántas personas o cosas afecta?", "¿De cuánto dinero se trata?", "¿Qué empresa se menciona?",
		"¿A quién se cita?", "¿Qué edad tiene la persona citada?", "¿Cuánto tiempo dura?"},
	"ru": {"Где это произошло?", "Откуда эта компания?", "В какое время это произошло?",
		"Скольких людей или предметов это касается?", "О какой сумме денег идёт речь?", "Какая компания упоминается?",
		"Чьи слова приводятся?", "Сколько лет тому, чьи слова приводятся?", "Сколько времени это длится?"},
	"el": {"Πού συνέβη;", "Από πού είναι η εταιρεία;", "Τι ώρα συνέβη;",
		"Πόσους ανθρώπους ή πράγματα αφορά;", "Για πόσα χρήματα πρόκειται;", "Ποια εταιρεία αναφέρεται;",
		"Τίνος τα λόγια παρατίθενται;", "Πόσων ετών είναι αυτός που μιλά;", "Πόσο διαρκεί;"},
}
