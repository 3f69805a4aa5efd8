"""Peers in the own network: who is asked for there, and who answers."""
