"""The namespaces of the core, by their usual short names."""

CLIENT = "jabber:client"
STREAM = "http://etherx.jabber.org/streams"
STREAM_ERRORS = "urn:ietf:params:xml:ns:xmpp-streams"
STANZA_ERRORS = "urn:ietf:params:xml:ns:xmpp-stanzas"
TLS = "urn:ietf:params:xml:ns:xmpp-tls"
SASL = "urn:ietf:params:xml:ns:xmpp-sasl"
SASL_CHANNEL_BINDING = "urn:xmpp:sasl-cb:0"  # XEP-0440
BIND = "urn:ietf:params:xml:ns:xmpp-bind"
SESSION = "urn:ietf:params:xml:ns:xmpp-session"  # RFC 3921 §3
SM = "urn:xmpp:sm:3"  # XEP-0198
STREAM_LIMITS = "urn:xmpp:stream-limits:0"  # XEP-0478
PING = "urn:xmpp:ping"  # XEP-0199
MAM = "urn:xmpp:mam:2"  # XEP-0313
RSM = "http://jabber.org/protocol/rsm"  # XEP-0059
FORWARD = "urn:xmpp:forward:0"  # XEP-0297
