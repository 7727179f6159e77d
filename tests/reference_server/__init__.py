"""The recorded ASP.NET Core servers, rewritten with the public names of ``protocol``.

This server has the endpoints and hubs of both recorded programs on one port, so that every scenario
in ``spec-fixtures/wire`` can run with it. Names, parameter types and the order of messages are
those of the recordings. ``conformance_*`` and ``connection_*`` are the hubs of the two programs,
and ``app`` maps them.
"""
