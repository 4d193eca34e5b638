"""Sandboxes: stateful servers over real HTTP that behave like the services Millstream talks to.

They ship with the product, so that anybody can try a run, a bad day or a limit without an account. Only the command
line may import this room; the sandboxes themselves know nothing of Millstream but the pure rooms `mime` and `quota`.
"""
