"""What runs inside of the sandbox: the standard library, as little of it as possible, and these files.

``program`` runs what a policy wrote, ``checker`` runs the tests of a data set, each in a sandbox of its own; ``wire``
is the data format they talk in. The host compiles these files and hands them over as the first thing on a pipe, so
that the sandbox needs no view of this package.
"""
