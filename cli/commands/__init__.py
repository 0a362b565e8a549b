"""The commands, thin: what is typed, what is shown. What they do stands in the modules beside this package."""
