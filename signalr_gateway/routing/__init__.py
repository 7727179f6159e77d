"""Pure decisions: which call goes where, and which event goes to which clients."""
