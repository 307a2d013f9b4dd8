"""Facts in words: what happened, to whom, and how it was observed. Nothing is said that the fact does not hold.

The readable report of a bundle and the certificate of completion say the same of the same facts, because both take it from here.
"""
