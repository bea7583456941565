// Package tensorflow reads and writes TensorFlow checkpoints, and knows the names that Google's ALBERT and BERT have in them.
//
//	f, err := tensorflow.Open("albert_base/model.ckpt-best")
//	m, unused, err := tensorflow.Model(f)       // under Hugging Face's names
//	values, shape, err := m.Float32("albert.pooler.weight")
//
// A checkpoint ("tensor bundle", version 2 of the format) is PREFIX.index, a LevelDB table that says where each tensor lies, and
// PREFIX.data-SSSSS-of-NNNNN, the tensors' bytes. PREFIX.meta, the graph, is neither read nor written. Not read: partitioned
// variables, strings, checkpoints of big-endian machines, and the single-file format of before 2016.
//
// [OpenTar] unpacks an archive in which ALBERT was released.
package tensorflow
