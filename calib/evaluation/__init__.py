"""How good a support would be: the protocol of the paper, on embeddings, with its tables and plots."""
