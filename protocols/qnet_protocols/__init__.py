"""Protocols of qnet: heralding schemes, link protocols and applications, each a plug-in like anyone's."""
