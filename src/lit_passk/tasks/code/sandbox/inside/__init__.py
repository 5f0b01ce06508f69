"""What runs inside of the sandbox: the standard library, as little of it as possible, and these files.

``stdio`` feeds programs that read standard input; ``functions`` runs a program whose functions are called, ``checker``
the tests that call them, in another process, and ``wire`` is the data format those two talk in. The host compiles these
files and hands them over as the first thing on a pipe, so that the sandbox needs no view of this package.
"""
