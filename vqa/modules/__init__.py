"""The compositional family: a question's layout, and a network of modules that executes it."""
