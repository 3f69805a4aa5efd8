"""An open connection to a peer: its UDX stream, its encryption, and the path that it follows."""
