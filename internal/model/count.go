package model

import "strings"

// FlopsForward counts a forward pass over one sequence of n pieces: 2nEH + L(2n(4H^2 + 2HF) + 4n^2 H), L with inner groups.
// Heads, softmax, activations and normalisations count nothing. A training step counts three times that.
func (c *Config) FlopsForward(n int) float64 {
	N, E, H, F := float64(n), float64(c.EmbeddingSize), float64(c.HiddenSize), float64(c.IntermediateSize)
	L := float64(c.NumHiddenLayers * c.InnerGroupNum)
	return 2*N*E*H + L*(2*N*(4*H*H+2*H*F)+4*N*N*H)
}

// ParameterCount is the number of values in distinct parameters, without making them: of encoder and pooler, and with the
// pretraining heads.
func (c *Config) ParameterCount() (encoder, total int) {
	e, h, f := c.EmbeddingSize, c.HiddenSize, c.IntermediateSize
	encoder = (c.VocabSize+c.MaxPositionEmbeddings+c.TypeVocabSize)*e + 2*e
	if c.Projects() {
		encoder += e*h + h
	}
	attention, ffn := 4*(h*h+h)+2*h, 2*h*f+f+h+2*h
	attentions, ffns := c.groups(), c.groups()
	if c.Sharing == ShareAttention {
		attentions = 1
	}
	if c.Sharing == ShareFFN {
		ffns = 1
	}
	encoder += c.InnerGroupNum * (attentions*attention + ffns*ffn)
	encoder += h*h + h
	return encoder, encoder + c.VocabSize + 2*e + h*e + e + 2*h + 2
}

// InferenceBytes is about the memory of a forward pass over one sequence of n pieces: the parameters, each weight packed for the
// kernels, and the activations of a layer.
func (c *Config) InferenceBytes(n int) int {
	_, total := c.ParameterCount()
	activations := n * (8*c.HiddenSize + c.IntermediateSize)
	return 4 * (2*total + activations)
}

// EncoderSize is the number of values in the parameters of encoder and pooler.
func (m *Model) EncoderSize() int {
	n := 0
	for _, p := range m.Params.List {
		if strings.HasPrefix(p.Name, m.Config.Prefix()) {
			n += p.Rows() * p.Cols()
		}
	}
	return n
}
