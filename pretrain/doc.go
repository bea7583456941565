// Package pretrain pretrains a model: text or shards in, a run directory with the model out. Its [Config] is the record that `albert pretrain` fills
// from its flags, and [Run] is all that the command does:
//
//	c := pretrain.Defaults()
//	c.Output, c.Config, c.Tokenizer, c.Train = "runs/own", "base", "own.model", []string{"text.txt"}
//	r, err := pretrain.Run(ctx, c)
//
// A run that is interrupted goes on when it is called again, and ends with the bits of one that was not; changing a field that reaches a bit of the
// result is refused by its name. How text becomes examples is told in package examples.
package pretrain
