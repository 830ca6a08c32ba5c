package task_test

import (
	"context"
	"fmt"
	"log"

	"github.com/marge-go/marge/marge"
	"github.com/marge-go/marge/marge/corpus/news"
	"github.com/marge-go/marge/marge/task"
)

// Questions about generated reports, answered by the best-matching sentence.
func ExampleScoreAnswers() {
	questions := task.NewsQuestions(news.Options{Seed: 1, Events: 20, Languages: []string{"en"}})
	var answers []string
	for _, q := range questions {
		answers = append(answers, task.BestSentence(q))
	}
	fmt.Println(questions[0].Question)
	fmt.Println(questions[0].Answers[0])
	score, err := task.ScoreAnswers(context.Background(), questions, answers, nil)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(score.All)
	// Output:
	// How old is the person who is quoted?
	// {35 251}
	// exact match 0.0, F1 19.7
}

func ExampleOracleSummary() {
	text := "It rained all day. A ferry sank near Oslo. Nobody was hurt."
	fmt.Println(task.FirstSentences([]string{text}))
	best, err := task.OracleSummary(context.Background(), text, "Ferry sinks near Oslo, nobody hurt")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(best)
	// Output:
	// [It rained all day.]
	// A ferry sank near Oslo. Nobody was hurt.
}

func ExampleNewWordOverlap() {
	pairs := []marge.Labeled{
		{Text: "A dog barks.", Other: "The dog barks.", Label: task.Paraphrase},
		{Text: "A dog barks.", Other: "It rains in Oslo.", Label: task.Different},
	}
	overlap, err := task.NewWordOverlap(pairs)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(overlap.Threshold, overlap.Labels(pairs))
	// Output: 0.5 [1 0]
}
