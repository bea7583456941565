package dataset

import "testing"

// A Git LFS pointer in place of labelled data is named as what it is.
func TestPointer(t *testing.T) {
	const pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 3\n"
	for _, c := range [][2]string{{"classify", "x.csv"}, {"classify", "x.tsv"}, {"classify", "x.jsonl"}, {"classify", "x.parquet"}, {"classify", "x.csv.gz"},
		{"tag", "x.conll"}, {"squad1", "x.json"}, {"race", "x.tar.gz"}, {"sst2", "train.tsv"}} {
		_, err := readText(t, c[0], Train, c[1], pointer, Options{})
		wantError(t, err, c[1]+": a Git LFS pointer, not the file: git lfs pull")
	}
}
