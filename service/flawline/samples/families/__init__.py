"""One module per family of flaws: its usual steel, its size and how it is drawn."""
