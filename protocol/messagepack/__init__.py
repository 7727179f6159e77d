"""The MessagePack hub protocol."""
