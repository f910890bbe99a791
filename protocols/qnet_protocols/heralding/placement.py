"""Where the station of a link sits: checks of schemes that are not made for a midpoint.

Theory
    A link has one station, and its arms say where it is. *Serial* schemes (a photon goes from a sender to
    a receiver) have their detector at the receiver: its arm has length 0, that of the sender is the
    whole span L. With T_L = L / c the timing of any link (:mod:`qnet.topology.links`) then is theirs:

        cycle = preparation + 2 max(flights) = tau_0 + 2 T_L

    the photon's way and the herald's way back, before the sender may try again. The sender's memory
    holds its half from the departure of the photon, T_L before the click; the receiver's from the click.
Assumptions and validity
    Both ends are told by the station, and both deliver when the sender can know; the receiver could
    use its half T_L earlier.
Not modelled
    A detector that is elsewhere than at the receiver.
Sources
    [1] Jones et al., New J. Phys. 18, 083015 (2016): placements and their timing.
"""

from __future__ import annotations

from qnet.plan import LinkPlan


def check_serial(link: LinkPlan, scheme: str, sender: str = "") -> None:
    """Refuse a link whose station is not at the receiver.

    Args:
        link: the link.
        scheme: name of the scheme, for the message.
        sender: end "A" or "B" that must have the longer arm (A if both have length 0: what lies behind the
            receiver is counted in the arm of B then); "" if the scheme need not know.

    Raises:
        ValueError: naming the constraint and the flights.
    """
    flights = link.flights
    if min(flights) != 0:
        raise ValueError(
            f"scheme {scheme} must have its station at the receiver, an arm of length 0 "
            f"(length_m = [L, 0.0]), got flights of {flights[0]} ps and {flights[1]} ps"
        )
    if sender and sender != ("B" if flights[0] < flights[1] else "A"):
        raise ValueError(
            f"scheme {scheme} must have the longer arm at the sender (end A if both have length 0), end "
            f"{sender} ({link.ends['AB'.index(sender)]}), got flights of {flights[0]} ps and "
            f"{flights[1]} ps; the parameter sender names the other end"
        )
