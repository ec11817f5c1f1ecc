import pytest

from cds_service.errors import UnusableInput
from cds_service.security import exposure

EVERYWHERE = "0.0.0.0"  # noqa: S104 - what is tested
PUBLIC = "https://cds.example.org"


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "localhost"])
def test_without_clients_this_machine_is_served_and_told_so(host: str) -> None:
    assert exposure.check(False, None, host, insecure=False).startswith("No clients are configured: only this machine")


@pytest.mark.parametrize(
    "host", [EVERYWHERE, "::", "10.0.0.1", "cds.example.org", "127.0.0.1.example.org", "::ffff:1.2.3.4", ""]
)
def test_without_clients_another_address_is_refused_unless_told(host: str) -> None:
    with pytest.raises(UnusableInput, match="--insecure"):
        exposure.check(False, PUBLIC, host, insecure=False)

    assert exposure.check(False, None, host, insecure=True).startswith("INSECURE: ")


def test_with_clients_every_address_is_served_but_others_need_to_know_their_url() -> None:
    assert "need a token" in exposure.check(True, PUBLIC, EVERYWHERE, insecure=False)
    assert "need a token" in exposure.check(True, None, "127.0.0.1", insecure=False)
    with pytest.raises(UnusableInput, match="COVERAGE_CDS_BASE_URL"):
        exposure.check(True, None, EVERYWHERE, insecure=False)
