"""Text, its division into training and held-out documents, and its tokens.

In: `corpus` of the configuration. Out: a table of documents per split with a manifest (`collect`), a byte-level BPE
tokenizer (`tokenizer`), and per tokenizer and split a stream of contexts whose every token knows its document and its
label (`tokens`).
"""
