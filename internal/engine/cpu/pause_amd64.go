package cpu

// pause tells the core that this is a waiting loop.
func pause()
