// Package dataset reads the labelled data that models are fine-tuned and scored on, and writes predictions in the forms that scoring
// scripts and leaderboards take.
//
// It knows GLUE's nine tasks and its diagnostic set as they are distributed, SQuAD 1.1 and 2.0, RACE, and the user's own data: classes,
// several classes at once, scores, tags, choices and answers in TSV, CSV, JSON lines, Parquet, CoNLL columns or SQuAD's JSON; all but
// Parquet may be packed with gzip or zstd.
//
//	task, err := dataset.TaskNamed("sst-2")
//	...
//	train, err := dataset.Load(task, "glue", dataset.Train, dataset.Options{})
//	...
//	dev, err := dataset.Load(task, "glue", dataset.Dev, train.Options())
//	for _, e := range dev.Examples {
//		... e.Text, dev.Labels[e.Label] ...
//	}
//
// Files are read as streams with bounded buffers, but a set's examples are all held in memory, each with its texts and some 230 bytes more.
// The largest sets meant for fine-tuning (400,000 pairs) take some 200 MB. Questions about one passage share the passage.
//
// Texts are given as the files have them: nothing is trimmed, lower-cased or cut. Known faults of the published files (broken lines of QQP,
// pairs of MNLI without a gold label) are left out, as is usual, and counted in [Set.Notes]; anything else that is wrong is an error that
// names the file and the line. Invalid UTF-8, a zero byte and a text of more than 10 MB are such errors.
package dataset
