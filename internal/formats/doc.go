// Package formats opens a model from whatever files people have it in, and writes it into any of them: Hugging Face directories,
// safetensors, PyTorch and ONNX files, Google's TensorFlow checkpoints and the archives they were released in.
//
//	m, err := formats.Open("albert_base_v2.tar.gz")
//	defer m.Close()
//	err = formats.Write("albert-base-v2", m, formats.WriteOptions{})
//
// The formats themselves are in packages weights, weights/tensorflow, weights/pytorch and onnx; this one knows what stands beside
// the tensors, configuration and tokenizer, and how a path is told to be of a format.
package formats
