"""Training of the fine-tuned head `zip-f`, in numpy."""
