// Package pretrain pretrains a model: text or shards in, a run directory with the model out. `albert pretrain` fills a [Config] from its flags and calls
// [Run]:
//
//	c := pretrain.Defaults()
//	c.Output, c.Config, c.Tokenizer, c.Train = "runs/own", "base", "own.model", []string{"text.txt"}
//	r, err := pretrain.Run(ctx, c)
//
// A run that is interrupted goes on when it is called again, and ends with the bits of one that was not; changing a field that reaches a bit of the
// result is refused by its name. How text becomes examples is told in package examples.
package pretrain
