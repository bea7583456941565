// Package formats opens a model from whatever files people have it in, and writes it into any of them: Hugging Face directories,
// safetensors, PyTorch and ONNX files, Google's TensorFlow checkpoints and the archives they were released in. Runs of training are
// opened too, and not written.
//
//	m, err := formats.Open("albert_base_v2.tar.gz")
//	...
//	format, notes, err := formats.Write(ctx, "albert-base-v2", m, formats.WriteOptions{})
//
// It alone decides what a path means. The formats themselves are in packages safetensors, pytorch, tensorflow and onnx, which know
// tensors by name; this one knows what else a model has, configuration and tokenizer, and where they are.
package formats
