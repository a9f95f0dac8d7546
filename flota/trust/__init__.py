"""Trust: TUF repository and client, director envelopes, device certificates. Every primitive comes from a library.

=================  ===================================  =====================================================
key                who holds it                         what it says
=================  ===================================  =====================================================
root               publisher, offline                   which keys the other roles have
targets            publisher, offline                   which bundles and which director keys are ours
image              publisher, offline                   which images a microcontroller may activate
snapshot           server, online                       which targets metadata is current
timestamp          server, online                       which snapshot is current, and that it is fresh
director           server, online (a TUF target)        which device shall run which bundle
fleet CA           server, online                       which device is which
=================  ===================================  =====================================================
"""
