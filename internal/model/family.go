package model

import "strings"

// marks are what the tensors of a family of models have in their names and those of no other; dots stand for slashes, too.
var marks = []struct{ part, family string }{
	{"albert_layer_groups.", albertType},
	{"roberta.", "RoBERTa"}, {"lm_head.dense.", "RoBERTa"},
	{"distilbert.", "DistilBERT"}, {".attention.q_lin.", "DistilBERT"}, {"vocab_transform.", "DistilBERT"},
	{"deberta.", "DeBERTa"}, {"encoder.rel_embeddings.", "DeBERTa"}, {".attention.self.in_proj.", "DeBERTa"}, {".attention.self.query_proj.", "DeBERTa"},
	{"electra.", "ELECTRA"}, {"generator_predictions.", "ELECTRA"}, {"discriminator_predictions.", "ELECTRA"}, {"embeddings_project.", "ELECTRA"},
	{"mpnet.", "MPNet"}, {".attention.attn.q.", "MPNet"},
	{"mobilebert.", "MobileBERT"}, {"embeddings.embedding_transformation.", "MobileBERT"},
	{"embeddings.tok_embeddings.", "ModernBERT"}, {".rel_attn.", "XLNet"}, {"wte.weight", "GPT-2"}, {".SelfAttention.", "T5"},
	{"encoder.layer.", bertType}, // what is left of the many that have BERT's names
}

// family tells which family's names tensors have, "" where it is none of those that are known.
func family(names []string) string {
	for _, m := range marks {
		for _, n := range names {
			if strings.Contains(strings.ReplaceAll(n, "/", "."), m.part) {
				return m.family
			}
		}
	}
	return ""
}

// LooksLikeBERT tells by the names of tensors that they are BERT's: for a file whose configuration does not say.
func LooksLikeBERT(names []string) bool { return family(names) == bertType }

// ForeignFamily tells by the names of tensors whose they are, if they are those of a model that is neither ALBERT nor BERT; "" otherwise.
func ForeignFamily(names []string) string {
	if f := family(names); f != albertType && f != bertType {
		return f
	}
	return ""
}
