"""The support cache: labelled embeddings as a file, its versions, and what it stores of unknown defects."""
