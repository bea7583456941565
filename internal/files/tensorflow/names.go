package tensorflow

import (
	"regexp"
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

// modelRows are in a model once. (modeling.py; run_pretraining.py; classifier_utils.py, race_utils.py, squad_utils.py.)
var modelRows = []row{
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
	// GLUE, RACE
	{"output_weights", "classifier.weight", single},
	{"output_bias", "classifier.bias", single},
	// SQuAD 1.1
	{"cls/squad/output_weights", "qa_outputs.weight", single},
	{"cls/squad/output_bias", "qa_outputs.bias", single},
	// SQuAD 2.0; transformers has no such head, the names are Google's with dots
	{"start_logits/dense", "start_logits.dense", dense},
	{"end_logits/dense_0", "end_logits.dense_0", dense},
	{"end_logits/LayerNorm", "end_logits.LayerNorm", norm},
	{"end_logits/dense_1", "end_logits.dense_1", dense},
	{"answer_class/dense_0", "answer_class.dense_0", dense},
	{"answer_class/dense_1", "answer_class.dense_1", dense},
}

// layerRows are in every inner group of every group. (modeling.py, attention_ffn_block.)
var layerRows = []row{
	{"attention_1/self/query", "attention.query", dense},
	{"attention_1/self/key", "attention.key", dense},
	{"attention_1/self/value", "attention.value", dense},
	{"attention_1/output/dense", "attention.dense", dense},
	{"LayerNorm", "attention.LayerNorm", norm},
	{"ffn_1/intermediate/dense", "ffn", dense},
	{"ffn_1/intermediate/output/dense", "ffn_output", dense},
	{"LayerNorm_1", "full_layer_layer_norm", norm},
}

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

var (
	modelToHF, modelToGoogle = tables(modelRows)
	layerToHF, layerToGoogle = tables(layerRows)

	googleLayer = regexp.MustCompile(`^bert/encoder/transformer/group_(0|[1-9][0-9]{0,8})/inner_group_(0|[1-9][0-9]{0,8})/(.*)$`)
	hfLayer     = regexp.MustCompile(`^albert\.encoder\.albert_layer_groups\.(0|[1-9][0-9]{0,8})\.albert_layers\.(0|[1-9][0-9]{0,8})\.(.*)$`)
)

// toHF gives Hugging Face's name of a variable, with or without TF-Hub's prefix.
func toHF(google string) (n name, ok bool) {
	google = strings.TrimPrefix(google, "module/")
	if m := googleLayer.FindStringSubmatch(google); m != nil {
		n, ok = layerToHF[m[3]]
		n.name = "albert.encoder.albert_layer_groups." + m[1] + ".albert_layers." + m[2] + "." + n.name
		return n, ok
	}
	n, ok = modelToHF[google]
	return n, ok
}

// toGoogle gives Google's name of a tensor of AlbertForPreTraining, or of one of the heads.
func toGoogle(hf string) (n name, ok bool) {
	if m := hfLayer.FindStringSubmatch(hf); m != nil {
		n, ok = layerToGoogle[m[3]]
		n.name = "bert/encoder/transformer/group_" + m[1] + "/inner_group_" + m[2] + "/" + n.name
		return n, ok
	}
	n, ok = modelToGoogle[hf]
	return n, ok
}
