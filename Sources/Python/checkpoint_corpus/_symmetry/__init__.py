"""Which hidden units of a module may change places: traced through a forward pass, and proven on numbers."""
