"""Connecting: finding a peer, shaking hands with it, reaching it, and keeping the connection when its path goes."""
