"""A HealthChain service with a rule that does nothing, for the environment in which HealthChain is installed."""

# no type hints of ours: this runs where only HealthChain is installed, and nothing checks it there
from healthchain.gateway import CDSHooksService, HealthChainAPI  # type: ignore[import-not-found]
from healthchain.models import CDSRequest, CDSResponse  # type: ignore[import-not-found]

service = CDSHooksService()


@service.hook("order-sign", id="coverage-criteria")  # type: ignore[untyped-decorator]
def nothing(request: CDSRequest) -> CDSResponse:  # noqa: ARG001 - the framework hands it over
    """Answer without cards."""
    return CDSResponse(cards=[])


app = HealthChainAPI()
app.register_service(service, path="/cds")
