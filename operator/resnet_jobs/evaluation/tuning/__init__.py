"""Which settings of Triton are best: what there is to try, how it is searched, what it costs."""
