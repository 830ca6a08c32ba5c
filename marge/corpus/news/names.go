package news

// script says which alphabet a language writes the names of people in.
type script int

const (
	latin script = iota
	cyrillic
	greek
)

// name is a proper name in each script.
type name [3]string

// person is a surname; people are called by their office and surname only.
type person struct {
	name
	female bool
}

// city holds the forms of a city's name that sentences need: as it stands in
// English, German, French and Spanish, the Russian prepositional and genitive,
// and the Greek accusative with its article.
type city struct {
	en, de, fr, es           string
	ruPrepositional, ruGenit string
	elAccusative             string
}

var people = [...]person{
	{name{"Berg", "Берг", "Μπεργκ"}, false},
	{name{"Keller", "Келлер", "Κέλερ"}, true},
	{name{"Novak", "Новак", "Νόβακ"}, false},
	{name{"Silva", "Силва", "Σίλβα"}, true},
	{name{"Costa", "Коста", "Κόστα"}, false},
	{name{"Moreau", "Моро", "Μορό"}, true},
	{name{"Laurent", "Лоран", "Λοράν"}, false},
	{name{"Rossi", "Росси", "Ρόσι"}, true},
	{name{"Bianchi", "Бьянки", "Μπιάνκι"}, false},
	{name{"Torres", "Торрес", "Τόρες"}, true},
	{name{"Ramos", "Рамос", "Ράμος"}, false},
	{name{"Molina", "Молина", "Μολίνα"}, true},
	{name{"Larsen", "Ларсен", "Λάρσεν"}, false},
	{name{"Nilsen", "Нильсен", "Νίλσεν"}, true},
	{name{"Lindholm", "Линдхольм", "Λίντχολμ"}, false},
	{name{"Virtanen", "Виртанен", "Βίρτανεν"}, true},
	{name{"Petrov", "Петров", "Πετρόφ"}, false},
	{name{"Ivanova", "Иванова", "Ιβάνοβα"}, true},
	{name{"Sokolov", "Соколов", "Σοκόλοφ"}, false},
	{name{"Orlova", "Орлова", "Ορλόβα"}, true},
	{name{"Popescu", "Попеску", "Ποπέσκου"}, false},
	{name{"Horvat", "Хорват", "Χόρβατ"}, true},
	{name{"Kovac", "Ковач", "Κόβατς"}, false},
	{name{"Papadaki", "Пападаки", "Παπαδάκη"}, true},
	{name{"Nikolaidis", "Николаидис", "Νικολαΐδης"}, false},
	{name{"Georgiou", "Георгиу", "Γεωργίου"}, true},
	{name{"Makris", "Макрис", "Μακρής"}, false},
	{name{"Vlachou", "Влаху", "Βλάχου"}, true},
	{name{"Yilmaz", "Йылмаз", "Γιλμάζ"}, false},
	{name{"Demir", "Демир", "Ντεμίρ"}, true},
	{name{"Tanaka", "Танака", "Τανάκα"}, false},
	{name{"Sato", "Сато", "Σάτο"}, true},
	{name{"Kim", "Ким", "Κιμ"}, false},
	{name{"Chen", "Чэнь", "Τσεν"}, true},
	{name{"Miller", "Миллер", "Μίλερ"}, false},
	{name{"Baker", "Бейкер", "Μπέικερ"}, true},
	{name{"Parker", "Паркер", "Πάρκερ"}, false},
	{name{"Walsh", "Уолш", "Γουόλς"}, true},
	{name{"Murphy", "Мёрфи", "Μέρφι"}, false},
	{name{"Stewart", "Стюарт", "Στιούαρτ"}, true},
	{name{"Hansen", "Хансен", "Χάνσεν"}, false},
	{name{"Visser", "Виссер", "Βίσερ"}, true},
	{name{"Janssen", "Янссен", "Γιάνσεν"}, false},
	{name{"Dubois", "Дюбуа", "Ντιμπουά"}, true},
	{name{"Fontaine", "Фонтен", "Φοντέν"}, false},
	{name{"Schmidt", "Шмидт", "Σμιτ"}, true},
	{name{"Wagner", "Вагнер", "Βάγκνερ"}, false},
	{name{"Lehmann", "Леман", "Λέμαν"}, true},
}

// organisations are invented companies. Newspapers leave such names in Latin
// letters in all languages.
var organisations = [...]string{
	"Norvik", "Belmar", "Kontura", "Zenitas", "Talvero", "Aquilor", "Meridor", "Solvanto",
	"Ferrotan", "Lumirex", "Vantoro", "Orbitela", "Polarima", "Cascado", "Delmonda", "Ostarix",
	"Raveta", "Sintexa", "Tarvosa", "Umbrio", "Velorix", "Xantor", "Yarmex", "Zephrano",
	"Bravoni", "Calmora", "Dorvexa", "Elvantis", "Fintaro", "Galvexo", "Heliora", "Invernum",
	"Juvano", "Kelvora", "Litorix", "Montekra", "Nexilo", "Optaris", "Prendova", "Quadrixo",
}

var cities = [...]city{
	{"Athens", "Athen", "Athènes", "Atenas", "Афинах", "Афин", "την Αθήνα"},
	{"Berlin", "Berlin", "Berlin", "Berlín", "Берлине", "Берлина", "το Βερολίνο"},
	{"Paris", "Paris", "Paris", "París", "Париже", "Парижа", "το Παρίσι"},
	{"Madrid", "Madrid", "Madrid", "Madrid", "Мадриде", "Мадрида", "τη Μαδρίτη"},
	{"Rome", "Rom", "Rome", "Roma", "Риме", "Рима", "τη Ρώμη"},
	{"Lisbon", "Lissabon", "Lisbonne", "Lisboa", "Лиссабоне", "Лиссабона", "τη Λισαβόνα"},
	{"London", "London", "Londres", "Londres", "Лондоне", "Лондона", "το Λονδίνο"},
	{"Dublin", "Dublin", "Dublin", "Dublín", "Дублине", "Дублина", "το Δουβλίνο"},
	{"Moscow", "Moskau", "Moscou", "Moscú", "Москве", "Москвы", "τη Μόσχα"},
	{"Warsaw", "Warschau", "Varsovie", "Varsovia", "Варшаве", "Варшавы", "τη Βαρσοβία"},
	{"Prague", "Prag", "Prague", "Praga", "Праге", "Праги", "την Πράγα"},
	{"Vienna", "Wien", "Vienne", "Viena", "Вене", "Вены", "τη Βιέννη"},
	{"Budapest", "Budapest", "Budapest", "Budapest", "Будапеште", "Будапешта", "τη Βουδαπέστη"},
	{"Belgrade", "Belgrad", "Belgrade", "Belgrado", "Белграде", "Белграда", "το Βελιγράδι"},
	{"Sofia", "Sofia", "Sofia", "Sofía", "Софии", "Софии", "τη Σόφια"},
	{"Bucharest", "Bukarest", "Bucarest", "Bucarest", "Бухаресте", "Бухареста", "το Βουκουρέστι"},
	{"Istanbul", "Istanbul", "Istanbul", "Estambul", "Стамбуле", "Стамбула", "την Κωνσταντινούπολη"},
	{"Ankara", "Ankara", "Ankara", "Ankara", "Анкаре", "Анкары", "την Άγκυρα"},
	{"Copenhagen", "Kopenhagen", "Copenhague", "Copenhague", "Копенгагене", "Копенгагена", "την Κοπεγχάγη"},
	{"Stockholm", "Stockholm", "Stockholm", "Estocolmo", "Стокгольме", "Стокгольма", "τη Στοκχόλμη"},
	{"Oslo", "Oslo", "Oslo", "Oslo", "Осло", "Осло", "το Όσλο"},
	{"Helsinki", "Helsinki", "Helsinki", "Helsinki", "Хельсинки", "Хельсинки", "το Ελσίνκι"},
	{"Riga", "Riga", "Riga", "Riga", "Риге", "Риги", "τη Ρίγα"},
	{"Vilnius", "Vilnius", "Vilnius", "Vilna", "Вильнюсе", "Вильнюса", "το Βίλνιους"},
	{"Tallinn", "Tallinn", "Tallinn", "Tallin", "Таллине", "Таллина", "το Ταλίν"},
	{"Brussels", "Brüssel", "Bruxelles", "Bruselas", "Брюсселе", "Брюсселя", "τις Βρυξέλλες"},
	{"Amsterdam", "Amsterdam", "Amsterdam", "Ámsterdam", "Амстердаме", "Амстердама", "το Άμστερνταμ"},
	{"Geneva", "Genf", "Genève", "Ginebra", "Женеве", "Женевы", "τη Γενεύη"},
	{"Zurich", "Zürich", "Zurich", "Zúrich", "Цюрихе", "Цюриха", "τη Ζυρίχη"},
	{"Milan", "Mailand", "Milan", "Milán", "Милане", "Милана", "το Μιλάνο"},
	{"Naples", "Neapel", "Naples", "Nápoles", "Неаполе", "Неаполя", "τη Νάπολη"},
	{"Venice", "Venedig", "Venise", "Venecia", "Венеции", "Венеции", "τη Βενετία"},
	{"Turin", "Turin", "Turin", "Turín", "Турине", "Турина", "το Τορίνο"},
	{"Munich", "München", "Munich", "Múnich", "Мюнхене", "Мюнхена", "το Μόναχο"},
	{"Cologne", "Köln", "Cologne", "Colonia", "Кёльне", "Кёльна", "την Κολωνία"},
	{"Hamburg", "Hamburg", "Hambourg", "Hamburgo", "Гамбурге", "Гамбурга", "το Αμβούργο"},
	{"Dresden", "Dresden", "Dresde", "Dresde", "Дрездене", "Дрездена", "τη Δρέσδη"},
	{"Lyon", "Lyon", "Lyon", "Lyon", "Лионе", "Лиона", "τη Λυών"},
	{"Marseille", "Marseille", "Marseille", "Marsella", "Марселе", "Марселя", "τη Μασσαλία"},
	{"Bordeaux", "Bordeaux", "Bordeaux", "Burdeos", "Бордо", "Бордо", "το Μπορντό"},
	{"Seville", "Sevilla", "Séville", "Sevilla", "Севилье", "Севильи", "τη Σεβίλλη"},
	{"Barcelona", "Barcelona", "Barcelone", "Barcelona", "Барселоне", "Барселоны", "τη Βαρκελώνη"},
	{"Valencia", "Valencia", "Valence", "Valencia", "Валенсии", "Валенсии", "τη Βαλένθια"},
	{"Kyiv", "Kiew", "Kiev", "Kiev", "Киеве", "Киева", "το Κίεβο"},
	{"Tbilisi", "Tiflis", "Tbilissi", "Tiflis", "Тбилиси", "Тбилиси", "την Τιφλίδα"},
	{"Yerevan", "Eriwan", "Erevan", "Ereván", "Ереване", "Еревана", "το Ερεβάν"},
	{"Tunis", "Tunis", "Tunis", "Túnez", "Тунисе", "Туниса", "την Τύνιδα"},
	{"Algiers", "Algier", "Alger", "Argel", "Алжире", "Алжира", "το Αλγέρι"},
	{"Nicosia", "Nikosia", "Nicosie", "Nicosia", "Никосии", "Никосии", "τη Λευκωσία"},
	{"Thessaloniki", "Thessaloniki", "Thessalonique", "Salónica", "Салониках", "Салоник", "τη Θεσσαλονίκη"},
	{"Tokyo", "Tokio", "Tokyo", "Tokio", "Токио", "Токио", "το Τόκιο"},
	{"Beijing", "Peking", "Pékin", "Pekín", "Пекине", "Пекина", "το Πεκίνο"},
	{"Seoul", "Seoul", "Séoul", "Seúl", "Сеуле", "Сеула", "τη Σεούλ"},
	{"New York", "New York", "New York", "Nueva York", "Нью-Йорке", "Нью-Йорка", "τη Νέα Υόρκη"},
	{"Chicago", "Chicago", "Chicago", "Chicago", "Чикаго", "Чикаго", "το Σικάγο"},
	{"Boston", "Boston", "Boston", "Boston", "Бостоне", "Бостона", "τη Βοστώνη"},
	{"Toronto", "Toronto", "Toronto", "Toronto", "Торонто", "Торонто", "το Τορόντο"},
	{"Lima", "Lima", "Lima", "Lima", "Лиме", "Лимы", "τη Λίμα"},
	{"Bogota", "Bogotá", "Bogota", "Bogotá", "Боготе", "Боготы", "την Μπογκοτά"},
	{"Sydney", "Sydney", "Sydney", "Sídney", "Сиднее", "Сиднея", "το Σίδνεϊ"},
	{"Edinburgh", "Edinburgh", "Édimbourg", "Edimburgo", "Эдинбурге", "Эдинбурга", "το Εδιμβούργο"},
	{"Krakow", "Krakau", "Cracovie", "Cracovia", "Кракове", "Кракова", "την Κρακοβία"},
	{"Zagreb", "Zagreb", "Zagreb", "Zagreb", "Загребе", "Загреба", "το Ζάγκρεμπ"},
	{"Sarajevo", "Sarajevo", "Sarajevo", "Sarajevo", "Сараево", "Сараево", "το Σαράγεβο"},
}
