"""The CDS Hooks service: policies, their evaluation, and the web around them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flask import Flask

    from cds_service.review import Services
    from cds_service.settings import Settings
    from cds_service.store.recorder import Storage


def create_app(
    settings: Settings | None = None,
    services: Services | None = None,
    shared_counts: str | None = None,
    storage: Storage | None = None,
) -> Flask:
    """Wire the web application. What is not given is loaded, and fails here, at start, when it cannot be.

    ``shared_counts``: the folder of a server's ``WorkerCounts``, made before this; without it, one process counts.
    ``storage``: a server's ``StoringProcess``; without it, this process opens the database itself.
    """
    # Imported here: whoever imports a policy module of this package needs no web server.
    from cds_service import logs
    from cds_service.draining import Draining
    from cds_service.metrics import Metrics
    from cds_service.questionnaires.catalogue import Catalogue
    from cds_service.review import Services
    from cds_service.security.clients import cors_origins, load_clients
    from cds_service.settings import Settings
    from cds_service.store.keys import load_keys
    from cds_service.store.recorder import Recorder
    from cds_service.web import (
        admission,
        authentication,
        cors,
        decision_pages,
        errors,
        forms,
        hooks,
        layout,
        operations,
        operator_access,
        pages,
        playground,
        questionnaires,
        request_log,
    )
    from cds_service.web.application import Application
    from cds_service.web.readiness import Readiness

    settings = settings or Settings.load()
    logs.configure(settings.log_level)
    services = services or Services.load(settings)
    recorder = Recorder(settings, storage or _own_storage(settings))
    clients = load_clients(settings.clients) if settings.clients else ()
    servers = {*settings.fhir_servers, *(url for client in clients for url in client.fhir_servers)}
    metrics = Metrics(services.library, servers, services.connections.breakers, shared_counts)
    app = Application("cds_service.web", static_folder=None)
    app.url_map.strict_slashes = False
    request_log.register(app, metrics.request)
    layout.register(app)
    admission.register(app, settings.max_at_once, metrics)
    endpoints = hooks.blueprint(services, settings, recorder, metrics)
    catalogue = Catalogue(services.library)
    packages = questionnaires.packaging(catalogue, services.library, settings, recorder)
    judge = authentication.verifier(clients, settings) if clients else None
    if judge:
        authentication.require(endpoints, judge, settings.base_url)
        authentication.require(packages, judge, settings.base_url)
    app.register_blueprint(endpoints)
    app.register_blueprint(packages)
    app.register_blueprint(questionnaires.reading(catalogue, settings, recorder))
    app.register_blueprint(forms.blueprint(catalogue, settings, recorder, clients, services.connections))
    draining = Draining()
    app.extensions["recorder"], app.extensions["draining"] = recorder, draining
    readiness = Readiness(recorder, draining, judge)
    app.register_blueprint(operations.blueprint(readiness, metrics, recorder, settings.metrics_token))
    app.register_blueprint(pages.blueprint(services.library, settings.silence))
    app.register_blueprint(playground.blueprint(settings, needs_token=bool(clients)))
    if settings.decision_pages:
        replays = authentication.replays_of(settings) if judge else None
        gate = operator_access.Gate(judge, replays, settings.base_url, lambda: load_keys(settings))
        app.register_blueprint(gate.guarding(decision_pages.blueprint(settings, services.library, settings.silence)))
    errors.register(app)
    cors.register(app, cors_origins(clients, settings.cors_origins) if clients else settings.cors_origins)
    return app


def _own_storage(settings: Settings) -> Storage:
    # Imported here: the workers of a server leave SQLAlchemy to the process that stores
    from cds_service.store.own_storage import OwnStorage

    return OwnStorage(settings)
