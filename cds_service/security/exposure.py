"""Where the service may be reached: without clients on this machine only, unless it is told that this is meant."""

from __future__ import annotations

from cds_service.errors import UnusableInput
from cds_service.security.outbound import is_loopback


def check(has_clients: bool, base_url: str | None, host: str, insecure: bool) -> str:
    """Return one line that says who may call at an address. Raises UnusableInput when it must not be served."""
    here = is_loopback(host)
    if has_clients:
        if not here and base_url is None:
            raise UnusableInput(
                f"{host} can be reached by others, whose tokens have to name this service: set COVERAGE_CDS_BASE_URL."
            )
        return "Only configured clients may call: requests need a token."
    if here:
        return "No clients are configured: only this machine is served, and requests need no token."
    if not insecure:
        raise UnusableInput(
            f"{host} can be reached by others and no clients are configured: set COVERAGE_CDS_CLIENTS, or serve "
            "127.0.0.1, or say --insecure."
        )
    return f"INSECURE: no clients are configured, and whoever reaches {host} may call without a token."
