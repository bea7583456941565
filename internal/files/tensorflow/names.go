package tensorflow

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// kind says which variables a row of the table of names means.
type kind int

const (
	single kind = iota // the name itself, laid out alike on both sides
	dense              // kernel [in,out] there, weight [out,in] here; bias
	norm               // gamma, beta there; weight, bias here
)

// row is a variable, or a layer of them, under Google's name and under Hugging Face's.
type row struct {
	google, hf string
	kind       kind
}

// headRows are the heads of fine-tuned models. (classifier_utils.py, race_utils.py, squad_utils.py; BERT's run_classifier.py, run_squad.py.)
var headRows = []row{
	// GLUE, RACE
	{"output_weights", "classifier.weight", single},
	{"output_bias", "classifier.bias", single},
	// SQuAD 1.1; BERT's of SQuAD 2.0, too
	{"cls/squad/output_weights", "qa_outputs.weight", single},
	{"cls/squad/output_bias", "qa_outputs.bias", single},
	// ALBERT's of SQuAD 2.0; transformers has no such head, the names are Google's with dots
	{"start_logits/dense", "start_logits.dense", dense},
	{"end_logits/dense_0", "end_logits.dense_0", dense},
	{"end_logits/LayerNorm", "end_logits.LayerNorm", norm},
	{"end_logits/dense_1", "end_logits.dense_1", dense},
	{"answer_class/dense_0", "answer_class.dense_0", dense},
	{"answer_class/dense_1", "answer_class.dense_1", dense},
}

// albert has ALBERT's names. (modeling.py, attention_ffn_block; run_pretraining.py.)
var albert = newNaming([]row{
	{"bert/embeddings/word_embeddings", "albert.embeddings.word_embeddings.weight", single},
	{"bert/embeddings/token_type_embeddings", "albert.embeddings.token_type_embeddings.weight", single},
	{"bert/embeddings/position_embeddings", "albert.embeddings.position_embeddings.weight", single},
	{"bert/embeddings/LayerNorm", "albert.embeddings.LayerNorm", norm},
	{"bert/encoder/embedding_hidden_mapping_in", "albert.encoder.embedding_hidden_mapping_in", dense},
	{"bert/pooler/dense", "albert.pooler", dense},
	{"cls/predictions/transform/dense", "predictions.dense", dense},
	{"cls/predictions/transform/LayerNorm", "predictions.LayerNorm", norm},
	{"cls/predictions/output_bias", "predictions.bias", single},
	{"cls/seq_relationship/output_weights", "sop_classifier.classifier.weight", single},
	{"cls/seq_relationship/output_bias", "sop_classifier.classifier.bias", single},
}, []row{ // in every inner group of every group
	{"attention_1/self/query", "attention.query", dense},
	{"attention_1/self/key", "attention.key", dense},
	{"attention_1/self/value", "attention.value", dense},
	{"attention_1/output/dense", "attention.dense", dense},
	{"LayerNorm", "attention.LayerNorm", norm},
	{"ffn_1/intermediate/dense", "ffn", dense},
	{"ffn_1/intermediate/output/dense", "ffn_output", dense},
	{"LayerNorm_1", "full_layer_layer_norm", norm},
}, "bert/encoder/transformer/group_#/inner_group_#/", "albert.encoder.albert_layer_groups.#.albert_layers.#.")

// bert has BERT's names. (BERT's modeling.py, transformer_model; run_pretraining.py.)
var bert = newNaming([]row{
	{"bert/embeddings/word_embeddings", "bert.embeddings.word_embeddings.weight", single},
	{"bert/embeddings/token_type_embeddings", "bert.embeddings.token_type_embeddings.weight", single},
	{"bert/embeddings/position_embeddings", "bert.embeddings.position_embeddings.weight", single},
	{"bert/embeddings/LayerNorm", "bert.embeddings.LayerNorm", norm},
	{"bert/pooler/dense", "bert.pooler.dense", dense},
	{"cls/predictions/transform/dense", "cls.predictions.transform.dense", dense},
	{"cls/predictions/transform/LayerNorm", "cls.predictions.transform.LayerNorm", norm},
	{"cls/predictions/output_bias", "cls.predictions.bias", single},
	{"cls/seq_relationship/output_weights", "cls.seq_relationship.weight", single},
	{"cls/seq_relationship/output_bias", "cls.seq_relationship.bias", single},
}, []row{ // in every layer
	{"attention/self/query", "attention.self.query", dense},
	{"attention/self/key", "attention.self.key", dense},
	{"attention/self/value", "attention.self.value", dense},
	{"attention/output/dense", "attention.output.dense", dense},
	{"attention/output/LayerNorm", "attention.output.LayerNorm", norm},
	{"intermediate/dense", "intermediate.dense", dense},
	{"output/dense", "output.dense", dense},
	{"output/LayerNorm", "output.LayerNorm", norm},
}, "bert/encoder/layer_#/", "bert.encoder.layer.#.")

// name is a variable's name on the other side.
type name struct {
	name      string
	transpose bool
}

// table maps the names of one side to those of the other.
type table map[string]name

// tables makes both directions of rows.
func tables(rows []row) (toHF, toGoogle table) {
	toHF, toGoogle = table{}, table{}
	add := func(google, hf string, transpose bool) {
		toHF[google], toGoogle[hf] = name{hf, transpose}, name{google, transpose}
	}
	for _, r := range rows {
		switch r.kind {
		case single:
			add(r.google, r.hf, false)
		case dense:
			add(r.google+"/kernel", r.hf+".weight", true)
			add(r.google+"/bias", r.hf+".bias", false)
		case norm:
			add(r.google+"/gamma", r.hf+".weight", false)
			add(r.google+"/beta", r.hf+".bias", false)
		}
	}
	return toHF, toGoogle
}

// naming has the names of a family of models on both sides.
type naming struct {
	toHF, toGoogle side
}

// side turns the names of one side into those of the other.
type side struct {
	once, layer table          // of a model's variables, and of a layer's behind what stands before them
	before      *regexp.Regexp // matches what stands before a layer's names; its last group is the name
	to          string         // what stands there on the other side, with the numbers as $1, $2
}

// newNaming makes a naming of the rows that a model has once, those of each layer, and what stands before these, with # for a number.
func newNaming(once, layer []row, google, hf string) *naming {
	var n naming
	n.toHF.once, n.toGoogle.once = tables(slices.Concat(once, headRows))
	n.toHF.layer, n.toGoogle.layer = tables(layer)
	pattern := func(before string) *regexp.Regexp {
		return regexp.MustCompile("^" + strings.ReplaceAll(regexp.QuoteMeta(before), "#", "(0|[1-9][0-9]{0,8})") + "(.*)$")
	}
	target := func(before string) string {
		for i := 1; strings.Contains(before, "#"); i++ {
			before = strings.Replace(before, "#", fmt.Sprintf("${%d}", i), 1)
		}
		return before
	}
	n.toHF.before, n.toHF.to = pattern(google), target(hf)
	n.toGoogle.before, n.toGoogle.to = pattern(hf), target(google)
	return &n
}

// name gives the name on the other side.
func (s *side) name(of string) (n name, ok bool) {
	if m := s.before.FindStringSubmatchIndex(of); m != nil {
		n, ok = s.layer[of[m[len(m)-2]:]]
		n.name = string(s.before.ExpandString(nil, s.to, of, m)) + n.name
		return n, ok
	}
	n, ok = s.once[of]
	return n, ok
}

// namingOf tells by a checkpoint's variables whether they are BERT's or ALBERT's.
func namingOf(variables []string) *naming {
	if slices.ContainsFunc(variables, func(v string) bool { return bert.toHF.before.MatchString(plain(v)) }) {
		return bert
	}
	return albert
}

// plain is a variable's name without TF-Hub's prefix.
func plain(variable string) string { return strings.TrimPrefix(variable, "module/") }

// toGoogle gives Google's name of a tensor of AlbertForPreTraining or BertForPreTraining, or of one of the heads.
func toGoogle(hf string) (n name, ok bool) {
	if n, ok = albert.toGoogle.name(hf); !ok {
		n, ok = bert.toGoogle.name(hf)
	}
	return n, ok
}
