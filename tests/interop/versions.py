"""The releases of the official clients with which the tests are played.

Each pair is a SignalR client and the Newtonsoft protocol that fits it (there is none of 9).
"""

CLIENTS = {
    "8.0.34": "8.0.34",
    "9.0.23": "8.0.34",
    "10.0.15": "10.0.15",
    "11.0.0": "11.0.0",
}

MESSAGEPACK = {
    "8.0.34": "9.0.22",
    "9.0.23": "9.0.22",
    "10.0.15": "10.0.14",
    "11.0.0": "10.0.14",
}
"""The MessagePack protocol that goes with each client."""

CURRENT = "10.0.15"
"""The release that plays the tests in which versions make no difference."""
