"""The recorded ASP.NET Core servers once more, on the public interface of ``protocol`` only.

It serves the endpoints and hubs of both recorded programs on one port, so that every scenario in
``spec-fixtures/wire`` can be played against it. What a client sees of a hub (names, parameter
types, the order of what is sent) is given by the recordings; the modules here say it in Python:
``conformance_*`` and ``connection_*`` are the hubs of the two programs, ``app`` maps them.
"""
