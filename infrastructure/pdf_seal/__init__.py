"""The seal of a PDF (PAdES): made, renewed and verified.

`sealing` makes it with `credentials`, `revisions` writes it into the file, `verification` has it looked at by a process with
limits, whose program is `child` and whose judgement is `examination`.
"""
