// Command serve asks a server by go-openai and prints the vector that it gets as JSON.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"

	"github.com/sashabaranov/go-openai"
)

func main() {
	config := openai.DefaultConfig("none")
	config.BaseURL = os.Args[1] + "/v1"
	client := openai.NewClientWithConfig(config)
	out := map[string][]float32{}
	for _, format := range []openai.EmbeddingEncodingFormat{openai.EmbeddingEncodingFormatFloat, openai.EmbeddingEncodingFormatBase64} {
		answer, err := client.CreateEmbeddings(context.Background(), openai.EmbeddingRequestStrings{Input: []string{os.Args[2]}, Model: "fill", EncodingFormat: format})
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		out[string(format)] = answer.Data[0].Embedding
	}
	_ = json.NewEncoder(os.Stdout).Encode(out)
}
