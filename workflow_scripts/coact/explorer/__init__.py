"""The explorer: a page of all features, that opens from disk.

Comes in: tables of every column (features, contexts, effects, explanations, graph, communities).
Goes out: per column a folder of scripts, each with the cards of some features or with a community's graph, and what the
list of features needs; one page that holds the latter and loads the former as they are wanted.

    neighbourhoods                                          the graph around a feature and that of a community
    records                                                 what is shown of a feature
    files                                                   the folder of a column
    page                                                    the page

A page opened from disk may not read files, but may load scripts: data loaded on demand is a call within a script.
"""
