"""Being connected to: announces, handshakes and who is admitted, and what becomes of each client."""
