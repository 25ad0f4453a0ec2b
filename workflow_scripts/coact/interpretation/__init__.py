"""What features mean.

In: sparse features, the token stream, dictionaries, models and graphs. Out: tables of examples, tokens, contexts,
effects, explanations, chains, maps and rare features. What is chosen (a feature for a context, a rule) is chosen on the
training stream and measured on held-out tokens.
"""
