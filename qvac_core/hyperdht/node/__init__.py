"""The ground: sockets, datagrams, requests of the DHT, and what watches the machine and its networks."""
