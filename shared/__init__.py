"""What services and clients have in common: the kit, the slot engine, the client, servers."""
