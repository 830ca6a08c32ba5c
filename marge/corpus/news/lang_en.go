package news

import "strconv"

var english = language{
	code: "en", script: latin,
	weekdays: [7]string{"on Sunday", "on Monday", "on Tuesday", "on Wednesday", "on Thursday", "on Friday",
		"on Saturday"},
	months: [12]string{"January", "February", "March", "April", "May", "June", "July", "August", "September",
		"October", "November", "December"},
	date: "on {d} {month} {y}",
	clock: func(hour, minute int) string {
		half := "am"
		if hour >= 12 {
			half = "pm"
		}
		s := "at " + strconv.Itoa((hour+11)%12+1)
		if minute != 0 {
			s += ":" + twoDigits(minute)
		}
		return s + " " + half
	},
	group: ",", decimal: ".",
	millions: [2][3]string{
		{"million euros", "million euros", "mn euros"},
		{"million dollars", "million dollars", "mn dollars"},
	},
	durations: [...]string{"two days", "three days", "four days", "five days", "six days", "a week", "two weeks",
		"three months", "a year"},
	days:      "days",
	cityForms: func(c city) (string, string) { return "in " + c.en, "from " + c.en },
	places: [20]string{"near the railway station", "in the harbour", "in the old town", "at the airport",
		"on the market square", "by the river", "in the city park", "at the university", "near the cathedral",
		"outside the town hall", "next to the theatre", "by the old bridge", "near the hospital", "in the city centre",
		"near the library", "in the north of the city", "in the south of the city", "near the castle",
		"near the stadium", "in the industrial zone"},
	company: "the company {org}",
	and:     ", and ",
	says:    [2]string{"“{quote},” says {who}", "{who} said: “{quote}”"},
	topics: [topics]topic{
		{
			leads: [kindsPerTopic][2]string{
				{"a fire broke out in a warehouse{where}{when}", "{where}{when}, flames destroyed a warehouse"},
				{"heavy rain flooded several streets{where}{when}",
					"{where}{when}, several streets were under water after heavy rain"},
				{"a tram collided with a lorry{where}{when}", "{where}{when}, a lorry and a tram crashed into each other"},
				{"a gas pipe exploded{where}{when}", "{where}{when}, there was an explosion in a gas pipe"},
				{"the electricity supply broke down{where}{when}", "{where}{when}, a power cut left whole streets in the dark"},
			},
			count: [2]string{"{n} people had to leave their homes", "helpers brought {n} people to safety"},
			money: [2]string{"the damage is put at {m}", "the repairs will cost {m}"},
			org:   [2]string{"{org} {from} has sent a repair team", "help came {from}: {org} sent its engineers"},
			lasts: [2]string{"the clean-up will take {dur}", "the area will stay closed for {dur}"},
			quotes: [quotesPerTopic]string{"nobody was seriously hurt", "we do not know the cause yet",
				"our people worked all night", "everything happened very quickly", "the danger is over"},
			roles: [rolesPerTopic][2]string{{"fire chief", "fire chief"}, {"police spokesman", "police spokeswoman"}},
		},
		{
			leads: [kindsPerTopic][2]string{
				{"a new car plant opened{where}{when}", "{where}{when}, the first cars left a new plant"},
				{"a steelworks closed{where}{when}", "{where}{when}, a steelworks shut its gates for ever"},
				{"a large bakery went bankrupt{where}{when}", "{where}{when}, a well-known bakery declared itself insolvent"},
				{"a shipyard received a big order{where}{when}", "{where}{when}, a shipyard signed a contract for new ferries"},
				{"bus drivers went on strike{where}{when}", "{where}{when}, the buses stayed in the depot because of a strike"},
			},
			count: [2]string{"{n} jobs are affected", "the decision concerns {n} workers"},
			money: [2]string{"a sum of {m} is at stake", "the owners speak of {m}"},
			org:   [2]string{"{org} {from} has made an offer", "there is interest {from}: {org} sent its lawyers"},
			lasts: [2]string{"the talks lasted {dur}", "both sides had negotiated for {dur}"},
			quotes: [quotesPerTopic]string{"we had no other choice", "the market has changed",
				"the next months will be decisive", "we stand by our workers", "there is still a lot to do"},
			roles: [rolesPerTopic][2]string{{"managing director", "managing director"}, {"union leader", "union leader"}},
		},
		{
			leads: [kindsPerTopic][2]string{
				{"a film festival opened{where}{when}", "{where}{when}, actors and directors came together for a film festival"},
				{"an exhibition of modern art opened{where}{when}", "{where}{when}, a gallery presented modern art"},
				{"a new opera had its premiere{where}{when}",
					"{where}{when}, an orchestra performed a new opera for the first time"},
				{"a book fair began{where}{when}", "{where}{when}, publishers presented their new books at a fair"},
				{"a lost painting was found{where}{when}",
					"{where}{when}, experts discovered a painting that had long been missing"},
			},
			count: [2]string{"the organisers counted {n} visitors", "{n} guests came on the first evening"},
			money: [2]string{"the city is paying {m}", "the budget comes to {m}"},
			org:   [2]string{"{org} {from} is the main sponsor", "support came {from}: {org} paid for the lighting"},
			lasts: [2]string{"the programme lasts {dur}", "the preparations took {dur}"},
			quotes: [quotesPerTopic]string{"art belongs to everyone", "the audience was wonderful",
				"this was always my dream", "we want to surprise people", "young people are curious"},
			roles: [rolesPerTopic][2]string{{"artistic director", "artistic director"}, {"curator", "curator"}},
		},
		{
			leads: [kindsPerTopic][2]string{
				{"voters elected a new mayor{where}{when}", "{where}{when}, a surprise candidate won the election for mayor"},
				{"tenants protested against high rents{where}{when}",
					"{where}{when}, there was a demonstration against rising rents"},
				{"the council passed a new school law{where}{when}", "{where}{when}, a new law for schools found a majority"},
				{"citizens voted on a new metro line{where}{when}", "{where}{when}, a referendum on a new metro line was held"},
				{"peace talks began{where}{when}", "{where}{when}, two delegations met for peace talks"},
			},
			count: [2]string{"{n} citizens signed an appeal", "{n} people waited outside for news"},
			money: [2]string{"the plans will cost {m}", "the treasury is to pay {m}"},
			org:   [2]string{"{org} {from} provided the technology", "criticism came {from}: {org} fears higher taxes"},
			lasts: [2]string{"the debate had lasted {dur}", "people had waited for this for {dur}"},
			quotes: [quotesPerTopic]string{"this is a victory for democracy", "we must listen to the citizens",
				"the discussion is not over", "we need more time", "the result is clear"},
			roles: [rolesPerTopic][2]string{{"minister", "minister"}, {"opposition leader", "opposition leader"}},
		},
		{
			leads: [kindsPerTopic][2]string{
				{"a marathon took place{where}{when}", "{where}{when}, runners from many countries started in a marathon"},
				{"the football final was played{where}{when}", "{where}{when}, two football teams met in the final"},
				{"a chess tournament ended{where}{when}", "{where}{when}, the last game of a chess tournament was played"},
				{"the swimming championships began{where}{when}", "{where}{when}, the best swimmers competed for the title"},
				{"a cycling race finished{where}{when}", "{where}{when}, cyclists reached the finish of a race"},
			},
			count: [2]string{"{n} fans had come", "{n} spectators watched"},
			money: [2]string{"the prize money is {m}", "the club is earning {m}"},
			org:   [2]string{"{org} {from} supplied the equipment", "a prize came {from}: {org} honoured the winners"},
			lasts: [2]string{"the favourites had trained for {dur}", "the teams stay for {dur}"},
			quotes: [quotesPerTopic]string{"we fought to the end", "this success makes us proud",
				"the weather was difficult", "we will be back next year", "our opponents were very strong"},
			roles: [rolesPerTopic][2]string{{"coach", "coach"}, {"club president", "club president"}},
		},
		{
			leads: [kindsPerTopic][2]string{
				{"doctors tested a new vaccine{where}{when}", "{where}{when}, a clinic reported success with a new vaccine"},
				{"archaeologists discovered an ancient tomb{where}{when}",
					"{where}{when}, a tomb from antiquity came to light during excavations"},
				{"a new telescope went into operation{where}{when}",
					"{where}{when}, astronomers used a new telescope for the first time"},
				{"engineers presented a robot{where}{when}", "{where}{when}, a laboratory showed a robot that helps nurses"},
				{"biologists found a rare bird{where}{when}", "{where}{when}, a bird that was thought extinct was seen again"},
			},
			count: [2]string{"{n} volunteers took part", "the team evaluated {n} photographs"},
			money: [2]string{"the research cost {m}", "the state supported the project with {m}"},
			org:   [2]string{"{org} {from} built the instruments", "the data come {from}: {org} collected them"},
			lasts: [2]string{"the work took {dur}", "the researchers had been preparing for {dur}"},
			quotes: [quotesPerTopic]string{"this is only the beginning", "the results surprised us",
				"many questions remain open", "we checked everything twice", "our students helped a lot"},
			roles: [rolesPerTopic][2]string{{"professor", "professor"}, {"project leader", "project leader"}},
		},
	},
}
