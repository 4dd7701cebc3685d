"""The namespaces of the core, by their usual short names."""

CLIENT = "jabber:client"
STREAM = "http://etherx.jabber.org/streams"
STREAM_ERRORS = "urn:ietf:params:xml:ns:xmpp-streams"
STANZA_ERRORS = "urn:ietf:params:xml:ns:xmpp-stanzas"
TLS = "urn:ietf:params:xml:ns:xmpp-tls"
SASL = "urn:ietf:params:xml:ns:xmpp-sasl"
SASL_CHANNEL_BINDING = "urn:xmpp:sasl-cb:0"  # XEP-0440
BIND = "urn:ietf:params:xml:ns:xmpp-bind"
SM = "urn:xmpp:sm:3"  # XEP-0198
STREAM_LIMITS = "urn:xmpp:stream-limits:0"  # XEP-0478
