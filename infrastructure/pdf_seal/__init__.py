"""The seal of a PDF (PAdES): made, renewed and verified. What an installation uses of it is `seal_service.py`.

`sealing` makes it with `credentials` (or a key of `pkcs11_key`), a `signature` and lists of `revocations`; `revisions` writes it into
the file. `verification` has it looked at by a process with limits, whose program is `child` and whose judgement is `examination`.
"""
