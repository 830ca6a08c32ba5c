package news

import (
	"strconv"
	"strings"
)

var french = language{
	code: "fr", script: latin,
	weekdays: [7]string{"dimanche", "lundi", "mardi", "mercredi", "jeudi", "vendredi", "samedi"},
	months: [12]string{"janvier", "février", "mars", "avril", "mai", "juin", "juillet", "août", "septembre", "octobre",
		"novembre", "décembre"},
	date: "le {d} {month} {y}",
	clock: func(hour, minute int) string {
		s := "à " + strconv.Itoa(hour) + "h"
		if minute != 0 {
			s += twoDigits(minute)
		}
		return s
	},
	group: "\u00a0", decimal: ",",
	millions: [2][3]string{
		{"millions d’euros", "millions d’euros", "M d’euros"},
		{"millions de dollars", "millions de dollars", "M de dollars"},
	},
	durations: [...]string{"deux jours", "trois jours", "quatre jours", "cinq jours", "six jours", "une semaine",
		"deux semaines", "trois mois", "un an"},
	days: "jours",
	cityForms: func(c city) (string, string) {
		if strings.ContainsAny(c.fr[:1], "AEIOU") || strings.HasPrefix(c.fr, "É") {
			return "à " + c.fr, "d’" + c.fr
		}
		return "à " + c.fr, "de " + c.fr
	},
	places: [20]string{"près de la gare", "dans le port", "dans la vieille ville", "à l’aéroport",
		"sur la place du marché", "au bord du fleuve", "dans le parc municipal", "à l’université",
		"près de la cathédrale", "devant la mairie", "à côté du théâtre", "près du vieux pont", "près de l’hôpital",
		"dans le centre-ville", "près de la bibliothèque", "dans le nord de la ville", "dans le sud de la ville",
		"près du château", "près du stade", "dans la zone industrielle"},
	company: "la société {org}",
	and:     ", et ",
	says:    [2]string{"«\u00a0{quote}\u00a0», dit {who}", "{who} a déclaré\u00a0: «\u00a0{quote}\u00a0»"},
	topics: [topics]topic{
		{
			leads: [kindsPerTopic][2]string{
				{"un incendie s’est déclaré dans un entrepôt{where}{when}", "{where}{when}, les flammes ont détruit un entrepôt"},
				{"de fortes pluies ont inondé plusieurs rues{where}{when}", "{where}{when}, plusieurs rues étaient sous l’eau après de fortes pluies"},
				{"un tramway a heurté un camion{where}{when}", "{where}{when}, un camion et un tramway sont entrés en collision"},
				{"une conduite de gaz a explosé{where}{when}", "{where}{when}, une explosion s’est produite dans une conduite de gaz"},
				{"le réseau électrique est tombé en panne{where}{when}", "{where}{when}, une coupure de courant a plongé des rues entières dans le noir"},
			},
			count: [2]string{"{n} personnes ont dû quitter leur logement", "les secours ont mis {n} personnes à l’abri"},
			money: [2]string{"les dégâts sont estimés à {m}", "les réparations coûteront {m}"},
			org:   [2]string{"{org} {from} a envoyé une équipe de réparation", "l’aide est venue {from}\u00a0: {org} a envoyé ses ingénieurs"},
			lasts: [2]string{"le nettoyage durera {dur}", "la zone restera fermée pendant {dur}"},
			quotes: [quotesPerTopic]string{"personne n’a été gravement blessé", "nous ne connaissons pas encore la cause",
				"nos équipes ont travaillé toute la nuit", "tout est allé très vite", "le danger est passé"},
			roles: [rolesPerTopic][2]string{{"le chef des pompiers", "la cheffe des pompiers"}, {"le porte-parole de la police", "la porte-parole de la police"}},
		},
		{
			leads: [kindsPerTopic][2]string{
				{"une nouvelle usine automobile a ouvert{where}{when}", "{where}{when}, les premières voitures sont sorties d’une nouvelle usine"},
				{"une aciérie a fermé{where}{when}", "{where}{when}, une aciérie a fermé ses portes pour toujours"},
				{"une grande boulangerie a fait faillite{where}{when}", "{where}{when}, une boulangerie connue s’est déclarée insolvable"},
				{"un chantier naval a reçu une grosse commande{where}{when}", "{where}{when}, un chantier naval a signé un contrat pour de nouveaux ferries"},
				{"les chauffeurs de bus se sont mis en grève{where}{when}", "{where}{when}, les bus sont restés au dépôt à cause d’une grève"},
			},
			count: [2]string{"{n} emplois sont concernés", "la décision touche {n} salariés"},
			money: [2]string{"une somme de {m} est en jeu", "les propriétaires parlent de {m}"},
			org:   [2]string{"{org} {from} a fait une offre", "on s’y intéresse {from}\u00a0: {org} a envoyé ses avocats"},
			lasts: [2]string{"les discussions ont duré {dur}", "les deux parties avaient négocié pendant {dur}"},
			quotes: [quotesPerTopic]string{"nous n’avions pas d’autre choix", "le marché a changé",
				"les prochains mois seront décisifs", "nous soutenons nos ouvriers", "il reste beaucoup à faire"},
			roles: [rolesPerTopic][2]string{{"le directeur général", "la directrice générale"}, {"le chef du syndicat", "la cheffe du syndicat"}},
		},
		{
			leads: [kindsPerTopic][2]string{
				{"un festival de cinéma s’est ouvert{where}{when}", "{where}{when}, acteurs et réalisateurs se sont retrouvés pour un festival de cinéma"},
				{"une exposition d’art moderne s’est ouverte{where}{when}", "{where}{when}, une galerie a présenté de l’art moderne"},
				{"un nouvel opéra a été créé{where}{when}", "{where}{when}, un orchestre a joué un nouvel opéra pour la première fois"},
				{"un salon du livre a commencé{where}{when}", "{where}{when}, des éditeurs ont présenté leurs nouveaux livres dans un salon"},
				{"un tableau perdu a été retrouvé{where}{when}", "{where}{when}, des experts ont découvert un tableau longtemps disparu"},
			},
			count: [2]string{"les organisateurs ont compté {n} visiteurs", "{n} invités sont venus le premier soir"},
			money: [2]string{"la ville paie {m}", "le budget s’élève à {m}"},
			org:   [2]string{"{org} {from} est le principal mécène", "le soutien est venu {from}\u00a0: {org} a payé l’éclairage"},
			lasts: [2]string{"le programme dure {dur}", "les préparatifs ont duré {dur}"},
			quotes: [quotesPerTopic]string{"l’art appartient à tous", "le public a été merveilleux",
				"c’était mon rêve depuis toujours", "nous voulons surprendre les gens", "les jeunes sont curieux"},
			roles: [rolesPerTopic][2]string{{"le directeur artistique", "la directrice artistique"}, {"le conservateur", "la conservatrice"}},
		},
		{
			leads: [kindsPerTopic][2]string{
				{"les électeurs ont choisi un nouveau maire{where}{when}", "{where}{when}, un candidat surprise a gagné l’élection du maire"},
				{"des locataires ont protesté contre les loyers élevés{where}{when}", "{where}{when}, une manifestation a eu lieu contre la hausse des loyers"},
				{"le conseil a adopté une nouvelle loi scolaire{where}{when}", "{where}{when}, une nouvelle loi pour les écoles a trouvé une majorité"},
				{"les citoyens ont voté sur une nouvelle ligne de métro{where}{when}", "{where}{when}, un référendum a eu lieu sur une nouvelle ligne de métro"},
				{"des pourparlers de paix ont commencé{where}{when}", "{where}{when}, deux délégations se sont réunies pour des pourparlers de paix"},
			},
			count: [2]string{"{n} citoyens ont signé un appel", "{n} personnes attendaient des nouvelles dehors"},
			money: [2]string{"les projets coûteront {m}", "le Trésor public doit payer {m}"},
			org:   [2]string{"{org} {from} a fourni la technique", "la critique est venue {from}\u00a0: {org} craint une hausse des impôts"},
			lasts: [2]string{"le débat avait duré {dur}", "les gens attendaient cela depuis {dur}"},
			quotes: [quotesPerTopic]string{"c’est une victoire pour la démocratie", "nous devons écouter les citoyens",
				"la discussion n’est pas finie", "nous avons besoin de plus de temps", "le résultat est clair"},
			roles: [rolesPerTopic][2]string{{"le ministre", "la ministre"}, {"le chef de l’opposition", "la cheffe de l’opposition"}},
		},
		{
			leads: [kindsPerTopic][2]string{
				{"un marathon a eu lieu{where}{when}", "{where}{when}, des coureurs de nombreux pays ont pris le départ d’un marathon"},
				{"la finale de football s’est jouée{where}{when}", "{where}{when}, deux équipes de football se sont affrontées en finale"},
				{"un tournoi d’échecs s’est terminé{where}{when}", "{where}{when}, la dernière partie d’un tournoi d’échecs a été jouée"},
				{"les championnats de natation ont commencé{where}{when}", "{where}{when}, les meilleurs nageurs se sont disputé le titre"},
				{"une course cycliste s’est achevée{where}{when}", "{where}{when}, les cyclistes ont atteint l’arrivée d’une course"},
			},
			count: [2]string{"{n} supporters étaient venus", "{n} spectateurs ont regardé"},
			money: [2]string{"la prime s’élève à {m}", "le club gagne {m}"},
			org:   [2]string{"{org} {from} a livré l’équipement", "un prix est venu {from}\u00a0: {org} a honoré les vainqueurs"},
			lasts: [2]string{"les favoris s’étaient entraînés pendant {dur}", "les équipes restent pendant {dur}"},
			quotes: [quotesPerTopic]string{"nous nous sommes battus jusqu’au bout", "ce succès fait notre fierté",
				"la météo était difficile", "nous reviendrons l’année prochaine", "nos adversaires étaient très forts"},
			roles: [rolesPerTopic][2]string{{"l’entraîneur", "l’entraîneuse"}, {"le président du club", "la présidente du club"}},
		},
		{
			leads: [kindsPerTopic][2]string{
				{"des médecins ont testé un nouveau vaccin{where}{when}", "{where}{when}, une clinique a annoncé des succès avec un nouveau vaccin"},
				{"des archéologues ont découvert une tombe antique{where}{when}", "{where}{when}, une tombe de l’Antiquité est apparue lors de fouilles"},
				{"un nouveau télescope est entré en service{where}{when}", "{where}{when}, des astronomes ont utilisé un nouveau télescope pour la première fois"},
				{"des ingénieurs ont présenté un robot{where}{when}", "{where}{when}, un laboratoire a montré un robot qui aide les infirmiers"},
				{"des biologistes ont trouvé un oiseau rare{where}{when}", "{where}{when}, un oiseau que l’on croyait disparu a été revu"},
			},
			count: [2]string{"{n} volontaires ont participé", "l’équipe a analysé {n} photos"},
			money: [2]string{"la recherche a coûté {m}", "l’État a soutenu le projet avec {m}"},
			org:   [2]string{"{org} {from} a construit les instruments", "les données viennent {from}\u00a0: {org} les a recueillies"},
			lasts: [2]string{"le travail a duré {dur}", "les chercheurs s’étaient préparés pendant {dur}"},
			quotes: [quotesPerTopic]string{"ce n’est que le début", "les résultats nous ont surpris",
				"beaucoup de questions restent ouvertes", "nous avons tout vérifié deux fois", "nos étudiants ont beaucoup aidé"},
			roles: [rolesPerTopic][2]string{{"le professeur", "la professeure"}, {"le chef de projet", "la cheffe de projet"}},
		},
	},
}
