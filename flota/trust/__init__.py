"""Trust: TUF repository and client, director envelopes, device certificates. Every primitive comes from a library."""
